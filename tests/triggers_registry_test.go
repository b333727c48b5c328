package tests

import (
	"context"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/registry"
)

// A change of the registry as a whole may leave numbers out, whoever makes it: the log begins anew with it, and goes on from there. That
// holds for each log limit, and if it leaves none out.
func (s *triggerSuite) TestAChangeOfTheRegistryBeginsTheLogAnew() {
	ctx := s.T().Context()
	for _, limit := range []int64{1, 1 << 40} {
		for _, revision := range []int64{6, 128, 1 << 62} {
			reg, err := s.mode.open(ctx, s.mode.path(s.T()), registry.WithLogLimit(limit))
			s.Require().NoError(err)
			s.prepare(reg)
			s.Require().NoError(s.exec(reg, s.filled(reg, fmt.Sprintf(
				"INSERT INTO changes VALUES (%d, '%s', '%s', 'put', @at)", revision, registry.SubjectRegistry, reg.ID()))))
			next, err := reg.SetConfig(ctx, "a", 9)
			s.Require().NoError(err)
			s.Require().Equal(revision+1, next)
			changes, err := reg.Changes(ctx, revision-1, 10)
			s.Require().NoError(err)
			s.Require().Len(changes, 2)
			_, err = reg.Changes(ctx, revision-2, 10)
			s.Require().ErrorIs(err, registry.ErrCompacted)
			closeVerified(s.T(), reg)
		}
	}
}

// In the transaction that makes it too.
func (s *triggerSuite) TestAChangeOfTheRegistryThatIsUndone() {
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()))
	s.Require().NoError(err)
	s.prepare(reg)
	undone := errors.New("undone")
	jump := s.filled(reg, "INSERT INTO changes VALUES (1000, 'registry', '"+reg.ID()+"', 'put', @at)")
	err = reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, jump)
		s.Require().NoError(err)
		next, err := tx.SetConfig(ctx, "a", 9)
		s.Require().NoError(err)
		s.Require().EqualValues(1001, next)
		return undone
	})
	s.Require().ErrorIs(err, undone)
	changes, err := reg.Changes(s.T().Context(), 0, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 5)
	closeVerified(s.T(), reg)
}

// A subsystem that happens to have that name appends no change of the registry's.
func (s *triggerSuite) TestAChangeOfTheRegistryNamesTheRegistry() {
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()))
	s.Require().NoError(err)
	s.prepare(reg)
	for _, statement := range []string{
		"INSERT INTO changes VALUES (1000, 'registry', 'x', 'put', @at)",
		"INSERT INTO changes VALUES (6, 'registry', '', 'put', @at)",
		"INSERT INTO changes (subject, key, op, at) VALUES ('registry', 'x', 'put', @at)",
		"INSERT OR REPLACE INTO changes (subject, key, op, at) VALUES ('registry', upper('" + reg.ID() + "z'), 'put', @at)",
	} {
		s.Require().Error(s.exec(reg, s.filled(reg, statement)), statement)
	}
	changes, err := reg.Changes(s.T().Context(), 0, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 5)
	closeVerified(s.T(), reg)
}
