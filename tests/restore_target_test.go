package tests

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

func TestRestorePlaces(t *testing.T) {
	for _, m := range modes {
		if m.memory || m.origin { // which differ from these in nothing that matters here
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			s := &restorePlaceSuite{}
			s.setMode(m)
			suite.Run(t, s)
		})
	}
}

// restorePlaceSuite is about what is where a registry is restored, and about what the backup is.
type restorePlaceSuite struct{ backedUpSuite }

// requireRefused requires that a restore is refused, and touches nothing.
func (s *restorePlaceSuite) requireRefused(want error, text string, opts ...registry.RestoreOption) {
	before := folder(s.T(), filepath.Dir(s.path))
	_, err := s.restore(opts...)
	s.Require().ErrorIs(err, want)
	s.Require().ErrorContains(err, text)
	s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)))
}

func (s *restorePlaceSuite) TestAFileThatCannotBeReadNeedsARevision() {
	whole, folder := s.path, s.T().TempDir()
	for name, damage := range map[string]func(){
		"no database":  func() { s.Require().NoError(os.WriteFile(s.path, []byte(strings.Repeat("x", 5000)), 0o600)) },
		"one byte":     func() { s.Require().NoError(os.WriteFile(s.path, []byte("x"), 0o600)) },
		"cut":          func() { s.Require().NoError(os.Truncate(s.path, 4096+100)) },
		"guard":        func() { sqliteExec(s.T(), s.path, "DROP TRIGGER config_delete") },
		"row":          func() { sqliteExec(s.T(), s.path, "DROP TRIGGER registry_delete", "DELETE FROM registry") },
		"newer schema": func() { sqliteExec(s.T(), s.path, "INSERT INTO migrations VALUES ('core', 99, 'x', 'y', 'z')") },
	} {
		s.path = filepath.Join(folder, name)
		copyFile(s.T(), whole, s.path)
		damage()
		content := contentOf(s.T(), s.path)
		_, err := s.restore()
		s.Require().Error(err, name)
		s.Require().ErrorContains(err, "WithRevisionAbove", name)
		s.Require().NotErrorIs(err, registry.ErrInvalid, name)
		s.Require().Equal(content, contentOf(s.T(), s.path), name)

		report, err := s.restore(registry.WithRevisionAbove(1 << 40))
		s.Require().NoError(err, name)
		s.Require().EqualValues(1<<40+1<<32, report.Revision, name)
		s.Require().Equal(content, contentOf(s.T(), report.Kept), name)
		s.restored()
		s.close()
	}
}

func (s *restorePlaceSuite) TestARevisionThatIsLowerThanWhatIsKnownChangesNothing() {
	report, err := s.restore(registry.WithRevisionAbove(s.last - 1))
	s.Require().NoError(err)
	s.Require().Equal(s.last+1<<32, report.Revision)
	s.restored()
}

func (s *restorePlaceSuite) TestAnotherDatabaseIsNotMovedAway() {
	s.path = filepath.Join(s.T().TempDir(), "other.db")
	other, err := registry.Open(s.T().Context(), s.path)
	s.Require().NoError(err)
	s.Require().NoError(other.Close())
	s.requireRefused(registry.ErrInvalid, "another registry", registry.WithRevisionAbove(0))

	s.path = filepath.Join(s.T().TempDir(), "x.db")
	copyFile(s.T(), "testdata/oxide-k/plain.db", s.path)
	s.requireRefused(registry.ErrInvalid, "oxide-k", registry.WithRevisionAbove(0))

	s.path = filepath.Join(s.T().TempDir(), "x.db")
	sqliteExec(s.T(), s.path, "CREATE TABLE notes (text)")
	s.requireRefused(registry.ErrNotRegistry, "move the old file away", registry.WithRevisionAbove(0))
}

// The file that a symlink leads to is restored, as Open opens it, and the link stays.
func (s *restorePlaceSuite) TestASymlinkToTheFile() {
	link := filepath.Join(s.T().TempDir(), "link")
	symlink(s.T(), s.path, link)
	report, err := registry.Restore(s.T().Context(), s.backup, link)
	s.Require().NoError(err)
	s.Require().Equal(filepath.Dir(s.path), filepath.Dir(report.Kept))
	info, err := os.Lstat(link)
	s.Require().NoError(err)
	s.Require().NotZero(info.Mode() & os.ModeSymlink)
	s.restored()
}

func (s *restorePlaceSuite) TestOddPaths() {
	if s.mode.encrypted() {
		s.T().Skip("the paths are the same")
	}
	for _, name := range oddNames {
		path := filepath.Join(s.T().TempDir(), name)
		copyFile(s.T(), s.path, path)
		report, err := registry.Restore(s.T().Context(), s.backup, path)
		s.Require().NoError(err, name)
		s.requireOld(report.Kept)
		reg, err := s.mode.open(s.T().Context(), path)
		s.Require().NoError(err)
		s.requireBackedUp(reg)
		closeVerified(s.T(), reg)
	}
}

// Whatever somebody put at the marker's name: it is refused, by an opening and by a restore, and stays.
func (s *restorePlaceSuite) TestWhatIsNoMarkerIsRefused() {
	marker, victim := s.path+"-restoring", filepath.Join(s.T().TempDir(), "victim")
	s.Require().NoError(os.WriteFile(victim, []byte("precious"), 0o600))
	write := func(text string) func() error {
		return func() error { return os.WriteFile(marker, []byte(text), 0o600) }
	}
	for name, plant := range map[string]func() error{
		"empty":         write(""),
		"text":          write("precious"),
		"huge":          write(strings.Repeat(" ", 1<<20)),
		"another file":  write(`{"file": "y.db"}`),
		"elsewhere":     write(`{"file": "registry.db", "id": "x", "revision": 4294967296, "kept": ["registry.db.before-restore-/../../victim"]}`),
		"another name":  write(`{"file": "registry.db", "id": "x", "revision": 4294967296, "kept": ["victim"]}`),
		"negative":      write(`{"file": "registry.db", "id": "x", "above": -1, "revision": 4294967295}`),
		"no revision":   write(`{"file": "registry.db", "id": "x"}`),
		"no registry":   write(`{"file": "registry.db", "revision": 4294967296}`),
		"odd name":      write(`{"file": {"quoted": "registry.db"}, "id": "x", "revision": 4294967296}`),
		"symlink":       func() error { return os.Symlink(victim, marker) },
		"dangling":      func() error { return os.Symlink(victim+"x", marker) },
		"folder":        func() error { return os.Mkdir(marker, 0o700) },
		"second name":   func() error { return os.Link(victim, marker) },
		"full revision": write(`{"file": "registry.db", "above": 9223372036854775807}`),
	} {
		if runtime.GOOS == "windows" && strings.Contains("symlink dangling second name", name) {
			continue
		}
		s.Require().NoError(plant(), name)
		before := folder(s.T(), filepath.Dir(s.path))
		_, err := s.restore()
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		_, err = s.mode.open(s.T().Context(), s.path)
		s.Require().Error(err, name)
		s.Require().ErrorContains(err, marker, name)
		s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)), name)
		s.Require().NoError(os.RemoveAll(marker), name)
	}
	content, err := os.ReadFile(victim)
	s.Require().NoError(err)
	s.Require().Equal("precious", string(content))
	s.Require().NoFileExists(victim + "x")
	s.requireOld(s.path)
}

func (s *restorePlaceSuite) TestAPlaceWithoutAFile() {
	for name, prepare := range map[string]func(path string){
		"nothing":       func(string) {},
		"empty":         func(path string) { s.Require().NoError(os.WriteFile(path, nil, 0o600)) },
		"torn: WAL":     func(path string) { s.Require().NoError(os.WriteFile(path+"-wal", []byte("commits"), 0o600)) },
		"torn: journal": func(path string) { s.Require().NoError(os.WriteFile(path+"-journal", []byte("pages"), 0o600)) },
		"litter": func(path string) {
			s.Require().NoError(errors.Join(os.WriteFile(path+"-wal", nil, 0o600), os.WriteFile(path+"-shm", []byte("index"), 0o600)))
		},
		"torn: empty file, WAL": func(path string) {
			s.Require().NoError(errors.Join(os.WriteFile(path, nil, 0o600), os.WriteFile(path+"-wal", []byte("commits"), 0o600)))
		},
	} {
		s.path = filepath.Join(s.T().TempDir(), "x.db")
		prepare(s.path)
		var opts []registry.RestoreOption
		if strings.HasPrefix(name, "torn") { // which revisions it gave is unknown
			before := folder(s.T(), filepath.Dir(s.path))
			_, err := s.restore()
			s.Require().ErrorIs(err, registry.ErrCorrupt, name)
			s.Require().ErrorContains(err, "WithRevisionAbove", name)
			s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)), name)
			opts = append(opts, registry.WithRevisionAbove(s.old))
		}
		report, err := s.restore(opts...)
		s.Require().NoError(err, name)
		s.Require().Equal(s.old+1<<32, report.Revision, name)
		want := []string{filepath.Base(s.path)}
		switch name {
		case "empty":
			want = append(want, filepath.Base(report.Kept))
		case "torn: WAL", "torn: journal": // there is no file of that name without the suffix
			s.Require().Equal(strings.ToLower(name[len("torn: "):]), report.Kept[strings.LastIndex(report.Kept, "-")+1:], name)
			want = append(want, filepath.Base(report.Kept))
		case "torn: empty file, WAL":
			want = append(want, filepath.Base(report.Kept), filepath.Base(report.Kept)+"-wal")
		default:
			s.Require().Empty(report.Kept, name)
		}
		s.Require().ElementsMatch(want, names(s.T(), filepath.Dir(s.path)), name)
		s.restored()
		s.close()
	}
}

// A crash left a WAL: what it holds is kept with the old file, and is not played into the new one.
func (s *restorePlaceSuite) TestTheWALOfACrashIsKeptWithTheOldFile() {
	s.reg = s.open()
	for i := range 200 {
		s.last = s.set(numberKey(i), i)
	}
	s.last = s.set("after", 3)
	crashed := filepath.Join(s.T().TempDir(), "registry.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		copyFile(s.T(), s.path+suffix, crashed+suffix)
	}
	s.close()
	s.path = crashed
	report, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(s.last+1<<32, report.Revision)
	s.requireAlone(s.path, report.Kept)
	s.requireOld(report.Kept)
	s.restored()
}

// Each restore goes on above what the one before gave, also if that is lost again.
func (s *restorePlaceSuite) TestRestoresDoNotRepeatEachOthersRevisions() {
	first, err := s.restore()
	s.Require().NoError(err)
	s.restored()
	s.last = s.set("after", 3)
	s.close()
	second, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(s.last+1<<32, second.Revision)
	s.Require().NotEqual(first.Kept, second.Kept)
	s.requireAlone(s.path, first.Kept, second.Kept)
	s.requireOld(second.Kept)
	s.restored()
}
