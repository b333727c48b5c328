package tests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRestoreThatEndsAnywhere(t *testing.T) { suite.Run(t, &brokenRestoreSuite{}) }

// brokenRestoreSuite lets a restore be killed, or fail, at each of its steps, whatever was in the file's place.
type brokenRestoreSuite struct {
	suite.Suite
	backup, other string // two backups of the registry that is in whole
	whole         string // a folder with a registry as a crash left it
	last          int64  // its newest revision
}

// SetupSuite makes a registry and two backups: the entry "backup" is 1 in the first, 2 in the second and 3 in the file.
func (s *brokenRestoreSuite) SetupSuite() {
	dir := s.T().TempDir()
	s.backup, s.other, s.whole = filepath.Join(dir, "backup.db"), filepath.Join(dir, "other.db"), s.T().TempDir()
	path := filepath.Join(dir, "x.db")
	reg, err := registry.Open(s.T().Context(), path)
	s.Require().NoError(err)
	for i, backup := range []string{s.backup, s.other, ""} {
		if s.last, err = reg.SetConfig(s.T().Context(), "backup", i+1); backup != "" {
			s.Require().NoError(reg.Backup(s.T().Context(), backup))
		}
		s.Require().NoError(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		copyFile(s.T(), path+suffix, filepath.Join(s.whole, "x.db"+suffix))
	}
	s.Require().NoError(reg.Close())
}

// restoreStarts are what may be where a registry is restored.
var restoreStarts = []struct {
	name    string
	prepare func(path string) error // of a file with a WAL, as a crash leaves it
	opts    []registry.RestoreOption
	healthy bool
}{
	{name: "a WAL", prepare: func(string) error { return nil }, healthy: true},
	{name: "a wreck with a WAL", opts: []registry.RestoreOption{registry.WithRevisionAbove(7)},
		prepare: func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("wreck", 2000)), 0o600) }},
	{name: "a WAL without a file", prepare: os.Remove, opts: []registry.RestoreOption{registry.WithRevisionAbove(7)}},
	{name: "nothing", prepare: func(path string) error {
		return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
	}},
}

// start makes one of them in a folder of its own.
func (s *brokenRestoreSuite) start(prepare func(string) error) (path string) {
	dir := s.T().TempDir()
	for _, name := range names(s.T(), s.whole) {
		copyFile(s.T(), filepath.Join(s.whole, name), filepath.Join(dir, name))
	}
	path = filepath.Join(dir, "x.db")
	s.Require().NoError(prepare(path))
	return path
}

func (s *brokenRestoreSuite) TestARestoreThatIsKilledIsTheOldOneTheNewOneOrARefusal() {
	met := map[string]int{}
	for _, c := range restoreStarts {
		for n := 1; ; n++ {
			path := s.start(c.prepare)
			before := contents(s.T(), path)
			child := startRole(s.T(), "restore", s.backup, path, strconv.Itoa(n), c.name)
			at := child.hear()
			child.kill()
			if at == "done" {
				s.Require().Greater(n, 8)
				break
			}
			what := fmt.Sprintf("%s, killed at %q", c.name, at)
			marked := true
			if _, err := os.Stat(path + "-restoring"); errors.Is(err, fs.ErrNotExist) {
				marked = false
			}
			isNew := at == "the end"
			switch {
			case marked:
				met["refused"]++
				s.requireRefused(path, what)
			case isNew:
				met["new"]++
			default:
				met["old"]++
				if !c.healthy { // of one that can be read the WAL is in the file by now
					s.Require().Equal(before, contents(s.T(), path), what)
				}
			}
			// The same backup finishes it, and so does another one.
			from, want := s.backup, 1
			if n%2 == 0 {
				from, want = s.other, 2
			}
			opts := c.opts
			if marked {
				opts = nil // the marker says how high revisions were
			}
			report, err := registry.Restore(s.T().Context(), from, path, opts...)
			s.Require().NoError(err, what)
			s.requireRestored(path, want, what)
			if c.healthy {
				s.Require().NotEmpty(report.Kept, what)
				if !isNew {
					s.requireOld(report.Kept, what)
				}
			} else if !isNew {
				s.Require().Equal(before, contents(s.T(), s.keptOf(report, path)), what)
			}
			s.requireNothingElse(path, report)
		}
	}
	s.Require().Len(met, 3, "%v", met)
	s.T().Log(met)
}

func (s *brokenRestoreSuite) TestARestoreThatFailsLeavesTheOldFileInItsPlace() {
	for _, c := range restoreStarts {
		for n := 1; ; n++ {
			path := s.start(c.prepare)
			if c.healthy {
				reg, err := registry.Open(s.T().Context(), path)
				s.Require().NoError(err)
				s.Require().NoError(reg.Close())
			}
			before := contents(s.T(), path)
			failure, at := errors.New("the disk is full"), ""
			ctx := stage.With(s.T().Context(), failingAt(n, func(name string) error {
				at = name
				return failure
			}))
			_, err := registry.Restore(ctx, s.backup, path, c.opts...)
			if err == nil {
				break
			}
			what := fmt.Sprintf("%s, failed at %q", c.name, at)
			s.Require().ErrorIs(err, failure, what)
			switch at {
			case "sync the names", "remove the marker":
				s.Require().ErrorIs(err, registry.ErrRestoring, what)
				s.requireRefused(path, what)
			case "the end":
			default:
				s.Require().NotErrorIs(err, registry.ErrRestoring, what)
				s.Require().Equal(before, contents(s.T(), path), what)
				s.requireNothingElse(path, registry.RestoreReport{})
			}
		}
	}
}

// failingAt returns a function for stage.With that calls f at the n-th step.
func failingAt(n int, f func(name string) error) func(string) error {
	return func(name string) error {
		if n--; n == 0 {
			return f(name)
		}
		return nil
	}
}

// contents reads what a database and its journals hold, by suffix. FILE-shm is an index, which SQLite makes anew.
func contents(t testing.TB, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		data, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		found[suffix] = hashOf(data)
	}
	return found
}

// keptOf returns the path that the old file was moved to.
func (s *brokenRestoreSuite) keptOf(report registry.RestoreReport, path string) string {
	if report.Kept == "" {
		return path + ".nothing"
	}
	return strings.TrimSuffix(report.Kept, "-wal")
}

// requireRefused requires that nothing opens the registry, or makes one in its place.
func (s *brokenRestoreSuite) requireRefused(path, what string) {
	ctx, dir := s.T().Context(), filepath.Dir(path)
	before := folder(s.T(), dir)
	for name, open := range map[string]func() error{
		"Open": func() error { _, err := registry.Open(ctx, path); return err },
		"read": func() error { _, err := registry.Open(ctx, path, registry.WithReadOnly()); return err },
		"OpenEncrypted": func() error {
			_, err := registry.OpenEncrypted(ctx, path, kekOf(1))
			return err
		},
		"Encrypt": func() error { _, err := registry.Encrypt(ctx, path, kekOf(1)); return err },
		"Decrypt": func() error { return registry.Decrypt(ctx, path, kekOf(1)) },
		"Backup": func() error {
			reg, err := registry.Open(ctx, s.backup, registry.WithReadOnly())
			s.Require().NoError(err)
			return errors.Join(reg.Backup(ctx, path), reg.Close())
		},
		"Restore from it": func() error {
			_, err := registry.Restore(ctx, path, filepath.Join(s.T().TempDir(), "x.db"))
			return err
		},
	} {
		err := open()
		s.Require().ErrorIs(err, registry.ErrRestoring, "%s: %s", what, name)
		s.Require().ErrorContains(err, "-restoring", "%s: %s", what, name)
	}
	s.Require().Equal(before, folder(s.T(), dir), what)
}

// requireRestored requires that the registry is the one of a backup.
func (s *brokenRestoreSuite) requireRestored(path string, want int, what string) {
	reg, err := registry.Open(s.T().Context(), path, registry.WithMustExist())
	s.Require().NoError(err, what)
	got, err := registry.Get[int](s.T().Context(), reg, "backup")
	s.Require().NoError(err, what)
	s.Require().Equal(want, got, what)
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	s.Require().Greater(revision, s.last+1<<31, what)
	closeVerified(s.T(), reg)
}

// requireOld requires that a file is the old registry, with what was in its WAL.
func (s *brokenRestoreSuite) requireOld(path, what string) {
	reg, err := registry.Open(s.T().Context(), path, registry.WithMustExist())
	s.Require().NoError(err, what)
	got, err := registry.Get[int](s.T().Context(), reg, "backup")
	s.Require().NoError(err, what)
	s.Require().Equal(3, got, what)
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	s.Require().Equal(s.last, revision, what)
	closeVerified(s.T(), reg)
}

// requireNothingElse requires that in the registry's folder there is only the file, and what was kept.
func (s *brokenRestoreSuite) requireNothingElse(path string, report registry.RestoreReport) {
	for _, name := range names(s.T(), filepath.Dir(path)) {
		ours := false
		for _, kept := range append(report.AlsoKept, report.Kept, path) {
			ours = ours || kept != "" && strings.HasPrefix(name, filepath.Base(kept))
		}
		s.Require().True(ours, name)
		s.Require().NotContains(name, "restoring")
	}
}

// roleRestore restores a registry, and stops at its n-th step, where its parent kills it.
func roleRestore(args []string) error {
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	var opts []registry.RestoreOption
	for _, start := range restoreStarts {
		if start.name == args[3] {
			opts = start.opts
		}
	}
	ctx := stage.With(background, failingAt(n, func(name string) error {
		saying(name)
		hearing().Scan()
		return nil
	}))
	if _, err := registry.Restore(ctx, args[0], args[1], opts...); err != nil {
		return err
	}
	saying("done")
	return nil
}
