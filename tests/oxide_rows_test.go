package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

func TestOxideRows(t *testing.T) { suite.Run(t, &oxideRowsSuite{}) }

// oxideRowsSuite is about rows whose key or id an oxide-k kernel allows and this module does not write.
type oxideRowsSuite struct{ oxideFixture }

// oxideNames are such keys and ids, and some beside them that are like others. An oxide-k kernel's are UTF-8, as all strings of Rust.
var oxideNames = []string{
	"", "\x00", "\x00\x00", "a\x00b", "a\x00", "a", "\x00a", "a\x00\x00b", "a\x01", strings.Repeat("k", registry.MaxKey), strings.Repeat("k", registry.MaxKey+1),
	strings.Repeat("k", 5<<10), strings.Repeat("k", 5<<10) + "\x00", strings.Repeat("ж", 100_000), "\U0010FFFF\x00",
}

// written says whether this module writes such a name.
func written(name string) bool {
	return name != "" && len(name) <= registry.MaxKey && !strings.Contains(name, "\x00")
}

// oddValue returns the value of such an entry; some are longer than what lists read at once.
func oddValue(i int) string { return strings.Repeat("v", i%3*9000) + fmt.Sprint(i) }

func (s *oxideRowsSuite) SetupTest() {
	s.oxideFixture.SetupTest()
	s.Require().NoError(s.reg.Close())
	s.path = s.copyOfPlain()
	k := s.kernel()
	for i, name := range oxideNames {
		s.Require().NoError(k.setConfig(name, `"`+oddValue(i)+`"`))
		s.Require().NoError(k.upsertModule(name, fmt.Sprint(i), `"loaded"`))
	}
	s.Require().NoError(k.Close())
	s.reg = s.open()
}

// readsAll checks that each row can be read by each way there is.
func (s *oxideRowsSuite) readsAll(reg *registry.Registry) {
	ctx := s.T().Context()
	test := func(r registry.Reader) {
		for i, name := range oxideNames {
			for range 2 { // the second time a cache has it
				got, err := registry.Get[string](ctx, r, name)
				s.Require().NoError(err, "%.20q", name)
				s.Require().Equal(oddValue(i), got)
			}
			_, found, err := registry.TryGet[string](ctx, r, name)
			s.Require().NoError(err)
			s.Require().True(found)
			e, err := r.GetConfigEntry(ctx, name)
			s.Require().NoError(err)
			s.Require().Equal(name, e.Key)
			m, err := r.GetModule(ctx, name)
			s.Require().NoError(err)
			s.Require().Equal(name, m.ID)
			s.Require().Equal(fmt.Sprint(i), m.Name)
			s.Require().NotContains(fmt.Sprint(e), "\n")
		}
		all := append(slices.Collect(maps.Keys(s.expected.Config)), oxideNames...)
		for _, prefix := range append([]string{"k", "kk", "ж", "\U0010FFFF", "on", "a\x00\x00"}, oxideNames...) {
			s.Require().Equal(withPrefix(all, prefix), s.listedKeys(r, prefix), "%.20q", prefix)
		}
		modules, err := r.ListModules(ctx)
		s.Require().NoError(err)
		s.Require().Len(modules, 6+len(oxideNames))
	}
	test(reg)
	s.Require().NoError(reg.View(ctx, func(inner context.Context, tx *registry.Tx) error {
		ctx = inner
		test(tx)
		return nil
	}))
	ctx = s.T().Context()
	report, err := reg.Verify(ctx)
	s.Require().NoError(err, "%v", report.Problems)
	s.Require().EqualValues(len(oxideNames)+len(s.expected.Config), report.Config)
}

// listedKeys returns what a list and a scan both give.
func (s *oxideRowsSuite) listedKeys(r registry.Reader, prefix string) []string {
	entries, err := r.ListConfig(s.T().Context(), prefix)
	s.Require().NoError(err)
	one, err := scanned(r.ScanConfig(s.T().Context(), prefix))
	s.Require().NoError(err)
	s.Require().Len(one, len(entries))
	keys := []string{}
	for i, e := range entries {
		s.Require().Equal(e.Key, one[i].Key)
		var a, b json.RawMessage
		s.Require().NoError(e.Decode(&a))
		s.Require().NoError(one[i].Decode(&b))
		s.Require().Equal(string(a), string(b))
		keys = append(keys, e.Key)
	}
	return keys
}

func (s *oxideRowsSuite) TestTheyAreRead() {
	s.readsAll(s.reg)
	s.reopen(registry.WithReadCache(16 << 20))
	s.readsAll(s.reg)
	s.reopen(registry.WithReadOnly())
	s.readsAll(s.reg)
}

func (s *oxideRowsSuite) TestTheyAreNotWritten() {
	ctx := s.T().Context()
	s.reopen(registry.WithReadCache(16 << 20))
	s.unchanged(s.reg, func() {
		for _, name := range oxideNames {
			if written(name) {
				continue
			}
			s.Require().NoError(s.reg.GetConfig(ctx, name, new(string)))
			for _, call := range writeCalls {
				s.Require().ErrorIs(keyCalls[call](ctx, s.reg, name), registry.ErrInvalid, "%s of %.20q", call, name)
			}
			_, err := registry.Setting[string]{Name: name}.Set(ctx, s.reg, "new")
			s.Require().ErrorIs(err, registry.ErrInvalid)
			_, err = registry.Setting[string]{Name: name}.Get(ctx, s.reg)
			s.Require().ErrorIs(err, registry.ErrInvalid, "a setting that cannot be set is a mistake")
			_, err = registry.Setting[string]{Name: name}.Modify(ctx, s.reg, func(string) (string, error) { panic("it is called") })
			s.Require().ErrorIs(err, registry.ErrInvalid)
		}
	})
}

func (s *oxideRowsSuite) TestEachIsDeletedAlone() {
	ctx := s.T().Context()
	left := append(slices.Collect(maps.Keys(s.expected.Config)), oxideNames...)
	for i, name := range oxideNames {
		e, err := s.reg.GetConfigEntry(ctx, name)
		s.Require().NoError(err)
		_, err = s.reg.DeleteConfig(ctx, name, registry.IfRevision(e.Revision+1))
		s.Require().ErrorIs(err, registry.ErrConflict)
		deleted, err := s.reg.DeleteConfig(ctx, name, registry.IfRevision(e.Revision))
		s.Require().NoError(err)
		s.Require().True(deleted)
		deleted, err = s.reg.DeleteModule(ctx, name)
		s.Require().NoError(err)
		s.Require().True(deleted)
		deleted, err = s.reg.DeleteConfig(ctx, name)
		s.Require().NoError(err)
		s.Require().False(deleted)
		_, err = s.reg.GetModule(ctx, name)
		s.Require().ErrorIs(err, registry.ErrUnknownModule)
		left = slices.DeleteFunc(left, func(other string) bool { return other == name })
		s.Require().Equal(withPrefix(left, ""), s.listedKeys(s.reg, ""))
		modules, err := s.reg.ListModules(ctx)
		s.Require().NoError(err)
		s.Require().Len(modules, 6+len(oxideNames)-i-1)
	}
}

func (s *oxideRowsSuite) TestTheirChangesAreFollowed() {
	ctx := s.T().Context()
	from, err := s.reg.Revision(ctx)
	s.Require().NoError(err)
	k := s.kernel()
	for i, name := range oxideNames {
		s.Require().NoError(k.setConfig(name, fmt.Sprint(i)))
		s.Require().NoError(k.deleteConfig(name))
	}
	changes, err := s.reg.Changes(ctx, from, 1000)
	s.Require().NoError(err)
	for i, name := range oxideNames {
		s.Require().Equal(name, changes[2*i].Key)
		s.Require().Equal(registry.OpPut, changes[2*i].Op)
		s.Require().Equal(name, changes[2*i+1].Key)
		s.Require().Equal(registry.OpDelete, changes[2*i+1].Op)
	}
	for _, prefix := range oxideNames {
		var want, got []registry.Change
		for _, c := range changes {
			if strings.HasPrefix(c.Key, prefix) {
				want = append(want, c)
			}
		}
		for c, err := range s.reg.Watch(ctx, from, registry.WithPrefix(prefix)) {
			s.Require().NoError(err)
			if got = append(got, c); len(got) == len(want) {
				break
			}
		}
		s.Require().Equal(want, got)
	}
}

func (s *oxideRowsSuite) TestTheyGoThroughTheLifeOfAKey() {
	ctx := s.T().Context()
	want := s.rows(s.reg)
	s.Require().NoError(s.reg.Close())
	report, err := registry.Encrypt(ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	s.Require().EqualValues(len(oxideNames)+len(s.expected.Config), report.Entries)
	s.reg, err = registry.OpenEncrypted(ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	s.readsAll(s.reg)
	rotated, err := s.reg.RotateKeyset(ctx)
	s.Require().NoError(err)
	s.Require().Equal(report.Entries, rotated.Reencrypted)
	s.Require().NoError(s.reg.Rewrap(ctx, kekOf(2)))
	s.readsAll(s.reg)

	copied := filepath.Join(s.T().TempDir(), "copy.db")
	s.Require().NoError(s.reg.Backup(ctx, copied))
	reg, err := registry.OpenEncrypted(ctx, copied, kekOf(2))
	s.Require().NoError(err)
	s.readsAll(reg)
	_, err = reg.DeleteConfig(ctx, "a\x00b")
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())

	s.Require().NoError(s.reg.Close())
	s.Require().NoError(registry.Decrypt(ctx, s.path, kekOf(2)))
	s.reg = s.open()
	s.readsAll(s.reg)
	s.Require().Equal(want, s.rows(s.reg))
}

// Pages that end between such keys leave none out, and come to an end.
func (s *oxideRowsSuite) TestPagesEndBetweenThem() {
	ctx := s.T().Context()
	s.Require().NoError(s.reg.Close())
	k := s.kernel()
	_, err := k.Exec(`INSERT INTO config (key, value, updated_at) SELECT 'p' || char(0) || printf('%.*c', value % 41, 'x') || char(0) || value,
		'1', '2026-01-01T00:00:00+00:00' FROM json_each(?)`, zeros(9000))
	s.Require().NoError(err)
	_, err = k.Exec(`INSERT INTO config (key, value, updated_at) SELECT CAST(zeroblob(value + 3) AS TEXT), '2', '2026-01-01T00:00:00+00:00'
		FROM json_each(?)`, zeros(300))
	s.Require().NoError(err)
	s.Require().NoError(k.Close())
	s.reg = s.open()
	s.Require().Len(s.listedKeys(s.reg, "p\x00"), 9000)
	s.Require().Len(s.listedKeys(s.reg, "\x00\x00"), 301)
	verified, err := s.reg.Verify(ctx)
	s.Require().NoError(err)
	s.Require().NoError(s.reg.Close())
	report, err := registry.Encrypt(ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	s.Require().Equal(verified.Config, report.Entries)
	s.reg, err = registry.OpenEncrypted(ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	rotated, err := s.reg.RotateKeyset(ctx)
	s.Require().NoError(err)
	s.Require().Equal(verified.Config, rotated.Reencrypted)
	s.Require().Len(s.listedKeys(s.reg, "p\x00"), 9000)
}

// What is not UTF-8 is no program's: it hides no other row, and Verify names it.
func (s *oxideRowsSuite) TestAKeyThatIsNotUTF8IsDamage() {
	ctx := s.T().Context()
	k := s.kernel()
	s.Require().NoError(k.setConfig("a\xffb", `"`+strings.Repeat("v", 10_000)+`"`))
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "a\xffb", new(any)), registry.ErrInvalid)
	s.Require().Len(s.listedKeys(s.reg, ""), 1+len(oxideNames)+len(s.expected.Config))
	report, err := s.reg.Verify(ctx)
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().Len(report.Problems, 1)
	s.Require().Equal("a\xffb", report.Problems[0].Key)
	s.Require().NoError(k.deleteConfig("a\xffb"))
}
