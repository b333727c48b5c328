package tests

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/fstest"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestChanges(t *testing.T) {
	runInModes(t, func() *changeSuite { return &changeSuite{} })
}

// changeSuite is about revisions and the change log, as the API shows them.
type changeSuite struct{ rowSuite }

// write makes n changes, on three keys.
func (s *changeSuite) write(reg *registry.Registry, n int) {
	err := reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range n {
			if _, err := tx.SetConfig(ctx, fmt.Sprint("key", i%3), i); err != nil {
				return err
			}
		}
		return nil
	})
	s.Require().NoError(err)
}

func (s *changeSuite) revision(reg *registry.Registry) int64 {
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	return revision
}

// bounds are the oldest and newest revision in the log, and how many it holds.
func (s *changeSuite) bounds(reg *registry.Registry) (oldest, newest int64, entries int) {
	log := s.rows(reg).log
	s.Require().NotEmpty(log)
	return log[0].revision, log[len(log)-1].revision, len(log)
}

func (s *changeSuite) TestNewRegistryIsAtRevisionZero() {
	ctx := s.T().Context()
	s.Require().Zero(s.revision(s.reg))
	changes, err := s.reg.Changes(ctx, 0, 10)
	s.Require().NoError(err)
	s.Require().Empty(changes)
	_, err = s.reg.Changes(ctx, 1, 10)
	s.Require().ErrorIs(err, registry.ErrCompacted)
}

func (s *changeSuite) TestEveryWriteIsListedInOrder() {
	ctx := s.T().Context()
	now := time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.UTC)
	reg := s.fresh(registry.WithClock(func() time.Time { return now }))
	_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm}, registry.StateLoaded)
	s.Require().NoError(err)
	_, err = reg.SetConfig(ctx, "m", 1)
	s.Require().NoError(err)
	_, err = reg.SetModuleState(ctx, "m", registry.StateRunning)
	s.Require().NoError(err)
	_, err = reg.SetConfig(ctx, "m", 1) // the same again is a write, too
	s.Require().NoError(err)
	_, err = reg.DeleteConfig(ctx, "m")
	s.Require().NoError(err)
	_, err = reg.DeleteModule(ctx, "m")
	s.Require().NoError(err)

	changes, err := reg.Changes(ctx, 0, 100)
	s.Require().NoError(err)
	s.Require().Len(changes, 6)
	for i := range changes[4:] { // timed by SQLite
		s.Require().WithinDuration(time.Now(), changes[4+i].At, time.Hour)
		changes[4+i].At = time.Time{}
	}
	s.Require().Equal([]registry.Change{
		{Revision: 1, Subject: registry.SubjectModule, Key: "m", Op: registry.OpPut, At: now},
		{Revision: 2, Subject: registry.SubjectConfig, Key: "m", Op: registry.OpPut, At: now},
		{Revision: 3, Subject: registry.SubjectModule, Key: "m", Op: registry.OpPut, At: now},
		{Revision: 4, Subject: registry.SubjectConfig, Key: "m", Op: registry.OpPut, At: now},
		{Revision: 5, Subject: registry.SubjectConfig, Key: "m", Op: registry.OpDelete},
		{Revision: 6, Subject: registry.SubjectModule, Key: "m", Op: registry.OpDelete},
	}, changes)
}

func (s *changeSuite) TestMaxIsRespectedAndPagesMeet() {
	ctx := s.T().Context()
	s.write(s.reg, 25)
	for _, max := range []int{1, 7, 24, 25, 26, math.MaxInt} {
		next := int64(1)
		for next <= 25 {
			page, err := s.reg.Changes(ctx, next-1, max)
			s.Require().NoError(err)
			s.Require().Len(page, min(max, 25-int(next)+1))
			for _, change := range page {
				s.Require().Equal(next, change.Revision)
				next++
			}
		}
	}
}

func (s *changeSuite) TestArgumentsThatMakeNoSenseAreInvalid() {
	ctx := s.T().Context()
	s.write(s.reg, 1)
	for _, args := range []struct {
		after int64
		max   int
	}{{-1, 1}, {math.MinInt64, 1}, {0, 0}, {0, -1}, {0, math.MinInt}} {
		_, err := s.reg.Changes(ctx, args.after, args.max)
		s.Require().ErrorIs(err, registry.ErrInvalid, "%+v", args)
	}
}

func (s *changeSuite) TestUpdateSeesItsOwnRevisionsAndTakesThemBack() {
	s.write(s.reg, 5)
	undone := errors.New("undone")
	for _, outcome := range []error{undone, nil} {
		before := s.rows(s.reg)
		err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			for i := range int64(3) {
				revision, err := tx.SetConfig(ctx, "k", i)
				s.Require().NoError(err)
				s.Require().Equal(6+i, revision)
				current, err := tx.Revision(ctx)
				s.Require().NoError(err)
				s.Require().Equal(revision, current)
			}
			changes, err := tx.Changes(ctx, 5, 10)
			s.Require().NoError(err)
			s.Require().Len(changes, 3)
			return outcome
		})
		s.Require().ErrorIs(err, outcome)
		if outcome != nil {
			s.Require().Equal(before, s.rows(s.reg))
		}
	}
	s.Require().EqualValues(8, s.revision(s.reg))
}

func (s *changeSuite) TestRevisionsAreNotGivenTwice() {
	s.write(s.reg, 3)
	deleted, err := s.reg.DeleteConfig(s.T().Context(), "key2") // the newest
	s.Require().NoError(err)
	s.Require().True(deleted)
	s.reopen()
	s.Require().EqualValues(4, s.revision(s.reg))
	s.Require().NoError(s.exec(s.reg, "DELETE FROM config"))
	s.Require().EqualValues(6, s.revision(s.reg))
	if !s.mode.memory {
		_, err := s.raw(s.path, "").Exec("VACUUM")
		s.Require().NoError(err)
	}
	s.reopen(registry.WithLogLimit(1))
	s.write(s.reg, 1)
	s.Require().EqualValues(7, s.revision(s.reg))
	s.write(s.reg, 100)
	s.reopen()
	s.Require().NoError(s.exec(s.reg, "DELETE FROM config"))
	s.Require().EqualValues(110, s.revision(s.reg))
	s.write(s.reg, 1)
	s.Require().EqualValues(111, s.revision(s.reg))
}

func (s *changeSuite) TestLogIsBounded() {
	for _, limit := range []int64{1, 63, 64, 65, 100} {
		s.Run(fmt.Sprint(limit), func() {
			reg := s.fresh(registry.WithLogLimit(limit))
			s.write(reg, 63)
			for range 15 { // the log is at its longest before a revision that 64 divides, and at its shortest there
				for _, n := range []int{1, 62, 1} {
					s.write(reg, n)
					oldest, newest, entries := s.bounds(reg)
					s.Require().EqualValues(newest-oldest+1, entries)
					s.Require().LessOrEqual(int64(entries), limit+63)
					s.Require().GreaterOrEqual(int64(entries), min(limit, newest))
				}
			}
			s.Require().EqualValues(1023, s.revision(reg))
		})
	}
}

func (s *changeSuite) TestLogLimitStaysInTheFile() {
	if s.mode.memory {
		s.T().Skip("there is no file to reopen")
	}
	s.reopen(registry.WithLogLimit(100))
	s.write(s.reg, 10)
	s.reopen()
	s.write(s.reg, 990)
	_, _, entries := s.bounds(s.reg)
	s.Require().LessOrEqual(entries, 163)
	s.reopen(registry.WithLogLimit(500))
	s.write(s.reg, 600)
	_, _, entries = s.bounds(s.reg)
	s.Require().GreaterOrEqual(entries, 500)
}

func (s *changeSuite) TestCompactedMeansExactlyWhatIsNoLongerThere() {
	ctx := s.T().Context()
	reg := s.fresh(registry.WithLogLimit(100))
	s.write(reg, 1000)
	oldest, newest, entries := s.bounds(reg)
	s.Require().Greater(oldest, int64(2))

	for _, c := range []struct {
		after int64
		want  int // -1: ErrCompacted
	}{
		{0, -1}, {1, -1}, {oldest - 2, -1},
		{oldest - 1, entries}, {oldest, entries - 1},
		{newest - 1, 1}, {newest, 0},
		{newest + 1, -1}, {newest + 1000, -1}, {math.MaxInt64, -1},
	} {
		changes, err := reg.Changes(ctx, c.after, math.MaxInt)
		if c.want < 0 {
			s.Require().ErrorIs(err, registry.ErrCompacted, "%d", c.after)
			s.Require().Nil(changes)
			continue
		}
		s.Require().NoError(err, "%d", c.after)
		s.Require().Len(changes, c.want)
		if c.want > 0 {
			s.Require().Equal(c.after+1, changes[0].Revision)
		}
	}
}

func (s *changeSuite) TestSubsystemsChangesAreListedAmongTheOthers() {
	ctx := s.T().Context()
	reg := s.fresh(registry.WithMigrations("audit", fstest.MapFS{"00001_log.sql": {Data: []byte(`
		CREATE TABLE audit_log (id TEXT PRIMARY KEY, at TEXT NOT NULL);
		CREATE TRIGGER audit_log_insert AFTER INSERT ON audit_log BEGIN
			INSERT INTO changes (subject, key, op, at) VALUES ('audit', NEW.id, 'put', NEW.at);
		END;`)}}))
	err := reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "first", 1)
		s.Require().NoError(err)
		_, err = tx.ExecContext(ctx, `INSERT INTO audit_log VALUES ('x', '2026-05-20T12:34:56Z'), ('y', 'no time')`)
		s.Require().NoError(err)
		revision, err := tx.SetConfig(ctx, "last", 1)
		s.Require().EqualValues(4, revision)
		return err
	})
	s.Require().NoError(err)

	changes, err := reg.Changes(ctx, 1, 2)
	s.Require().NoError(err)
	s.Require().Equal([]registry.Change{
		{Revision: 2, Subject: "audit", Key: "x", Op: registry.OpPut, At: time.Date(2026, 5, 20, 12, 34, 56, 0, time.UTC)},
		{Revision: 3, Subject: "audit", Key: "y", Op: registry.OpPut}, // a time that is none hides no change
	}, changes)
	entry, err := reg.GetConfigEntry(ctx, "last")
	s.Require().NoError(err)
	s.Require().EqualValues(4, entry.Revision)
}
