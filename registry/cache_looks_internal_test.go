package registry

import (
	"context"
	"errors"
)

// An Update that came to nothing may have read what others committed: whoever asks next is not told what was before.
func (s *readCacheSuite) TestWhatAnUpdateReadIsNotDeniedThoughItFailed() {
	s.set(2)
	s.sees(1)
	own := errors.New("own")
	s.Require().Same(own, s.reg.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
		n, err := Get[int](ctx, tx, "k")
		s.Require().NoError(err)
		s.Require().Equal(2, n)
		return own
	}))
	s.sees(2)
}

// A look that noticed commits and could not take them in has noticed them all the same: the observer says so only once.
func (s *readCacheSuite) TestWhatALookNoticedIsNotForgottenWhereItFailed() {
	other := func(n int) {
		_, err := s.other.SetConfig(s.ctx, "l", n)
		s.Require().NoError(err)
	}
	other(1)
	s.now += cacheMaxAge
	n, err := Get[int](s.ctx, s.reg, "l")
	s.Require().NoError(err)
	s.Require().Equal(1, n)
	other(2)
	s.Require().NoError(s.other.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.ExecContext(ctx, "ALTER TABLE keyset RENAME TO elsewhere")
		return err
	}))
	s.now += cacheMaxAge
	s.sees(1) // the look that fails: the database has the word
	n, err = Get[int](s.ctx, s.reg, "l")
	s.Require().NoError(err)
	s.Require().Equal(2, n)
}
