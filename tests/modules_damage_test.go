package tests

import (
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/schema"
)

func TestDamagedModules(t *testing.T) {
	runInModes(t, func() *damagedModuleSuite { return &damagedModuleSuite{} })
}

// damagedModuleSuite is about rows that another program left with something that is no kind, state or time.
type damagedModuleSuite struct{ moduleRows }

// damages are statements that spoil the module "b", and what of it can still be read.
var damages = map[string]struct {
	statement string
	spoil     func(*registry.ModuleRecord)
}{
	"unknown kind": {`UPDATE modules SET kind = '"plugin"' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.Kind = `"plugin"` }},
	"empty kind": {`UPDATE modules SET kind = '' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.Kind = "" }},
	"kind in capitals": {`UPDATE modules SET kind = '"Wasm"' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.Kind = `"Wasm"` }},
	"unknown state": {`UPDATE modules SET state = '"paused"' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.State = `"paused"` }},
	"kind without quotes": {`UPDATE modules SET kind = 'wasm' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.Kind = registry.KindWasm + schema.WithoutQuotes }},
	"state without quotes": {`UPDATE modules SET state = 'running' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.State = registry.StateRunning + schema.WithoutQuotes }},
	"no time": {`UPDATE modules SET updated_at = 'yesterday' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.UpdatedAt = time.Time{} }},
	"a number for a time": {`UPDATE modules SET updated_at = 1747744496 WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.UpdatedAt = time.Time{} }},
	"a date only": {`UPDATE modules SET updated_at = '2026-05-20' WHERE id = 'b'`,
		func(m *registry.ModuleRecord) { m.UpdatedAt = time.Time{} }},
}

func (s *damagedModuleSuite) TestDamagedRowHidesOnlyItselfAndCanBeRepaired() {
	for name, c := range damages {
		s.Run(name, func() {
			ctx, reg := s.T().Context(), s.fresh()
			for _, id := range []string{"a", "b", "c"} {
				s.upsert(reg, registry.ModuleMetadata{ID: id, Name: "module " + id, Kind: registry.KindWasm}, registry.StateRunning)
			}
			want, err := reg.GetModule(ctx, "b")
			s.Require().NoError(err)
			s.Require().NoError(s.exec(reg, c.statement))
			c.spoil(&want)
			want.Revision = 4

			got, err := reg.GetModule(ctx, "b")
			s.Require().ErrorIs(err, registry.ErrDecode)
			s.Require().Contains(err.Error(), `"b"`)
			s.Require().Equal(want, got)

			listed, err := reg.ListModules(ctx)
			s.Require().ErrorIs(err, registry.ErrDecode)
			var detail *registry.Error
			s.Require().ErrorAs(err, &detail)
			s.Require().Equal("b", detail.Key)
			s.Require().Len(listed, 2)
			s.Require().Equal("a", listed[0].ID)
			s.Require().Equal("c", listed[1].ID)

			report, err := reg.Verify(ctx)
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.Require().Len(report.Problems, 1)
			s.Require().Equal(registry.SubjectModule, report.Problems[0].Subject)
			s.Require().Equal("b", report.Problems[0].Key)

			s.upsert(reg, registry.ModuleMetadata{ID: "b", Kind: registry.KindWasm}, registry.StateRunning)
			listed, err = reg.ListModules(ctx)
			s.Require().NoError(err)
			s.Require().Len(listed, 3)
		})
	}
}

func (s *damagedModuleSuite) TestEveryDamagedRowIsNamed() {
	ctx := s.T().Context()
	for _, id := range []string{"first", "fine", "second"} {
		s.upsert(s.reg, registry.ModuleMetadata{ID: id, Kind: registry.KindWasm}, registry.StateRunning)
	}
	s.Require().NoError(s.exec(s.reg, `UPDATE modules SET kind = '?' WHERE id IN ('first', 'second')`))
	listed, err := s.reg.ListModules(ctx, registry.ByState(registry.StateRunning))
	s.Require().ErrorIs(err, registry.ErrDecode)
	s.Require().Contains(err.Error(), `"first"`)
	s.Require().Contains(err.Error(), `"second"`)
	s.Require().NotContains(err.Error(), `"fine"`)
	s.Require().Len(listed, 1)

	for _, id := range []string{"first", "second"} {
		deleted, err := s.reg.DeleteModule(ctx, id)
		s.Require().NoError(err)
		s.Require().True(deleted)
	}
}

func (s *damagedModuleSuite) TestStateOfADamagedRowCanBeSet() {
	ctx := s.T().Context()
	s.upsert(s.reg, mirror(), registry.StateRunning)
	s.Require().NoError(s.exec(s.reg, `UPDATE modules SET state = '"paused"', updated_at = 'now'`))
	_, err := s.reg.TransitionModule(ctx, "oxide-mirror", registry.StateRunning, registry.StateStopped)
	s.Require().ErrorIs(err, registry.ErrConflict)
	_, err = s.reg.SetModuleState(ctx, "oxide-mirror", registry.StateFailed)
	s.Require().NoError(err)
	got, err := s.reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(registry.StateFailed, got.State)
}

// The state is not one that a transition may start from, whichever it is meant to be, and can be set anew.
func (s *damagedModuleSuite) TestAStateWithoutItsQuotesIsNoState() {
	ctx := s.T().Context()
	s.upsert(s.reg, mirror(), registry.StateRunning)
	s.Require().NoError(s.exec(s.reg, "UPDATE modules SET state = 'stopped'"))
	_, err := s.reg.TransitionModule(ctx, "oxide-mirror", registry.StateStopped, registry.StateStarting)
	s.Require().ErrorIs(err, registry.ErrConflict)
	_, err = s.reg.SetModuleState(ctx, "oxide-mirror", registry.StateStopped)
	s.Require().NoError(err)
	got, err := s.reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(registry.StateStopped, got.State)
}

// oxide-k reads text columns as text: a blob there is an error to it, whatever its bytes are.
func (s *damagedModuleSuite) TestAColumnThatIsNoTextIsFound() {
	for _, column := range []string{"name", "version", "kind", "state", "description", "updated_at"} {
		s.Run(column, func() {
			reg := s.fresh()
			s.upsert(reg, mirror(), registry.StateRunning)
			s.Require().NoError(s.exec(reg, "UPDATE modules SET description = 'mirrors'"))
			_, err := reg.Verify(s.T().Context())
			s.Require().NoError(err)
			s.Require().NoError(s.exec(reg, "UPDATE modules SET "+column+" = CAST("+column+" AS BLOB)"))
			report, err := reg.Verify(s.T().Context())
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.Require().Equal("oxide-mirror", report.Problems[0].Key)
			s.upsert(reg, mirror(), registry.StateRunning)
		})
	}
}

func (s *damagedModuleSuite) TestATimeThatPeopleWriteByHandIsRead() {
	ctx := s.T().Context()
	s.upsert(s.reg, mirror(), registry.StateRunning)
	s.Require().NoError(s.exec(s.reg, "UPDATE modules SET updated_at = datetime('2026-05-20 12:34:56')"))
	got, err := s.reg.GetModule(ctx, "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(time.Date(2026, 5, 20, 12, 34, 56, 0, time.UTC), got.UpdatedAt)
}
