package tests

import (
	"errors"
	"testing/fstest"

	"github.com/oxide-k/stateregistry/registry"
)

// A module that a subsystem's rows refer to stays, and the error says why.
func (s *moduleSuite) TestAModuleThatOthersReferToStays() {
	ctx := s.T().Context()
	for name, column := range map[string]string{
		"immediate": "module TEXT NOT NULL REFERENCES modules (id)",
		"restrict":  "module TEXT NOT NULL REFERENCES modules (id) ON DELETE RESTRICT",
		"deferred":  "module TEXT NOT NULL REFERENCES modules (id) DEFERRABLE INITIALLY DEFERRED",
	} {
		s.Run(name, func() {
			reg := s.fresh(registry.WithMigrations("jobs", fstest.MapFS{
				"00001_jobs.sql": {Data: []byte("CREATE TABLE jobs (" + column + ")")},
			}))
			for _, id := range []string{"held", "free"} {
				_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: id, Kind: registry.KindWasm}, registry.StateLoaded)
				s.Require().NoError(err)
			}
			s.Require().NoError(s.exec(reg, "INSERT INTO jobs VALUES ('held')"))
			deleted, err := reg.DeleteModule(ctx, "held")
			s.Require().ErrorIs(err, registry.ErrConflict)
			s.Require().False(deleted)
			detail, ok := errors.AsType[*registry.Error](err)
			s.Require().True(ok)
			s.Require().Equal("held", detail.Key)
			s.Require().EqualValues(1, detail.Revision)
			deleted, err = reg.DeleteModule(ctx, "free")
			s.Require().NoError(err)
			s.Require().True(deleted)
			_, err = reg.GetModule(ctx, "held")
			s.Require().NoError(err)
			s.Require().NoError(s.exec(reg, "DELETE FROM jobs"))
			deleted, err = reg.DeleteModule(ctx, "held")
			s.Require().NoError(err)
			s.Require().True(deleted)
		})
	}
}
