package tests

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/registry"
)

const stranger = 4001

// The name is free while a restore is interrupted. A stranger who knows the registry's id, and all that a backup of the same restore
// would have, puts a file there: it is moved away, whatever it says.
func (s *restoreAgainSuite) TestAStrangersFileIsNotTheRestoredOne() {
	if os.Geteuid() != 0 {
		s.T().Skip("only root can give a file away")
	}
	forge := func() {
		id, forged := s.marker()["id"].(string), filepath.Join(s.T().TempDir(), "forged.db")
		s.make(forged, filepath.Join(s.T().TempDir(), "backup.db"))
		var guard string
		pool := sqliteOpen(s.T(), forged)
		s.Require().NoError(pool.QueryRow("SELECT sql FROM sqlite_schema WHERE name = 'registry_update'").Scan(&guard))
		s.Require().NoError(pool.Close())
		sqliteExec(s.T(), forged, "PRAGMA journal_mode = DELETE", "DROP TRIGGER registry_update", "UPDATE registry SET id = '"+id+"'", guard,
			"INSERT INTO changes VALUES (1 << 33, 'registry', '"+id+"', 'put', '2026-01-01T00:00:00.000000000+00:00')")
		copyFile(s.T(), forged, s.path)
	}
	for what, plant := range map[string]func(){
		"forged": forge,
		"exact": func() { // even with the change that the marker tells of, which nobody else can read
			s.interrupt("remove the marker")
		},
	} {
		s.SetupTest()
		s.interrupt("put the new file there")
		plant()
		s.Require().NoError(os.Chown(s.path, stranger, stranger), what)
		planted := contentOf(s.T(), s.path)
		report, err := s.restore()
		s.Require().NoError(err, what)
		s.Require().Equal(1, s.value(s.path), what)
		s.Require().Equal(3, s.value(report.Kept), what)
		s.Require().Len(report.AlsoKept, 1, what)
		s.Require().Equal(planted, contentOf(s.T(), report.AlsoKept[0]), what)
	}
}

// Root finishes what a service left in its own folder, and the service can open it.
func (s *restoreAgainSuite) TestRootFinishesForTheOwnerOfTheFolder() {
	if os.Geteuid() != 0 {
		s.T().Skip("only root can give a file away")
	}
	for _, at := range []string{"keep the old file", "put the new file there", "remove the marker"} {
		s.SetupTest()
		s.interrupt(at)
		dir := filepath.Dir(s.path)
		for _, name := range append(names(s.T(), dir), ".") {
			s.Require().NoError(os.Chown(filepath.Join(dir, name), stranger, stranger), at)
		}
		_, err := registry.Open(s.T().Context(), s.path)
		s.Require().ErrorIs(err, registry.ErrRestoring, at)
		report, err := s.restore()
		s.Require().NoError(err, at)
		s.Require().Empty(report.AlsoKept, at)
		for _, path := range []string{s.path, report.Kept} {
			info, err := os.Stat(path)
			s.Require().NoError(err, at)
			s.Require().EqualValues(stranger, info.Sys().(*syscall.Stat_t).Uid, at)
		}
		s.Require().Equal(1, s.value(s.path), at)
		s.Require().Equal(3, s.value(report.Kept), at)
	}
	// In a folder that is somebody else's, neither a marker nor a file of the stranger's counts.
	s.SetupTest()
	s.interrupt("put the new file there")
	s.Require().NoError(os.Chown(s.path+"-restoring", stranger, stranger))
	_, err := s.restore()
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "belongs to user 4001")
}

// A process runs out of descriptors when a restore runs again: the marker is the only thing that knows of the old file, and stays.
func TestARestoreWithoutDescriptorsRunsAgain(t *testing.T) {
	t.Log(startRole(t, "restoring", t.TempDir()).wait())
}

// roleRestoring finishes an interrupted restore with no free descriptor from a step on, with one, and so on.
func roleRestoring(args []string) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	met := map[bool]int{}
	for from, most := range map[string]int{"place the marker": 12, "put the new file there": 3, "remove the marker": 0} {
		for free := range most + 1 {
			dir, err := os.MkdirTemp(args[0], "")
			if err != nil {
				return err
			}
			finished, err := restoreWithout(dir, from, free)
			if err != nil {
				return fmt.Errorf("from %q on %d free: %w", from, free, err)
			}
			met[finished]++
		}
	}
	saying(fmt.Sprint(met))
	return nil
}

func restoreWithout(dir, from string, free int) (finished bool, err error) {
	path, backup := filepath.Join(dir, "x.db"), filepath.Join(dir, "backup.db")
	reg, err := registry.Open(background, path)
	if err != nil {
		return false, err
	}
	_, failed := reg.SetConfig(background, "a", 1)
	if err := errors.Join(failed, reg.Backup(background, backup), reg.Close()); err != nil {
		return false, err
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = registry.Restore(stage.With(background, func(name string) error {
			if name == "put the new file there" {
				panic(name)
			}
			return nil
		}), backup, path)
	}()
	release := func() {}
	_, failed = registry.Restore(stage.With(background, func(name string) (err error) {
		if name == from {
			release, err = useUp(free)
		}
		return err
	}), backup, path)
	release()
	if failed != nil && !errors.Is(failed, syscall.EMFILE) {
		return false, failed
	}
	_, err = os.Stat(path + "-restoring")
	if marked := err == nil; failed == nil && marked || failed != nil && !marked {
		return false, fmt.Errorf("marker: %v, after %w", marked, failed)
	}
	if failed != nil {
		if _, err := registry.Open(background, path); !errors.Is(err, registry.ErrRestoring) {
			return false, fmt.Errorf("opening gives %w after %w", err, failed)
		}
		if _, err = registry.Restore(background, backup, path); err != nil {
			return false, err
		}
	}
	reg, err = registry.Open(background, path, registry.WithMustExist())
	if err != nil {
		return false, err
	}
	_, err = registry.Get[int](background, reg, "a")
	return failed == nil, errors.Join(err, reg.Close())
}
