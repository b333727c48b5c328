package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRestoreAgain(t *testing.T) { suite.Run(t, &restoreAgainSuite{}) }

// restoreAgainSuite is about what a restore makes of one that was interrupted.
type restoreAgainSuite struct {
	suite.Suite
	path, backup string
	last         int64 // the registry's newest revision
}

func (s *restoreAgainSuite) SetupTest() {
	s.path, s.backup = filepath.Join(s.T().TempDir(), "x.db"), filepath.Join(s.T().TempDir(), "backup.db")
	s.last = s.make(s.path, s.backup)
}

// make makes a registry, and a backup of what it held when it had one change.
func (s *restoreAgainSuite) make(path, backup string) (last int64) {
	reg, err := registry.Open(s.T().Context(), path)
	s.Require().NoError(err)
	_, err = reg.SetConfig(s.T().Context(), "backup", 1)
	s.Require().NoError(err)
	s.Require().NoError(reg.Backup(s.T().Context(), backup))
	last, err = reg.SetConfig(s.T().Context(), "backup", 3)
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	return last
}

func (s *restoreAgainSuite) restore(opts ...registry.RestoreOption) (registry.RestoreReport, error) {
	return registry.Restore(s.T().Context(), s.backup, s.path, opts...)
}

// interrupt ends a restore before a step, as a kill does.
func (s *restoreAgainSuite) interrupt(at string, opts ...registry.RestoreOption) {
	s.Require().PanicsWithValue(at, func() {
		_, err := registry.Restore(stage.With(s.T().Context(), func(name string) error {
			if name == at {
				panic(at)
			}
			return nil
		}), s.backup, s.path, opts...)
		s.Require().NoError(err)
	})
	s.Require().FileExists(s.path + "-restoring")
}

// value returns what a registry holds.
func (s *restoreAgainSuite) value(path string) int {
	reg, err := registry.Open(s.T().Context(), path, registry.WithMustExist())
	s.Require().NoError(err)
	n, err := registry.Get[int](s.T().Context(), reg, "backup")
	s.Require().NoError(err)
	closeVerified(s.T(), reg)
	return n
}

// marker returns what the marker says, and change writes it with one thing changed.
func (s *restoreAgainSuite) marker() (said map[string]any) {
	text, err := os.ReadFile(s.path + "-restoring")
	s.Require().NoError(err)
	s.Require().NoError(json.Unmarshal(text, &said))
	return said
}

func (s *restoreAgainSuite) change(what string, value any) {
	said := s.marker()
	said[what] = value
	text, err := json.Marshal(said)
	s.Require().NoError(err)
	s.Require().NoError(os.WriteFile(s.path+"-restoring", text, 0o600))
}

func (s *restoreAgainSuite) TestAnotherRegistrysBackupDoesNotFinishIt() {
	other := filepath.Join(s.T().TempDir(), "other.db")
	s.make(filepath.Join(s.T().TempDir(), "y.db"), other)
	for _, at := range []string{"keep the old file", "put the new file there", "remove the marker"} {
		s.SetupTest()
		s.interrupt(at)
		before := folder(s.T(), filepath.Dir(s.path))
		_, err := registry.Restore(s.T().Context(), other, s.path)
		s.Require().ErrorIs(err, registry.ErrInvalid, at)
		s.Require().ErrorContains(err, "another registry", at)
		s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)), at)
		report, err := s.restore()
		s.Require().NoError(err, at)
		s.Require().Equal(s.last+1<<32, report.Revision, at)
		s.Require().Equal(1, s.value(s.path), at)
		s.Require().Equal(3, s.value(report.Kept), at)
	}
}

func (s *restoreAgainSuite) TestAMarkerWithoutARegistryIsNone() {
	s.interrupt("put the new file there")
	s.change("id", "")
	_, err := s.restore()
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "is no marker")
}

// A file takes the place of the one that was moved away. It knows the registry's id and even the revision: it is moved away, too.
func (s *restoreAgainSuite) TestAFileThatTheRestoreDidNotMakeIsNotFinished() {
	for what, differs := range map[string]any{"at": "2026-01-02T03:04:05Z", "revision": nil} {
		s.SetupTest()
		s.interrupt("remove the marker")
		if what == "revision" { // another restore's of the same backup, under the marker of this one
			marker, err := os.ReadFile(s.path + "-restoring")
			s.Require().NoError(err)
			_, err = s.restore()
			s.Require().NoError(err)
			_, err = s.restore()
			s.Require().NoError(err)
			s.Require().NoError(os.WriteFile(s.path+"-restoring", marker, 0o600))
		} else {
			s.change(what, differs)
		}
		planted := contentOf(s.T(), s.path)
		report, err := s.restore()
		s.Require().NoError(err, what)
		s.Require().Equal(3, s.value(report.Kept), what)
		s.Require().NotEmpty(report.AlsoKept, what)
		s.Require().Equal(planted, contentOf(s.T(), report.AlsoKept[len(report.AlsoKept)-1]), what)
		s.Require().Equal(1, s.value(s.path), what)
	}
}

// Whoever finds later that revisions were higher says so when the restore runs again: it begins anew.
func (s *restoreAgainSuite) TestAHigherRevisionIsHeededAgain() {
	for _, c := range []struct{ above, want int64 }{
		{0, s.last + 1<<32}, {s.last, s.last + 1<<32}, {s.last + 1, s.last + 1 + 2<<32}, {1 << 40, 1<<40 + 1<<32},
	} {
		s.SetupTest()
		s.interrupt("remove the marker")
		report, err := s.restore(registry.WithRevisionAbove(c.above))
		s.Require().NoError(err)
		if c.above > s.last && c.above < 1<<40 { // the interrupted one's file counts: nobody may tell that it was not seen
			c.want = s.last + 2<<32
		}
		s.Require().Equal(c.want, report.Revision, c.above)
		s.Require().Equal(3, s.value(report.Kept))
		s.Require().Equal(1, s.value(s.path))
	}
}

func (s *restoreAgainSuite) TestNamesThatAreNotUTF8() {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		s.T().Skip("each name is UTF-8 here")
	}
	for name, backup := range map[string]string{"x\xff.db": "b.db", "y.db": "b\xfe.db", `"z<é\xff`: `b"<é.db`} {
		s.path, s.backup = filepath.Join(s.T().TempDir(), name), filepath.Join(s.T().TempDir(), backup)
		last := s.make(s.path, s.backup)
		for _, at := range []string{"put the new file there", "remove the marker"} {
			s.interrupt(at)
			report, err := s.restore()
			s.Require().NoError(err, name)
			s.Require().Equal(last+1<<32, report.Revision, name)
			s.Require().Empty(report.AlsoKept, name)
			s.Require().Equal(1, s.value(s.path), name)
			s.Require().NoError(os.Rename(report.Kept, s.path), name)
		}
	}
}

// On a file system that cannot rename without replacing, a crash leaves the marker's name with a line of text: nothing had begun.
func (s *restoreAgainSuite) TestAMarkerThatWasOnlyAboutToBeIsNone() {
	marker := s.path + "-restoring"
	s.Require().NoError(os.WriteFile(marker, []byte("stateregistry: a file is about to take this place\n"), 0o600))
	_, err := registry.Open(s.T().Context(), s.path)
	s.Require().ErrorIs(err, registry.ErrRestoring)
	report, err := s.restore()
	s.Require().NoError(err)
	s.Require().NoFileExists(marker)
	s.Require().Equal(1, s.value(s.path))
	s.Require().Equal(3, s.value(report.Kept))
}

// What is missing cannot be opened again by removing the marker first: that would give an empty registry.
func (s *restoreAgainSuite) TestAMissingFileIsRenamedBackBeforeTheMarkerGoes() {
	s.interrupt("keep the old file")
	_, err := registry.Open(s.T().Context(), s.path)
	s.Require().ErrorIs(err, registry.ErrRestoring)
	s.Require().ErrorContains(err, "remove that file")

	s.Require().NoError(os.Remove(s.path + "-restoring"))
	s.interrupt("put the new file there")
	_, err = registry.Open(s.T().Context(), s.path)
	s.Require().ErrorIs(err, registry.ErrRestoring)
	s.Require().ErrorContains(err, s.path+" is missing")
	s.Require().ErrorContains(err, "first rename")
	s.Require().NotContains(err.Error(), "remove")
	kept := s.marker()["kept"].([]any)[0].(string)
	s.Require().NoError(os.Rename(filepath.Join(filepath.Dir(s.path), kept), s.path))
	s.Require().NoError(os.Remove(s.path + "-restoring"))
	s.Require().Equal(3, s.value(s.path))
}

// A power loss may keep the later one of two renames alone: the file follows its journal.
func (s *restoreAgainSuite) TestAFileFollowsItsJournal() {
	wreck := strings.Repeat("wreck", 2000)
	s.Require().NoError(os.WriteFile(s.path, []byte(wreck), 0o600))
	s.Require().NoError(os.WriteFile(s.path+"-wal", []byte("commits"), 0o600))
	s.interrupt("keep the old file", registry.WithRevisionAbove(7))
	kept := filepath.Join(filepath.Dir(s.path), s.marker()["kept"].([]any)[0].(string))
	s.Require().NoError(os.Rename(s.path+"-wal", kept+"-wal"))
	report, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(kept, report.Kept)
	s.Require().Empty(report.AlsoKept)
	s.Require().Equal(map[string]string{"": hashOf([]byte(wreck)), "-wal": hashOf([]byte("commits"))}, contents(s.T(), kept))
	s.Require().Equal(1, s.value(s.path))
}

// A file that took the place of one that was missing does not get that one's journal.
func (s *restoreAgainSuite) TestAFileDoesNotFollowAnothersJournal() {
	s.Require().NoError(os.Remove(s.path))
	s.Require().NoError(os.WriteFile(s.path+"-wal", []byte("commits"), 0o600))
	s.interrupt("put the new file there", registry.WithRevisionAbove(7))
	copyFile(s.T(), s.backup, s.path)
	report, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(7+int64(1)<<32, report.Revision)
	s.Require().Equal("-wal", report.Kept[len(report.Kept)-4:])
	s.Require().Len(report.AlsoKept, 1)
	s.Require().NotEqual(strings.TrimSuffix(report.Kept, "-wal"), report.AlsoKept[0])
	s.Require().Equal(1, s.value(report.AlsoKept[0]))
}

// Nor does the file that the interrupted restore made, if the old file is gone and its journal is not.
func (s *restoreAgainSuite) TestTheNewFileDoesNotFollowTheOldOnesJournal() {
	s.Require().NoError(os.WriteFile(s.path, []byte(strings.Repeat("wreck", 2000)), 0o600))
	s.Require().NoError(os.WriteFile(s.path+"-wal", []byte("commits"), 0o600))
	s.interrupt("remove the marker", registry.WithRevisionAbove(7))
	kept := filepath.Join(filepath.Dir(s.path), s.marker()["kept"].([]any)[0].(string))
	s.Require().NoError(os.Remove(kept))
	report, err := s.restore(registry.WithRevisionAbove(1 << 40)) // not the same again
	s.Require().NoError(err)
	s.Require().Equal(kept+"-wal", report.Kept)
	s.Require().Len(report.AlsoKept, 1)
	s.Require().NotEqual(kept, report.AlsoKept[0])
	s.Require().Equal(1, s.value(report.AlsoKept[0]))
}
