package tests

import (
	"context"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// What happens while another program holds the file's locks.
func TestLocks(t *testing.T) {
	runInFileModes(t, func() *lockSuite { return &lockSuite{} })
}

type lockSuite struct{ fileSuite }

// short is a lock timeout that a test can wait for.
const short = 50 * time.Millisecond

// hold runs what begins a transaction, on a connection of its own.
func (s *lockSuite) hold(path string, statements ...string) (release func()) {
	conn, err := sqliteOpen(s.T(), path).Conn(background)
	s.Require().NoError(err)
	for _, statement := range statements {
		_, err = conn.ExecContext(background, statement)
		s.Require().NoError(err)
	}
	return func() {
		_, err := conn.ExecContext(background, "ROLLBACK")
		s.Require().NoError(err)
		s.Require().NoError(conn.Close())
	}
}

func (s *lockSuite) TestWritesGiveUpAfterTheTimeoutAndReadsGoOn() {
	path := s.create("x.db")
	reg := s.open(path, registry.WithLockTimeout(short))
	release := s.hold(path, "BEGIN IMMEDIATE")
	ctx := s.T().Context()
	began := time.Now()
	_, err := reg.SetConfig(ctx, "greeting", 7)
	s.Require().ErrorIs(err, registry.ErrBusy)
	s.Require().GreaterOrEqual(time.Since(began), short)
	s.Require().Less(time.Since(began), patience)
	err = reg.Update(ctx, func(context.Context, *registry.Tx) error { s.Fail("Update ran"); return nil })
	s.Require().ErrorIs(err, registry.ErrBusy)
	requireFilled(s.T(), reg)

	release()
	_, err = reg.SetConfig(ctx, "greeting", 7)
	s.Require().NoError(err)
}

func (s *lockSuite) TestAContextThatEndsFirstEndsTheWait() {
	path := s.create("x.db")
	reg := s.open(path)
	release := s.hold(path, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(s.T().Context(), short)
	defer cancel()
	_, err := reg.SetConfig(ctx, "greeting", 7)
	s.Require().ErrorIs(err, context.DeadlineExceeded)
	s.Require().NotErrorIs(err, registry.ErrBusy)
	release()
	requireFilled(s.T(), reg)
}

// A kernel starts at once, however long somebody else's transaction takes.
func (s *lockSuite) TestOpeningACurrentRegistryWaitsForNoWriter() {
	path := s.create("x.db")
	release := s.hold(path, "BEGIN IMMEDIATE")
	reg, err := s.tryOpen(path, registry.WithLockTimeout(0))
	s.Require().NoError(err)
	requireFilled(s.T(), reg)
	s.Require().NoError(reg.Close())
	release()
}

// An oxide-k kernel that is in the middle of something holds the file in rollback mode.
func (s *lockSuite) TestAnOxideKFileInUseIsBusyAndStaysAsItIs() {
	for name, begin := range map[string][]string{
		"writing":    {"BEGIN IMMEDIATE", "UPDATE modules SET name = 'x'"},
		"committing": {"BEGIN EXCLUSIVE"},
		"reading":    {"BEGIN", "SELECT count(*) FROM modules"},
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			s.oxideFile(path)
			before := folder(s.T(), s.dir)
			release := s.hold(path, begin...)
			began := time.Now()
			_, err := s.tryOpen(path, registry.WithLockTimeout(short))
			s.Require().ErrorIs(err, registry.ErrBusy)
			s.Require().GreaterOrEqual(time.Since(began), short)
			ctx, cancel := context.WithTimeout(s.T().Context(), short)
			defer cancel()
			_, err = s.mode.open(ctx, path)
			s.Require().ErrorIs(err, context.DeadlineExceeded)
			release()
			s.Require().Equal(before, folder(s.T(), s.dir))

			reg := s.open(path)
			modules, err := reg.ListModules(s.T().Context())
			s.Require().NoError(err)
			s.Require().Len(modules, 6)
		})
	}
}
