package tests

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestWatch(t *testing.T) {
	runInModes(t, func() *watchSuite { return &watchSuite{} })
}

// watchSuite is about what a watch gives. What it leaves behind is watchEndSuite's.
type watchSuite struct{ rowSuite }

func (s *watchSuite) set(reg *registry.Registry, keys ...string) {
	for _, key := range keys {
		_, err := reg.SetConfig(s.T().Context(), key, key)
		s.Require().NoError(err)
	}
}

func (s *watchSuite) TestItGivesWhatTheLogHasAndThenWhatComes() {
	s.set(s.reg, "a", "b", "c")
	w := beginWatch(s.T(), s.reg, 1)
	s.Require().Equal([]int64{2, 3}, w.revisions(2))
	s.set(s.reg, "d")
	at, err := s.reg.Changes(s.T().Context(), 3, 1)
	s.Require().NoError(err)
	s.Require().Equal(at[0], w.next())
	deleted, err := s.reg.DeleteConfig(s.T().Context(), "d")
	s.Require().NoError(err)
	s.Require().True(deleted)
	change := w.next()
	s.Require().WithinDuration(time.Now(), change.At, time.Hour)
	change.At = time.Time{}
	s.Require().Equal(registry.Change{Revision: 5, Subject: registry.SubjectConfig, Key: "d", Op: registry.OpDelete}, change)
	w.stop()
}

func (s *watchSuite) TestEachRowOfAStatementIsAChange() {
	ctx := s.T().Context()
	w := beginWatch(s.T(), s.reg, 0)
	for _, id := range []string{"m1", "m2", "m3"} {
		_, err := s.reg.UpsertModule(ctx, registry.ModuleMetadata{ID: id, Kind: registry.KindWasm}, registry.StateLoaded)
		s.Require().NoError(err)
	}
	s.Require().NoError(s.exec(s.reg, `UPDATE modules SET name = 'x'`))
	s.Require().NoError(s.exec(s.reg, `INSERT OR REPLACE INTO modules (id, name, version, kind, state, updated_at)
		VALUES ('m1', 'y', '', '"wasm"', '"loaded"', '2026-01-01T00:00:00Z')`))
	s.Require().NoError(s.exec(s.reg, `DELETE FROM modules WHERE id > 'm1'`))
	var keys []string
	for revision := int64(1); revision <= 9; revision++ {
		change := w.next()
		s.Require().Equal(revision, change.Revision)
		s.Require().Equal(registry.SubjectModule, change.Subject)
		keys = append(keys, string(change.Op)+" "+change.Key)
	}
	s.Require().Equal([]string{
		"put m1", "put m2", "put m3", "put m1", "put m2", "put m3", "put m1", "delete m2", "delete m3",
	}, keys)
}

func (s *watchSuite) TestFromNowIsTheCall() {
	s.set(s.reg, "before")
	elements := s.reg.Watch(s.T().Context(), registry.FromNow)
	s.set(s.reg, "between")
	for change, err := range elements {
		s.Require().NoError(err)
		s.Require().EqualValues(2, change.Revision)
		break
	}
	w := beginWatch(s.T(), s.reg, registry.FromNow)
	s.set(s.reg, "after")
	s.Require().EqualValues(3, w.next().Revision)
}

func (s *watchSuite) TestOptionsSayWhatItIsAbout() {
	ctx := s.T().Context()
	reg := s.fresh(registry.WithMigrations("audit", fstest.MapFS{"00001_log.sql": {Data: []byte(`
		CREATE TABLE audit_log (id TEXT PRIMARY KEY);
		CREATE TRIGGER audit_log_insert AFTER INSERT ON audit_log BEGIN
			INSERT INTO changes (subject, key, op, at) VALUES ('audit', NEW.id, 'put', '2026-01-01T00:00:00Z');
		END;`)}}))
	all := beginWatch(s.T(), reg, 0)
	config := beginWatch(s.T(), reg, 0, registry.InSubject(registry.SubjectConfig))
	audit := beginWatch(s.T(), reg, 0, registry.InSubject("audit"))
	both := beginWatch(s.T(), reg, 0, registry.InSubject("audit", registry.SubjectModule), registry.WithPrefix(""))
	prefix := beginWatch(s.T(), reg, 0, registry.WithPrefix("a/"))
	configPrefix := beginWatch(s.T(), reg, 0, registry.WithPrefix("a/"), registry.InSubject(registry.SubjectConfig))
	nothing := beginWatch(s.T(), reg, 0, registry.WithPrefix("a/"), registry.WithPrefix("b/"))

	s.set(reg, "a", "a/1", "A/1", "b/a/1")                                              // 1 to 4
	s.Require().NoError(s.exec(reg, "INSERT INTO audit_log VALUES ('a/2'), ('other')")) // 5, 6
	_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "a/m", Kind: registry.KindNative}, registry.StateLoaded)
	s.Require().NoError(err)
	s.set(reg, "a/3") // 8
	for _, c := range []struct {
		watch *watching
		want  []int64
	}{
		{all, upTo(1, 8)},
		{config, []int64{1, 2, 3, 4, 8}},
		{audit, []int64{5, 6}},
		{both, []int64{5, 6, 7}},
		{prefix, []int64{2, 5, 7, 8}},
		{configPrefix, []int64{2, 8}},
		{nothing, nil},
	} {
		s.Require().Equal(c.want, c.watch.revisions(len(c.want)))
		c.watch.stop()
	}
}

// A watcher that is told of a change reads the row, or a newer one, and never an older one.
func (s *watchSuite) TestNothingComesBeforeItsCommit() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	undone := errors.New("undone")
	elements := s.reg.Watch(ctx, registry.FromNow)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 50 {
			err := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				for range 3 {
					if _, err := tx.SetConfig(ctx, "k", i); err != nil {
						return err
					}
				}
				if i%3 == 1 {
					return undone
				}
				return nil
			})
			if i%3 == 1 {
				s.ErrorIs(err, undone)
				continue
			}
			s.NoError(err)
		}
	}()
	want := int64(1)
	for change, err := range elements {
		s.Require().NoError(err)
		s.Require().Equal(want, change.Revision)
		entry, err := s.reg.GetConfigEntry(ctx, "k")
		s.Require().NoError(err)
		s.Require().GreaterOrEqual(entry.Revision, change.Revision)
		if want++; want > 99 {
			break
		}
	}
	s.Require().EqualValues(100, want)
	<-written
}

// Listing and then watching misses nothing and repeats nothing, whatever is written meanwhile.
func (s *watchSuite) TestAListAndAWatchMeetWithoutAGap() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	enough := make(chan struct{})
	go func() {
		for i := range 1 << 30 {
			select {
			case <-enough:
				_, err := s.reg.SetConfig(ctx, "last", true)
				s.NoError(err)
				return
			default:
			}
			key := fmt.Sprint("k", i%20)
			if i%7 == 3 {
				_, err := s.reg.DeleteConfig(ctx, key)
				s.NoError(err)
				continue
			}
			_, err := s.reg.SetConfig(ctx, key, i)
			s.NoError(err)
		}
	}()
	state := map[string]int64{} // the revision of each entry
	var listed int64
	s.Require().NoError(s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) (err error) { // in the midst of it
		entries, err := tx.ListConfig(ctx, "")
		for _, entry := range entries {
			state[entry.Key] = entry.Revision
		}
		s.Require().NoError(err)
		listed, err = tx.Revision(ctx)
		return err
	}))
	for change, err := range s.reg.Watch(ctx, listed) {
		s.Require().NoError(err)
		if change.Revision == listed+200 {
			close(enough)
		}
		if state[change.Key] = change.Revision; change.Op == registry.OpDelete {
			delete(state, change.Key)
		}
		if change.Key == "last" {
			break
		}
	}
	entries, err := s.reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(state, len(entries))
	for _, entry := range entries {
		s.Require().Equal(entry.Revision, state[entry.Key], entry.Key)
	}
}

func (s *watchSuite) TestASlowWatcherHoldsUpNobodyAndMissesNothing() {
	slow := beginWatch(s.T(), s.reg, 0)
	s.set(s.reg, "first")
	s.Require().EqualValues(1, slow.next().Revision) // and now it waits for the second to be taken
	const writes = 3000                              // more than what is kept in memory
	fast := beginWatch(s.T(), s.reg, 1)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 30 {
			s.NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
				for i := range writes / 30 {
					if _, err := tx.SetConfig(ctx, fmt.Sprint("k", i%5), i); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	}()
	s.Require().Equal(upTo(2, writes+1), fast.revisions(writes))
	<-written
	halfway := beginWatch(s.T(), s.reg, writes/2)
	s.Require().Equal(upTo(2, writes+1), slow.revisions(writes))
	s.Require().Equal(upTo(writes/2+1, writes+1), halfway.revisions(writes/2+1))
	s.set(s.reg, "last")
	for _, w := range []*watching{slow, fast, halfway} {
		s.Require().EqualValues(writes+2, w.next().Revision)
		w.stop()
	}
}
