package decisionlog_test

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/registry"
)

func (s *decisionSuite) TestNewestFirstAndAtTheSameMomentTheLastLoggedFirst() {
	want := s.fill(12)
	later, earlier := id(20), id(21)
	for i, id := range []string{later, earlier} {
		d := valid()
		d.ID, d.Actor, d.At = id, "operator", noon.Add(time.Duration(1-2*i)) // a nanosecond
		s.log(d)
	}
	slices.Reverse(want)
	ids := func(list []decisionlog.Decision, err error) (ids []string) {
		s.Require().NoError(err)
		for _, d := range list {
			ids = append(ids, d.ID)
		}
		return ids
	}
	ctx, q := s.T().Context(), s.reg.ReadDB()
	all := append(append([]string{later}, ids(want, nil)...), earlier)
	s.Require().Equal(all, ids(decisionlog.Recent(ctx, q, 100)))
	s.Require().Equal(all[:3], ids(decisionlog.Recent(ctx, q, 3)))
	s.Require().Equal(all[1:13], ids(decisionlog.ByActor(ctx, q, mirror.ID, 100)))
	s.Require().Equal(all[1:3], ids(decisionlog.ByActor(ctx, q, mirror.ID, 2)))
	s.Require().Equal([]string{later, earlier}, ids(decisionlog.ByActor(ctx, q, "operator", 100)))
	n, err := decisionlog.Count(ctx, q)
	s.Require().NoError(err)
	s.Require().EqualValues(14, n)

	list, err := decisionlog.RecentWithModules(ctx, q, 4)
	s.Require().NoError(err)
	var joined []decisionlog.Decision
	for _, d := range list {
		joined = append(joined, d.Decision)
	}
	s.Require().Equal(all[:4], ids(joined, nil))
}

func (s *decisionSuite) TestAnActorMayBeAModuleOrNot() {
	d := valid()
	s.log(d)
	d.ID, d.Actor = id(2), "operator"
	s.log(d)
	byModule := decisionlog.WithModule{Decision: valid(), ModuleName: mirror.Name, ModuleState: registry.StateRunning}
	list, err := decisionlog.RecentWithModules(s.T().Context(), s.reg.ReadDB(), 10)
	s.Require().NoError(err)
	s.Require().Equal([]decisionlog.WithModule{{Decision: d}, byModule}, list)

	_, err = s.reg.DeleteModule(s.T().Context(), mirror.ID)
	s.Require().NoError(err)
	list, err = decisionlog.RecentWithModules(s.T().Context(), s.reg.ReadDB(), 10)
	s.Require().NoError(err)
	s.Require().Equal([]decisionlog.WithModule{{Decision: d}, {Decision: valid()}}, list, "decisions outlive modules")
}

func (s *decisionSuite) TestAListOfNoneIsEmptyAndALimitIsNeeded() {
	ctx, q := s.T().Context(), s.reg.ReadDB()
	list, err := decisionlog.ByActor(ctx, q, "nobody", 1)
	s.Require().NoError(err)
	s.Require().Equal([]decisionlog.Decision{}, list)
	for _, limit := range []int{0, -1} { // SQLite takes -1 for all
		_, err = decisionlog.Recent(ctx, q, limit)
		s.Require().ErrorIs(err, registry.ErrInvalid)
		_, err = decisionlog.RecentWithModules(ctx, q, limit)
		s.Require().ErrorIs(err, registry.ErrInvalid)
		_, err = decisionlog.ByActor(ctx, q, mirror.ID, limit)
		s.Require().ErrorIs(err, registry.ErrInvalid)
	}
}

// A backup is what VACUUM makes of the file.
func (s *decisionSuite) TestACopyOfTheFileHasTheSameDecisionsInTheSameOrderAndGoesOn() {
	s.fill(3)
	want, path := s.recent(), filepath.Join(s.T().TempDir(), "copy.db")
	s.Require().NoError(s.reg.Backup(s.T().Context(), path))
	for range 2 {
		reg, err := registry.Open(s.T().Context(), path, withDecisions())
		s.Require().NoError(err)
		s.reg = reg
		s.Require().Equal(want, s.recent())
		d := valid()
		d.ID = ""
		want = append([]decisionlog.Decision{s.log(d)}, want...)
		s.Require().Equal(want, s.recent())
		s.Require().NoError(reg.Close())
	}
}

func (s *decisionSuite) TestErrorsOfTheRegistryComeThrough() {
	s.Require().NoError(s.reg.Close())
	_, err := decisionlog.Count(s.T().Context(), s.reg.ReadDB())
	s.Require().ErrorIs(err, registry.ErrClosed)
	_, err = decisionlog.Recent(s.T().Context(), s.reg.ReadDB(), 1)
	s.Require().ErrorIs(err, registry.ErrClosed)
	_, err = decisionlog.RecentWithModules(s.T().Context(), s.reg.ReadDB(), 1)
	s.Require().ErrorIs(err, registry.ErrClosed)
	_, err = decisionlog.ByActor(s.T().Context(), s.reg.ReadDB(), mirror.ID, 1)
	s.Require().ErrorIs(err, registry.ErrClosed)
	_, err = decisionlog.Get(s.T().Context(), s.reg.ReadDB(), id(1))
	s.Require().ErrorIs(err, registry.ErrClosed)
}
