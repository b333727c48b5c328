package tests

import (
	"fmt"
	"sync"

	"github.com/oxide-k/stateregistry/registry"
)

// Writes that share a transaction number themselves, also where the log is compacted within it.
func (s *triggerSuite) TestRevisionsAreRightWhereTheLogIsCompacted() {
	ctx := s.T().Context()
	reg, err := s.mode.open(ctx, s.mode.path(s.T()), registry.WithLogLimit(10), registry.WithDurability(registry.Normal))
	s.Require().NoError(err)
	defer func() { closeVerified(s.T(), reg) }()
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range s.mode.rounds(200) {
				key := fmt.Sprint("k", g)
				revision, err := reg.SetConfig(ctx, key, i)
				s.NoError(err)
				entry, err := reg.GetConfigEntry(ctx, key)
				s.NoError(err)
				s.Equal(entry.Revision, revision)
			}
		})
	}
	all.Wait()
}
