package tests

import (
	"context"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConditions(t *testing.T) {
	runInModes(t, func() *conditionSuite { return &conditionSuite{} })
}

// conditionSuite is about writes that happen only at a revision.
type conditionSuite struct{ rowSuite }

// conditional is a write that takes IfRevision. All of them write to the key or id "k".
type conditional struct {
	// write gives the revision; for a delete 1 where there was a row.
	write   func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error)
	creates bool  // whether it makes a missing row
	deletes bool  // whether the row is gone after it
	absent  error // what it gives for a missing row where it creates none and the condition is not what failed
	module  bool
}

var conditionals = map[string]conditional{
	"SetConfig": {creates: true,
		write: func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error) {
			return w.SetConfig(ctx, "k", "written", opts...)
		}},
	"DeleteConfig": {deletes: true,
		write: func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error) {
			deleted, err := w.DeleteConfig(ctx, "k", opts...)
			return count(deleted), err
		}},
	"UpsertModule": {creates: true, module: true,
		write: func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error) {
			return w.UpsertModule(ctx, registry.ModuleMetadata{ID: "k", Kind: registry.KindWasm}, registry.StateFailed, opts...)
		}},
	"SetModuleState": {module: true, absent: registry.ErrUnknownModule,
		write: func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error) {
			return w.SetModuleState(ctx, "k", registry.StateStopped, opts...)
		}},
	"DeleteModule": {deletes: true, module: true,
		write: func(ctx context.Context, w registry.Writer, opts ...registry.WriteOption) (int64, error) {
			deleted, err := w.DeleteModule(ctx, "k", opts...)
			return count(deleted), err
		}},
}

func count(deleted bool) int64 {
	if deleted {
		return 1
	}
	return 0
}

// create makes the row "k" that c writes to, and one of the other table with the same name, and returns c's revision.
func (s *conditionSuite) create(reg *registry.Registry, c conditional) int64 {
	ctx := s.T().Context()
	module, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "k", Kind: registry.KindNative}, registry.StateLoaded)
	s.Require().NoError(err)
	config, err := reg.SetConfig(ctx, "k", "created")
	s.Require().NoError(err)
	if c.module {
		return module
	}
	return config
}

// remove deletes both rows.
func (s *conditionSuite) remove(reg *registry.Registry) {
	for _, remove := range []func(context.Context, string, ...registry.WriteOption) (bool, error){
		reg.DeleteConfig, reg.DeleteModule,
	} {
		_, err := remove(s.T().Context(), "k")
		s.Require().NoError(err)
	}
}

// each runs a test for each conditional write, on both Writers.
func (s *conditionSuite) each(test func(
	c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error,
)) {
	for name, c := range conditionals {
		if s.mode.origin && c.module {
			continue // modules are not encrypted
		}
		s.Run(name, func() {
			s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
				test(c, reg, run)
			})
		})
	}
}

// refused checks that a write was a conflict, and says at which revision the row is.
func (s *conditionSuite) refused(err error, current int64) {
	s.Require().ErrorIs(err, registry.ErrConflict)
	var detail *registry.Error
	s.Require().ErrorAs(err, &detail)
	s.Require().Equal(current, detail.Revision)
	s.Require().Equal("k", detail.Key)
}

func (s *conditionSuite) TestWriteAtTheRevisionHappens() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		at := s.create(reg, c)
		before, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		err = run(func(ctx context.Context, w registry.Writer) error {
			got, err := c.write(ctx, w, registry.IfRevision(at))
			want := before + 1
			if c.deletes {
				want = 1
			}
			s.Require().Equal(want, got)
			return err
		})
		s.Require().NoError(err)
		after, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().Equal(before+1, after)
	})
}

func (s *conditionSuite) TestWriteAtAnotherRevisionIsAConflict() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		at := s.create(reg, c)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for _, other := range []int64{0, at - 1, at + 1, at + 100, 1<<63 - 1} {
					got, err := c.write(ctx, w, registry.IfRevision(other))
					s.refused(err, at)
					s.Require().Zero(got)
				}
				return nil
			})
			s.Require().NoError(err)
		})
		// A conflict ends nothing: the transaction goes on, and the caller may retry at the revision that it was told.
		err := run(func(ctx context.Context, w registry.Writer) error {
			_, err := c.write(ctx, w, registry.IfRevision(at+1))
			s.refused(err, at)
			_, err = c.write(ctx, w, registry.IfRevision(at))
			return err
		})
		s.Require().NoError(err)
	})
}

func (s *conditionSuite) TestMissingRowIsAtNoRevision() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		at := s.create(reg, c)
		s.remove(reg)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				got, err := c.write(ctx, w, registry.IfRevision(at))
				s.Require().Zero(got)
				if c.absent != nil {
					s.Require().ErrorIs(err, c.absent)
				} else {
					s.refused(err, 0)
				}
				return nil
			})
			s.Require().NoError(err)
		})
	})
}

func (s *conditionSuite) TestRevisionZeroDemandsThatThereIsNoRow() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		err := run(func(ctx context.Context, w registry.Writer) error {
			got, err := c.write(ctx, w, registry.IfRevision(0))
			switch {
			case c.absent != nil:
				s.Require().ErrorIs(err, c.absent)
				return nil
			case c.deletes:
				s.Require().Zero(got)
				return err
			}
			s.Require().NoError(err)
			s.Require().True(c.creates)
			s.Require().Equal(int64(1), got)
			_, err = c.write(ctx, w, registry.IfRevision(0))
			s.refused(err, 1)
			return nil
		})
		s.Require().NoError(err)
		after, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().Equal(count(c.creates), after)
	})
}

func (s *conditionSuite) TestRevisionOfADeletedRowIsNotThatOfItsSuccessor() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		old := s.create(reg, c)
		s.remove(reg)
		successor := s.create(reg, c)
		s.Require().Greater(successor, old)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				_, err := c.write(ctx, w, registry.IfRevision(old))
				s.refused(err, successor)
				return nil
			})
			s.Require().NoError(err)
		})
	})
}

func (s *conditionSuite) TestOnlyTheRowsOwnChangesCount() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		at := s.create(reg, c)
		_, err := reg.SetConfig(s.T().Context(), "another", 1)
		s.Require().NoError(err)
		err = run(func(ctx context.Context, w registry.Writer) error {
			_, err := c.write(ctx, w, registry.IfRevision(at))
			return err
		})
		s.Require().NoError(err)
	})
}

func (s *conditionSuite) TestWritesOfOneTransactionSeeEachOther() {
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		at := int64(0)
		for range 3 {
			next, err := tx.SetConfig(ctx, "k", at, registry.IfRevision(at))
			s.Require().NoError(err)
			_, err = tx.SetConfig(ctx, "k", at, registry.IfRevision(at))
			s.refused(err, next)
			at = next
		}
		return nil
	})
	s.Require().NoError(err)
}

func (s *conditionSuite) TestConditionsThatMakeNoSenseAreInvalid() {
	s.each(func(c conditional, reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		at := s.create(reg, c)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for _, opts := range [][]registry.WriteOption{
					{registry.IfRevision(-1)},
					{registry.IfRevision(-1 << 63)},
					{registry.IfRevision(at), registry.IfRevision(at)},
					{registry.IfRevision(0), registry.IfRevision(at)},
					{registry.IfRevision(at), nil},
				} {
					got, err := c.write(ctx, w, opts...)
					s.Require().ErrorIs(err, registry.ErrInvalid)
					s.Require().Zero(got)
				}
				return nil
			})
			s.Require().NoError(err)
		})
	})
}
