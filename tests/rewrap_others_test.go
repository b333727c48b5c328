package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/registry"
)

// Revoking a key-encryption key takes Rewrap and RotateKeyset, in that order.
func (s *rotationSuite) TestWhoHasTheOldKEKIsOutAfterARewrapAndARotation() {
	s.fill(s.reg, 10)
	old := s.open()
	defer old.Close()
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	s.holds(old, 10)
	_, err := old.SetConfig(s.ctx, numberKey(5), 5)
	s.Require().NoError(err, "it keeps the keyset that it has")
	_, err = old.RotateKeyset(s.ctx)
	s.Require().ErrorIs(err, registry.ErrWrongKey, "but changes it no more")
	s.Require().ErrorIs(old.Rewrap(s.ctx, kekOf(3)), registry.ErrWrongKey)

	s.rotate(s.reg)
	_, err = registry.Get[int](s.ctx, old, numberKey(1))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	_, err = old.SetConfig(s.ctx, numberKey(1), 1)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	_, err = old.KeysetInfo(s.ctx)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	entries, err := old.ListConfig(s.ctx, "")
	s.Require().NoError(err, "the keys are no secret")
	s.Require().Len(entries, 10)
	s.Require().ErrorIs(entries[0].Decode(new(int)), registry.ErrWrongKey)
	entry, err := old.GetConfigEntry(s.ctx, numberKey(1))
	s.Require().NoError(err)
	s.Require().ErrorIs(entry.Decode(new(int)), registry.ErrWrongKey)
	_, err = registry.Modify(s.ctx, old, numberKey(1), func(int, bool) (int, error) { return 7, nil })
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	err = old.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, numberKey(1), 7)
		s.Require().ErrorIs(err, registry.ErrWrongKey)
		return err
	})
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.holds(s.reg, 10)
}

// Whose key is the wrong one by now has found no damage, also where both are raw keys, which have no parameters.
func (s *rotationSuite) TestVerifyTakesARewrapOfOthersForNoDamage() {
	s.fill(s.reg, 3)
	old := s.open()
	defer old.Close()
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	for range 2 {
		report, err := old.Verify(s.ctx)
		s.Require().ErrorIs(err, registry.ErrWrongKey)
		s.Require().NotErrorIs(err, registry.ErrCorrupt)
		s.Require().Empty(report.Problems)
		s.rotate(s.reg)
	}
}
