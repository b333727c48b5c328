package tests

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// What a process that was killed left behind: what it had committed is there, the rest is not.
func TestRecovery(t *testing.T) {
	runInFileModes(t, func() *recoverySuite { return &recoverySuite{} })
}

type recoverySuite struct{ fileSuite }

func (s *recoverySuite) TestAWriterKilledAfterItsCommits() {
	for name, opts := range map[string][]registry.Option{"": nil, "read-only": {registry.WithReadOnly()}} {
		s.Run(name, func() {
			path := s.file("x.db")
			c := startRole(s.T(), "dirty", s.mode.name, path, "committed")
			s.Require().Equal("ready", c.hear())
			c.kill()
			s.Require().Contains(names(s.T(), s.dir), "x.db-wal")
			requireFilled(s.T(), s.open(path, opts...))
		})
	}
}

func (s *recoverySuite) TestAWriterKilledInsideItsTransaction() {
	path := s.create("x.db")
	c := startRole(s.T(), "dirty", s.mode.name, path, "uncommitted")
	s.Require().Equal("ready", c.hear())
	c.kill()
	reg := s.open(path)
	requireFilled(s.T(), reg)
	revision, err := reg.SetConfig(s.T().Context(), "greeting", 7)
	s.Require().NoError(err)
	s.Require().EqualValues(6, revision)
}

// An oxide-k kernel works with a rollback journal; a crash leaves a hot one, with half a transaction in the file.
func (s *recoverySuite) TestAnOxideKKernelKilledInsideItsTransaction() {
	path := s.file("x.db")
	s.oxideFile(path)
	c := startRole(s.T(), "dirty", s.mode.name, path, "oxide-k")
	s.Require().Equal("ready", c.hear())
	c.kill()
	s.Require().Contains(names(s.T(), s.dir), filepath.Base(path)+"-journal")

	_, err := s.tryOpen(path, registry.WithReadOnly())
	s.Require().ErrorIs(err, registry.ErrReadOnly) // playing the journal back is a write
	s.Require().Contains(names(s.T(), s.dir), filepath.Base(path)+"-journal")
	reg := s.open(path)
	s.requireOxideFile(path)
	modules, err := reg.ListModules(s.T().Context())
	s.Require().NoError(err)
	s.Require().Len(modules, 6)
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	s.Require().EqualValues(s.oxideFileRows(), revision)
}

// roleDirty stops where its parent can kill it with something unfinished.
func roleDirty(args []string) error {
	open, path, how := modeNamed(args[0]).open, args[1], args[2]
	if how == "oxide-k" {
		return dirtyOxide(path)
	}
	reg, err := open(background, path)
	if err != nil {
		return err
	}
	if how == "uncommitted" {
		return reg.Update(background, func(ctx context.Context, tx *registry.Tx) error {
			for i := range 500 {
				if _, err := tx.SetConfig(ctx, fmt.Sprint("lost", i), strings.Repeat("x", 3000)); err != nil {
					return err
				}
			}
			saying("ready")
			hearing().Scan()
			return nil
		})
	}
	if err := fillWriter(background, reg); err != nil {
		return err
	}
	saying("ready")
	hearing().Scan()
	return nil
}

// dirtyOxide overwrites everything in a transaction that no longer fits the cache, and does not commit.
func dirtyOxide(path string) error {
	pool, err := sql.Open("sqlite3", sqliteURI(path, "?_busy_timeout=0"))
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(1)
	statements := []string{"PRAGMA cache_size = 1", "BEGIN", "UPDATE modules SET name = 'lost'", "UPDATE config SET value = 'lost'"}
	for i := range 50 {
		statements = append(statements, fmt.Sprintf(
			"INSERT INTO config (key, value, updated_at) VALUES ('lost%d', hex(randomblob(3000)), 'never')", i))
	}
	for _, statement := range statements {
		if _, err := pool.Exec(statement); err != nil {
			return err
		}
	}
	saying("ready")
	hearing().Scan()
	return nil
}
