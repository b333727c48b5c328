package tests

import (
	"context"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// moduleText is one of a module's texts.
type moduleText struct {
	field string
	set   func(m *registry.ModuleMetadata, text string)
}

var moduleTexts = []moduleText{
	{"the name", func(m *registry.ModuleMetadata, text string) { m.Name = text }},
	{"the version", func(m *registry.ModuleMetadata, text string) { m.Version = text }},
	{"the description", func(m *registry.ModuleMetadata, text string) { m.Description = &text }},
}

// shortModule makes a module whose texts fit any limit.
func shortModule() registry.ModuleMetadata {
	return registry.ModuleMetadata{ID: "m", Name: "m", Version: "1", Kind: registry.KindWasm}
}

func (s *moduleSuite) TestTextsAreBoundedAsValuesAre() {
	ctx := s.T().Context()
	const limit = 12
	reg := s.fresh(registry.WithMaxValue(limit))
	for _, t := range moduleTexts {
		s.Run(t.field, func() {
			m := shortModule()
			t.set(&m, strings.Repeat("ж", limit/2)) // bytes count, not runes
			before := s.upsert(reg, m, registry.StateLoaded)
			t.set(&m, strings.Repeat("ж", limit/2)+"x")
			_, err := reg.UpsertModule(ctx, m, registry.StateLoaded)
			s.Require().ErrorIs(err, registry.ErrInvalid)
			s.Require().ErrorContains(err, t.field+" has 13 bytes, at most 12 are allowed")
			err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.UpsertModule(ctx, m, registry.StateLoaded)
				return err
			})
			s.Require().ErrorIs(err, registry.ErrInvalid)
			s.Require().NoError(m.Validate(), "which knows no registry")
			got, err := reg.GetModule(ctx, "m")
			s.Require().NoError(err)
			s.Require().Equal(before, got.Revision)
		})
	}
}

func (s *moduleSuite) TestWithoutALimitOfItsOwnATextIsBoundedByTheDefault() {
	if s.mode.origin {
		s.T().Skip("texts that large take long")
	}
	long := strings.Repeat("x", registry.DefaultMaxValue+1)
	larger := s.fresh(registry.WithMaxValue(registry.DefaultMaxValue + 1))
	for _, t := range moduleTexts {
		m := shortModule()
		t.set(&m, long[1:])
		s.Require().NoError(m.Validate())
		t.set(&m, long)
		s.Require().ErrorIs(m.Validate(), registry.ErrInvalid)
		s.Require().ErrorContains(m.Validate(), t.field)
		_, err := s.reg.UpsertModule(s.T().Context(), m, registry.StateLoaded)
		s.Require().ErrorIs(err, registry.ErrInvalid)
		s.upsert(larger, m, registry.StateLoaded)
	}
	s.Require().Empty(s.list())
}

func (s *moduleSuite) TestTheLimitBindsWritesOnly() {
	s.upsert(s.reg, mirror(), registry.StateLoaded)
	s.reopen(registry.WithMaxValue(1))
	got, err := s.reg.GetModule(s.T().Context(), "oxide-mirror")
	s.Require().NoError(err)
	s.Require().Equal(mirror(), got.ModuleMetadata)
	_, err = s.reg.SetModuleState(s.T().Context(), "oxide-mirror", registry.StateStarting)
	s.Require().NoError(err)
}
