package tests

import (
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConfig(t *testing.T) {
	runInModes(t, func() *configSuite { return &configSuite{} })
}

type configSuite struct{ rowSuite }

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

func (s *configSuite) TestMissingEntryIsConfigNotFound() {
	ctx := s.T().Context()
	untouched := "as it was"
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "nope", &untouched), registry.ErrConfigNotFound)
	s.Require().Equal("as it was", untouched)
	_, err := s.reg.GetConfigEntry(ctx, "nope")
	s.Require().ErrorIs(err, registry.ErrConfigNotFound)
}

func (s *configSuite) TestDeleteReportsWhetherThereWasAnEntry() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "once", true)
	s.Require().NoError(err)

	deleted, err := s.reg.DeleteConfig(ctx, "once")
	s.Require().NoError(err)
	s.Require().True(deleted)
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "once", new(bool)), registry.ErrConfigNotFound)

	s.unchanged(s.reg, func() {
		deleted, err = s.reg.DeleteConfig(ctx, "once")
		s.Require().NoError(err)
		s.Require().False(deleted)
	})
}

func (s *configSuite) TestStructsRoundTrip() {
	type endpoint struct {
		URL     string            `json:"url"`
		Retries int               `json:"retries,omitempty"`
		Timeout *time.Duration    `json:"timeout"`
		Labels  map[string]string `json:"labels"`
		Next    []endpoint        `json:"next,omitempty"`
	}
	ctx, timeout := s.T().Context(), 3*time.Second
	want := endpoint{
		URL: "https://example.com/?a=1&b=<2>", Retries: 3, Timeout: &timeout,
		Labels: map[string]string{"ключ": "значение 🔑", "": "empty"},
		Next:   []endpoint{{URL: "second"}, {}},
	}
	_, err := s.reg.SetConfig(ctx, "endpoint", want)
	s.Require().NoError(err)
	got, err := registry.Get[endpoint](ctx, s.reg, "endpoint")
	s.Require().NoError(err)
	s.Require().Equal(want, got)
}

func (s *configSuite) TestEntryHasTheRevisionAndTimeOfItsNewestWrite() {
	ctx := s.T().Context()
	now := time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.FixedZone("elsewhere", 2*60*60))
	reg := s.fresh(registry.WithClock(func() time.Time { return now }))
	_, err := reg.SetConfig(ctx, "a", 1)
	s.Require().NoError(err)
	first := now
	now = now.Add(time.Nanosecond)
	revision, err := reg.SetConfig(ctx, "a", 2)
	s.Require().NoError(err)
	_, err = reg.SetConfig(ctx, "b", 3)
	s.Require().NoError(err)

	entry, err := reg.GetConfigEntry(ctx, "a")
	s.Require().NoError(err)
	s.Require().Equal("a", entry.Key)
	s.Require().Equal(revision, entry.Revision)
	s.Require().Equal(first.Add(time.Nanosecond).UTC(), entry.UpdatedAt)
	s.Require().Equal(s.mode.encrypted(), entry.Encrypted)
	var value int
	s.Require().NoError(entry.Decode(&value))
	s.Require().Equal(2, value)

	listed, err := reg.ListConfig(ctx, "a")
	s.Require().NoError(err)
	s.Require().Equal([]registry.ConfigEntry{entry}, listed)
}

func (s *configSuite) TestAnEntryStaysAsItWasRead() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "a", []string{"old"})
	s.Require().NoError(err)
	entry, err := s.reg.GetConfigEntry(ctx, "a")
	s.Require().NoError(err)
	_, err = s.reg.SetConfig(ctx, "a", []string{"new"})
	s.Require().NoError(err)

	var value []string
	s.Require().NoError(entry.Decode(&value))
	value[0] = "altered by the caller"
	s.Require().NoError(entry.Decode(&value))
	s.Require().Equal([]string{"old"}, value)
}

func (s *configSuite) TestStoredValueIsIndependentOfTheCallersCopy() {
	ctx := s.T().Context()
	value := map[string][]byte{"k": []byte("before")}
	_, err := s.reg.SetConfig(ctx, "a", value)
	s.Require().NoError(err)
	copy(value["k"], "AFTER!")
	got, err := registry.Get[map[string][]byte](ctx, s.reg, "a")
	s.Require().NoError(err)
	s.Require().Equal("before", string(got["k"]))
}

func (s *configSuite) TestEntriesSurviveReopening() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "a", 1)
	s.Require().NoError(err)
	before, err := s.reg.GetConfigEntry(ctx, "a")
	s.Require().NoError(err)
	s.reopen(registry.WithMustExist())
	after, err := s.reg.GetConfigEntry(ctx, "a")
	s.Require().NoError(err)
	s.Require().Equal(plainEntries(s.T(), before), plainEntries(s.T(), after))
}

func (s *configSuite) TestClockWithoutATimeIsInvalid() {
	ctx := s.T().Context()
	now := time.Now()
	reg := s.fresh(registry.WithClock(func() time.Time { return now }))
	_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm}, registry.StateLoaded)
	s.Require().NoError(err)
	for _, now = range []time.Time{{}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		s.unchanged(reg, func() {
			_, err := reg.SetConfig(ctx, "a", 1)
			s.Require().ErrorIs(err, registry.ErrInvalid)
			_, err = reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm}, registry.StateFailed)
			s.Require().ErrorIs(err, registry.ErrInvalid)
			_, err = reg.SetModuleState(ctx, "m", registry.StateFailed)
			s.Require().ErrorIs(err, registry.ErrInvalid)
		})
	}
}
