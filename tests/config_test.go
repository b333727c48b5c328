package tests

import (
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConfig(t *testing.T) {
	runInModes(t, func() *configSuite { return &configSuite{} })
}

type configSuite struct{ modeSuite }

func (s *configSuite) TestRoundTripAndOverwrite() {
	ctx := s.T().Context()
	first, err := s.reg.SetConfig(ctx, "max_threads", 8)
	s.Require().NoError(err)
	second, err := s.reg.SetConfig(ctx, "max_threads", 16)
	s.Require().NoError(err)
	s.Require().Equal(first+1, second)

	threads, err := registry.Get[uint32](ctx, s.reg, "max_threads")
	s.Require().NoError(err)
	s.Require().EqualValues(16, threads)
}
