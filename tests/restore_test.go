package tests

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRestore(t *testing.T) {
	runInFileModes(t, func() *restoreSuite { return &restoreSuite{} })
}

// restoreSuite is about what a restore does with a registry, however its values are stored.
type restoreSuite struct{ backedUpSuite }

// backedUpSuite has a registry that was backed up, went on, and was closed.
type backedUpSuite struct {
	modeSuite
	backup string
	last   int64 // the revision at which the registry was closed
	old    int64 // the revision at which it was backed up
}

func (s *backedUpSuite) SetupTest() {
	s.modeSuite.SetupTest()
	ctx := s.T().Context()
	s.backup = filepath.Join(s.T().TempDir(), "backup.db")
	_, err := s.reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "echo", Kind: registry.KindWasm}, registry.StateLoaded)
	s.Require().NoError(err)
	s.set("greeting", 6)
	s.set("before", 1)
	s.old, err = s.reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().NoError(s.reg.Backup(ctx, s.backup))
	s.set("before", 2)
	s.last = s.set("after", 3)
	s.close()
}

// close closes the test's registry, which TearDownTest then does not verify.
func (s *backedUpSuite) close() {
	s.Require().NoError(s.reg.Close())
	s.reg = nil
}

func (s *backedUpSuite) set(key string, value any) int64 {
	revision, err := s.reg.SetConfig(s.T().Context(), key, value)
	s.Require().NoError(err)
	return revision
}

func (s *backedUpSuite) restore(opts ...registry.RestoreOption) (registry.RestoreReport, error) {
	return registry.Restore(s.T().Context(), s.backup, s.path, opts...)
}

// restored opens what a restore put there, which TearDownTest verifies, and requires that it holds what the backup does.
func (s *backedUpSuite) restored() {
	s.reg = s.open(registry.WithMustExist())
	s.requireBackedUp(s.reg)
}

func (s *backedUpSuite) requireBackedUp(reg *registry.Registry) {
	for key, want := range map[string]int{"greeting": 6, "before": 1} {
		n, err := registry.Get[int](s.T().Context(), reg, key)
		s.Require().NoError(err)
		s.Require().Equal(want, n)
	}
	_, err := registry.Get[int](s.T().Context(), reg, "after")
	s.Require().ErrorIs(err, registry.ErrConfigNotFound)
	module, err := reg.GetModule(s.T().Context(), "echo")
	s.Require().NoError(err)
	s.Require().Equal(registry.StateLoaded, module.State)
}

// requireOld requires that a file is the old one, which holds all that was written.
func (s *backedUpSuite) requireOld(path string) {
	reg, err := s.mode.open(s.T().Context(), path, registry.WithMustExist())
	s.Require().NoError(err)
	n, err := registry.Get[int](s.T().Context(), reg, "after")
	s.Require().NoError(err)
	s.Require().Equal(3, n)
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	s.Require().Equal(s.last, revision)
	closeVerified(s.T(), reg)
}

// requireAlone requires that in the registry's folder there is nothing but these.
func (s *backedUpSuite) requireAlone(paths ...string) {
	want := []string{}
	for _, path := range paths {
		want = append(want, filepath.Base(path))
	}
	s.Require().ElementsMatch(want, names(s.T(), filepath.Dir(s.path)))
}

func (s *restoreSuite) TestABackupTakesThePlaceOfTheFileWhichIsKept() {
	began := time.Now()
	report, err := s.restore()
	s.Require().NoError(err)
	s.requireAlone(s.path, report.Kept)
	requirePermissions(s.T(), 0o600, s.path)
	s.requireOld(report.Kept)
	s.Require().NoError(os.Remove(report.Kept))
	s.restored()
	s.requireAlone(s.path, s.path+"-wal", s.path+"-shm")

	changes, err := s.reg.Changes(s.T().Context(), report.Revision-1, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 1)
	s.Require().WithinRange(changes[0].At, began.Add(-time.Second), time.Now())
	changes[0].At = time.Time{}
	s.Require().Equal(registry.Change{
		Revision: report.Revision, Subject: registry.SubjectRegistry, Key: report.ID, Op: registry.OpPut,
	}, changes[0])
	modules, err := s.reg.ListModules(s.T().Context())
	s.Require().NoError(err)
	entries, err := s.reg.ListConfig(s.T().Context(), "")
	s.Require().NoError(err)
	s.Require().Equal(registry.RestoreReport{
		ID: report.ID, Revision: s.last + 1<<32, Kept: report.Kept, Modules: int64(len(modules)), Config: int64(len(entries)),
		ValuesRead: !s.mode.encrypted(), Encrypted: s.mode.encrypted(), WasEncrypted: s.mode.encrypted(),
	}, report)
	s.Require().Equal(s.text("SELECT id FROM registry"), report.ID)
	s.Require().Equal(report.Revision+1, s.set("after", 4))
}

// text returns what a statement returns.
func (s *backedUpSuite) text(query string) (text string) {
	err := s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		return tx.QueryRowContext(ctx, query).Scan(&text)
	})
	s.Require().NoError(err)
	return text
}

func (s *restoreSuite) TestWhoRemembersARevisionNotices() {
	report, err := s.restore()
	s.Require().NoError(err)
	s.restored()
	ctx := s.T().Context()
	for _, after := range []int64{0, 1, s.old - 1, s.old, s.old + 1, s.last, s.last + 1, report.Revision - 2, report.Revision + 1} {
		_, err := s.reg.Changes(ctx, after, 10)
		s.Require().ErrorIs(err, registry.ErrCompacted, "%d", after)
		for _, err := range s.reg.Watch(ctx, after) {
			s.Require().ErrorIs(err, registry.ErrCompacted, "%d", after)
		}
	}
	_, err = s.reg.SetConfig(ctx, "before", 9, registry.IfRevision(s.last-1))
	s.Require().ErrorIs(err, registry.ErrConflict, "it was written after the backup")
	_, err = s.reg.SetConfig(ctx, "after", 9, registry.IfRevision(s.last))
	s.Require().ErrorIs(err, registry.ErrConflict)
	_, err = s.reg.SetConfig(ctx, "before", 9, registry.IfRevision(s.old))
	s.Require().NoError(err, "it was not")
}

func (s *restoreSuite) TestAKeyOpensEveryValueOfTheBackup() {
	if !s.mode.encrypted() {
		_, err := s.restore(registry.RestoreWithKEK(kekOf(1)))
		s.Require().ErrorIs(err, registry.ErrNotEncrypted)
		s.requireOld(s.path)
		return
	}
	_, err := s.restore(registry.RestoreWithKEK(kekOf(9)))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().ErrorContains(err, s.backup)
	_, err = s.restore(registry.RestoreWithKEK(keyset.KEK{}))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.requireOld(s.path)
	report, err := s.restore(registry.RestoreWithKEK(s.mode.kek))
	s.Require().NoError(err)
	s.Require().True(report.ValuesRead)
	s.restored()
}

// Values that were exchanged look as they should, and open with no key.
func (s *restoreSuite) TestADamagedBackupIsRefused() {
	swap := "UPDATE config SET value = '{' WHERE key = 'before'"
	want := registry.ErrCorrupt
	var opts []registry.RestoreOption
	if s.mode.encrypted() {
		swap = "UPDATE config SET value = (SELECT value FROM config WHERE key = 'greeting') WHERE key = 'before'"
		opts = append(opts, registry.RestoreWithKEK(s.mode.kek))
	}
	whole := s.backup
	for name, damage := range map[string]func(){
		"value":    func() { sqliteExec(s.T(), s.backup, swap) },
		"guard":    func() { sqliteExec(s.T(), s.backup, "DROP TRIGGER config_delete") },
		"revision": func() { sqliteExec(s.T(), s.backup, "DROP TRIGGER changes_delete", "DELETE FROM changes") },
		"cut":      func() { s.Require().NoError(os.Truncate(s.backup, 3*4096)) },
	} {
		s.backup = filepath.Join(s.T().TempDir(), "damaged.db")
		copyFile(s.T(), whole, s.backup)
		damage()
		before := folder(s.T(), filepath.Dir(s.path))
		_, err := s.restore(opts...)
		s.Require().ErrorIs(err, want, name)
		s.Require().ErrorContains(err, s.backup, name)
		s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)), name)
	}
}
