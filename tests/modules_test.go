package tests

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestModules(t *testing.T) {
	runInModes(t, func() *moduleSuite { return &moduleSuite{} })
}

type moduleSuite struct{ moduleRows }

// moduleRows is what the suites about modules have in common.
type moduleRows struct{ rowSuite }

var (
	allKinds  = []registry.ModuleKind{registry.KindNative, registry.KindWasm}
	allStates = []registry.ModuleState{
		registry.StateLoaded, registry.StateStarting, registry.StateRunning,
		registry.StateStopping, registry.StateStopped, registry.StateFailed,
	}
)

// mirror is a module with something in each column.
func mirror() registry.ModuleMetadata {
	description := "event-sourced\nlocal data mirror — 鏡"
	return registry.ModuleMetadata{
		ID: "oxide-mirror", Name: "Oxide Mirror", Version: "0.3.0-rc.1+build.7", Kind: registry.KindNative, Description: &description,
	}
}

func (s *moduleRows) upsert(reg *registry.Registry, m registry.ModuleMetadata, state registry.ModuleState) int64 {
	revision, err := reg.UpsertModule(s.T().Context(), m, state)
	s.Require().NoError(err)
	return revision
}

func (s *moduleSuite) TestUpsertAndGet() {
	ctx := s.T().Context()
	now := time.Date(2026, 5, 20, 12, 34, 56, 7, time.FixedZone("elsewhere", -7*60*60))
	reg := s.fresh(registry.WithClock(func() time.Time { return now }))
	first := s.upsert(reg, mirror(), registry.StateLoaded)
	got, err := reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(registry.ModuleRecord{
		ModuleMetadata: mirror(), State: registry.StateLoaded, UpdatedAt: now.UTC(), Revision: first,
	}, got)

	now = now.Add(time.Hour)
	changed := registry.ModuleMetadata{ID: "oxide-mirror", Name: "Mirror", Version: "0.4.0", Kind: registry.KindWasm}
	second := s.upsert(reg, changed, registry.StateRunning)
	s.Require().Equal(first+1, second)
	got, err = reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(registry.ModuleRecord{
		ModuleMetadata: changed, State: registry.StateRunning, UpdatedAt: now.UTC(), Revision: second,
	}, got)
}

func (s *moduleSuite) TestRowsHaveTheFormThatOxideKWrites() {
	reg := s.fresh(registry.WithClock(func() time.Time { return time.Date(2026, 5, 20, 12, 34, 56, 120000000, time.UTC) }))
	s.upsert(reg, mirror(), registry.StateRunning)
	got := s.text(reg, `SELECT id || '|' || name || '|' || version || '|' || kind || '|' || state || '|' || updated_at FROM modules`)
	s.Require().Equal(
		`oxide-mirror|Oxide Mirror|0.3.0-rc.1+build.7|"native"|"running"|2026-05-20T12:34:56.120000000+00:00`, got)
}

func (s *moduleSuite) TestEveryKindAndStateRoundTrips() {
	for _, kind := range allKinds {
		for _, state := range allStates {
			s.upsert(s.reg, registry.ModuleMetadata{ID: "m", Kind: kind}, state)
			got, err := s.reg.GetModule(s.T().Context(), "m")
			s.Require().NoError(err)
			s.Require().Equal(kind, got.Kind)
			s.Require().Equal(state, got.State)
		}
	}
}

func (s *moduleSuite) TestStateChangeTouchesNothingElse() {
	ctx := s.T().Context()
	now := time.Date(2026, 5, 20, 12, 34, 56, 7, time.UTC)
	reg := s.fresh(registry.WithClock(func() time.Time { return now }))
	s.upsert(reg, mirror(), registry.StateLoaded)
	before, err := reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)

	for _, change := range []func() (int64, error){
		func() (int64, error) { return reg.SetModuleState(ctx, "oxide-mirror", registry.StateRunning) },
		func() (int64, error) {
			return reg.TransitionModule(ctx, "oxide-mirror", registry.StateRunning, registry.StateFailed)
		},
		func() (int64, error) { return reg.SetModuleState(ctx, "oxide-mirror", registry.StateFailed) }, // the same again
	} {
		now = now.Add(time.Minute)
		revision, err := change()
		s.Require().NoError(err)
		s.Require().Equal(before.Revision+1, revision)
		after, err := reg.GetModule(ctx, "oxide-mirror")
		s.Require().NoError(err)
		s.Require().Equal(registry.ModuleRecord{
			ModuleMetadata: before.ModuleMetadata, State: after.State, UpdatedAt: now, Revision: revision,
		}, after)
		before = after
	}
	s.Require().Equal(registry.StateFailed, before.State)
}

func (s *moduleSuite) TestUnknownModule() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				_, err := w.GetModule(ctx, "nope")
				s.Require().ErrorIs(err, registry.ErrUnknownModule)
				_, err = w.SetModuleState(ctx, "nope", registry.StateRunning)
				s.Require().ErrorIs(err, registry.ErrUnknownModule)
				_, err = w.TransitionModule(ctx, "nope", registry.StateLoaded, registry.StateRunning)
				s.Require().ErrorIs(err, registry.ErrUnknownModule)
				deleted, err := w.DeleteModule(ctx, "nope")
				s.Require().False(deleted)
				return err
			})
			s.Require().NoError(err)
		})
	})
}

func (s *moduleSuite) TestTransitionDemandsTheStateItComesFrom() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		created := s.upsert(reg, mirror(), registry.StateLoaded)
		err := run(func(ctx context.Context, w registry.Writer) error {
			for _, from := range allStates[1:] {
				_, err := w.TransitionModule(ctx, "oxide-mirror", from, registry.StateRunning)
				s.Require().ErrorIs(err, registry.ErrConflict)
				var detail *registry.Error
				s.Require().ErrorAs(err, &detail)
				s.Require().Equal(created, detail.Revision)
				s.Require().Equal("oxide-mirror", detail.Key)
			}
			revision, err := w.TransitionModule(ctx, "oxide-mirror", registry.StateLoaded, registry.StateStarting)
			s.Require().Equal(created+1, revision) // the refused ones left no trace
			return err
		})
		s.Require().NoError(err)
		got, err := reg.GetModule(s.T().Context(), "oxide-mirror")
		s.Require().NoError(err)
		s.Require().Equal(registry.StateStarting, got.State)
	})
}

func (s *moduleSuite) TestDeleteReportsWhetherThereWasAModule() {
	ctx := s.T().Context()
	created := s.upsert(s.reg, mirror(), registry.StateStopped)
	s.upsert(s.reg, registry.ModuleMetadata{ID: "other", Kind: registry.KindWasm}, registry.StateLoaded)
	deleted, err := s.reg.DeleteModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().True(deleted)
	_, err = s.reg.GetModule(ctx, "oxide-mirror")
	s.Require().ErrorIs(err, registry.ErrUnknownModule)
	s.Require().Equal([]string{"other"}, s.list())
	deleted, err = s.reg.DeleteModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().False(deleted)
	s.Require().Equal(created+3, s.upsert(s.reg, mirror(), registry.StateLoaded))
}

func (s *moduleSuite) TestListFilters() {
	for id, m := range map[string]struct {
		kind  registry.ModuleKind
		state registry.ModuleState
	}{
		"d": {registry.KindNative, registry.StateRunning},
		"b": {registry.KindWasm, registry.StateRunning},
		"a": {registry.KindNative, registry.StateFailed},
		"c": {registry.KindWasm, registry.StateStopped},
	} {
		s.upsert(s.reg, registry.ModuleMetadata{ID: id, Kind: m.kind}, m.state)
	}
	for _, c := range []struct {
		want    []string
		filters []registry.ModuleFilter
	}{
		{[]string{"a", "b", "c", "d"}, nil},
		{[]string{"a", "d"}, []registry.ModuleFilter{registry.ByKind(registry.KindNative)}},
		{[]string{"a", "b", "c", "d"}, []registry.ModuleFilter{registry.ByKind(allKinds...)}},
		{[]string{"b", "d"}, []registry.ModuleFilter{registry.ByState(registry.StateRunning)}},
		{[]string{"a", "c"}, []registry.ModuleFilter{registry.ByState(registry.StateStopped, registry.StateFailed)}},
		{[]string{"b"}, []registry.ModuleFilter{registry.ByState(registry.StateRunning), registry.ByKind(registry.KindWasm)}},
		{[]string{}, []registry.ModuleFilter{registry.ByKind(registry.KindWasm), registry.ByKind(registry.KindNative)}},
		{[]string{}, []registry.ModuleFilter{registry.ByState(registry.StateLoaded)}},
		{[]string{}, []registry.ModuleFilter{registry.ByKind()}},
		{[]string{"c", "d"}, []registry.ModuleFilter{func(m registry.ModuleRecord) bool { return m.ID > "b" }}},
	} {
		s.Require().Equal(c.want, s.list(c.filters...))
	}
}

func (s *moduleSuite) list(filters ...registry.ModuleFilter) []string {
	modules, err := s.reg.ListModules(s.T().Context(), filters...)
	s.Require().NoError(err)
	ids := []string{}
	for _, m := range modules {
		ids = append(ids, m.ID)
	}
	return ids
}

func (s *moduleSuite) TestNoDescriptionIsNotAnEmptyOne() {
	ctx := s.T().Context()
	empty, text := "", "語\n"
	for _, description := range []*string{nil, &empty, &text, &empty, nil} {
		s.upsert(s.reg, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm, Description: description}, registry.StateLoaded)
		got, err := s.reg.GetModule(ctx, "m")
		s.Require().NoError(err)
		s.Require().Equal(description, got.Description)
		listed, err := s.reg.ListModules(ctx)
		s.Require().NoError(err)
		s.Require().Equal([]registry.ModuleRecord{got}, listed)
	}
}

func (s *moduleSuite) TestWhatOthersCouldNotReadIsInvalid() {
	bad := func(change func(*registry.ModuleMetadata)) registry.ModuleMetadata {
		m := mirror()
		change(&m)
		return m
	}
	noText := "\xff"
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		s.upsert(reg, mirror(), registry.StateLoaded)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for _, m := range []registry.ModuleMetadata{
					bad(func(m *registry.ModuleMetadata) { m.Kind = "" }),
					bad(func(m *registry.ModuleMetadata) { m.Kind = "Native" }),
					bad(func(m *registry.ModuleMetadata) { m.Kind = `"native"` }),
					bad(func(m *registry.ModuleMetadata) { m.Name = "\xff" }),
					bad(func(m *registry.ModuleMetadata) { m.Name = "a\x00b" }),
					bad(func(m *registry.ModuleMetadata) { m.Version = "1\xff" }),
					bad(func(m *registry.ModuleMetadata) { m.Version = "1\x00" }),
					bad(func(m *registry.ModuleMetadata) { m.Description = &noText }),
				} {
					_, err := w.UpsertModule(ctx, m, registry.StateRunning)
					s.Require().ErrorIs(err, registry.ErrInvalid, "%+v", m)
				}
				for _, state := range []registry.ModuleState{"", "Running", "paused", `"running"`, "running\x00"} {
					_, err := w.UpsertModule(ctx, mirror(), state)
					s.Require().ErrorIs(err, registry.ErrInvalid, state)
					_, err = w.SetModuleState(ctx, "oxide-mirror", state)
					s.Require().ErrorIs(err, registry.ErrInvalid, state)
					_, err = w.TransitionModule(ctx, "oxide-mirror", state, registry.StateRunning)
					s.Require().ErrorIs(err, registry.ErrInvalid, state)
					_, err = w.TransitionModule(ctx, "oxide-mirror", registry.StateLoaded, state)
					s.Require().ErrorIs(err, registry.ErrInvalid, state)
				}
				return nil
			})
			s.Require().NoError(err)
		})
	})
}

func (s *moduleSuite) TestLongTextsAreKept() {
	m := mirror()
	m.Name, m.Version = strings.Repeat("n", 100_000), strings.Repeat("ü", 5_000)
	s.upsert(s.reg, m, registry.StateLoaded)
	got, err := s.reg.GetModule(s.T().Context(), m.ID)
	s.Require().NoError(err)
	s.Require().Equal(m, got.ModuleMetadata)
}
