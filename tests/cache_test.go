package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

func TestReadCache(t *testing.T) {
	runInModes(t, func() *cacheSuite { return &cacheSuite{} })
}

// cacheSuite is about a registry with a cache and its own writes; cacheOthersSuite about the writes of others.
type cacheSuite struct{ rowSuite }

// cacheMirror is a subsystem whose triggers copy what is written to its table into config, as it is: text that SQL made.
var cacheMirror = fstest.MapFS{"00001_mirror.sql": {Data: []byte(`
CREATE TABLE mirror_texts (key TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TRIGGER mirror_copy AFTER INSERT ON mirror_texts BEGIN
    INSERT INTO config (key, value, updated_at) VALUES (NEW.key, NEW.text, '2026-01-01T00:00:00.000000000+00:00')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = '2026-01-02T00:00:00.000000000+00:00';
END;`)}}

const cacheBytes = 1 << 20

func (s *cacheSuite) SetupTest() {
	s.path = s.mode.path(s.T())
	s.reg = s.open(registry.WithReadCache(cacheBytes), registry.WithMigrations("mirror", cacheMirror))
}

func TestAReadCacheNeedsRoom(t *testing.T) {
	for _, bytes := range []int64{0, -1} {
		_, err := registry.Open(t.Context(), registry.InMemory, registry.WithReadCache(bytes))
		require.ErrorIs(t, err, registry.ErrInvalid)
	}
}

// holds requires that all ways to read an entry give a number, again and again; with want below 0 that there is none.
func (s *cacheSuite) holds(key string, want int) {
	ctx := s.T().Context()
	for range 3 {
		got, found, err := registry.TryGet[int](ctx, s.reg, key)
		s.Require().NoError(err)
		s.Require().Equal(want >= 0, found)
		set, err := registry.Setting[int]{Name: key, Default: 1000}.Get(ctx, s.reg)
		s.Require().NoError(err)
		var into any
		gave := s.reg.GetConfig(ctx, key, &into)
		if !found {
			s.Require().Equal(1000, set)
			s.Require().ErrorIs(gave, registry.ErrConfigNotFound)
			_, err := registry.Get[int](ctx, s.reg, key)
			s.Require().ErrorIs(err, registry.ErrConfigNotFound)
			continue
		}
		s.Require().NoError(gave)
		s.Require().Equal([]any{want, want, float64(want)}, []any{got, set, into})
	}
}

func (s *cacheSuite) TestEveryWriteOfItsOwnIsReadAtOnce() {
	ctx := s.T().Context()
	number := registry.Setting[int]{Name: "k"}
	undone := errors.New("undone")
	writes := map[string]func(n int) error{
		"SetConfig": func(n int) error { _, err := s.reg.SetConfig(ctx, "k", n); return err },
		"Set":       func(n int) error { _, err := number.Set(ctx, s.reg, n); return err },
		"Modify": func(n int) error {
			_, err := registry.Modify(ctx, s.reg, "k", func(int, bool) (int, error) { return n, nil })
			return err
		},
		"Update": func(n int) error {
			return s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.SetConfig(ctx, "k", n)
				return err
			})
		},
		"SQL": func(n int) error {
			return s.exec(s.reg, "UPDATE config SET value = ?", sealed(s.T(), s.reg, "k", fmt.Sprint(n)))
		},
		"a trigger's": func(n int) error {
			return s.exec(s.reg, "INSERT OR REPLACE INTO mirror_texts VALUES ('k', ?)", sealed(s.T(), s.reg, "k", fmt.Sprint(n)))
		},
	}
	s.holds("k", -1)
	n := 0
	for range 3 {
		for name, write := range writes {
			if n == 0 {
				name, write = "SetConfig", writes["SetConfig"] // SQL needs a row
			}
			n++
			s.Require().NoError(write(n), name)
			s.holds("k", n)
		}
	}
	s.Require().ErrorIs(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		if _, err := tx.DeleteConfig(ctx, "k"); err != nil {
			return err
		}
		return undone
	}), undone)
	s.holds("k", n)
	deleted, err := number.Delete(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().True(deleted)
	s.holds("k", -1)
	s.Require().NoError(s.exec(s.reg, "DELETE FROM mirror_texts"))
	s.Require().NoError(writes["a trigger's"](7))
	s.holds("k", 7)
	s.Require().NoError(s.exec(s.reg, "DELETE FROM config"))
	s.holds("k", -1)
}

func (s *cacheSuite) TestTransactionsReadTheDatabase() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "k", 1)
	s.Require().NoError(err)
	s.holds("k", 1)
	number := registry.Setting[int]{Name: "k"}
	s.Require().NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "k", 2)
		s.Require().NoError(err)
		n, err := number.Get(ctx, tx)
		s.Require().NoError(err)
		s.Require().Equal(2, n)
		_, err = registry.Get[int](ctx, s.reg, "k")
		s.Require().ErrorIs(err, registry.ErrNested)
		_, err = number.Get(ctx, s.reg)
		s.Require().ErrorIs(err, registry.ErrNested)
		_, err = tx.DeleteConfig(ctx, "k")
		s.Require().NoError(err)
		_, found, err := registry.TryGet[int](ctx, tx, "k")
		s.Require().NoError(err)
		s.Require().False(found)
		_, err = tx.SetConfig(ctx, "k", 3)
		return err
	}))
	s.holds("k", 3)
	if s.mode.memory { // an open View holds writers back
		return
	}
	s.Require().NoError(s.reg.View(ctx, func(inner context.Context, tx *registry.Tx) error {
		_, err := s.reg.SetConfig(ctx, "k", 4)
		s.Require().NoError(err)
		s.holds("k", 4)
		n, err := number.Get(inner, tx)
		s.Require().NoError(err)
		s.Require().Equal(3, n, "its snapshot")
		return nil
	}))
}

// What a call says is wrong does not depend on what is in the cache.
func (s *cacheSuite) TestACallIsCheckedAsWithoutIt() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "k", 1)
	s.Require().NoError(err)
	s.holds("k", 1)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	number := registry.Setting[int]{Name: "k"}
	_, err = number.Get(ended, s.reg)
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().ErrorIs(s.reg.GetConfig(ended, "k", new(int)), context.Canceled)
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "k", 1), registry.ErrInvalid)
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "k", nil), registry.ErrInvalid)
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "\xff", new(int)), registry.ErrInvalid)
	s.Require().NoError(s.reg.Close())
	_, err = number.Get(ctx, s.reg)
	s.Require().ErrorIs(err, registry.ErrClosed)
	var detail *registry.Error
	s.Require().ErrorAs(err, &detail)
	s.Require().Equal("k", detail.Key)
	s.reg = nil
}

func (s *cacheSuite) TestAValidationIsAskedEachTime() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "k", 1)
	s.Require().NoError(err)
	calls := 0
	var fault error
	number := registry.Setting[int]{Name: "k", Validate: func(int) error { calls++; return fault }}
	for i := range 6 {
		if i == 3 {
			fault = errThreads
		}
		n, err := number.Get(ctx, s.reg)
		s.Require().ErrorIs(err, fault)
		if fault != nil {
			s.Require().ErrorIs(err, registry.ErrDecode)
			s.Require().ErrorContains(err, "into int")
			s.Require().Zero(n)
		}
		s.Require().Equal(i+1, calls)
	}
}

// Whoever shares a key with others has a default of their own.
func (s *cacheSuite) TestEachSettingHasItsOwnDefault() {
	ctx := s.T().Context()
	for range 3 {
		for want := range 3 {
			n, err := registry.Setting[int]{Name: "k", Default: want}.Get(ctx, s.reg)
			s.Require().NoError(err)
			s.Require().Equal(want, n)
			text, err := registry.Setting[string]{Name: "k", Default: fmt.Sprint(want)}.Get(ctx, s.reg)
			s.Require().NoError(err)
			s.Require().Equal(fmt.Sprint(want), text)
			parts, err := registry.Setting[[2]float64]{Name: "k", Default: [2]float64{float64(want)}}.Get(ctx, s.reg)
			s.Require().NoError(err)
			s.Require().Equal([2]float64{float64(want)}, parts)
			s.Require().ErrorIs(s.reg.GetConfig(ctx, "k", new(int)), registry.ErrConfigNotFound)
		}
	}
	_, err := s.reg.SetConfig(ctx, "k", 7)
	s.Require().NoError(err)
	s.holds("k", 7)
}

// A cache with room for little forgets, and says nothing wrong for it.
func (s *cacheSuite) TestASmallCacheIsRight() {
	ctx := s.T().Context()
	small := s.fresh(registry.WithReadCache(4 << 10))
	text := func(i int) string { return fmt.Sprint(strings.Repeat("x", i*10), i) }
	const entries = 60
	for i := range entries {
		_, err := small.SetConfig(ctx, numberKey(i), text(i))
		s.Require().NoError(err)
	}
	random := s.random()
	for range 20 * entries {
		i := random.IntN(entries)
		if random.IntN(5) == 0 {
			_, err := small.SetConfig(ctx, numberKey(i), text(i))
			s.Require().NoError(err)
		}
		got, err := registry.Get[string](ctx, small, numberKey(i))
		s.Require().NoError(err)
		s.Require().Equal(text(i), got)
	}
}

func (s *cacheSuite) TestPrintingARegistryShowsNoValue() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "k", canary)
	s.Require().NoError(err)
	for range 2 {
		_, err = registry.Get[string](ctx, s.reg, "k")
		s.Require().NoError(err)
		_, err = registry.Get[json.RawMessage](ctx, s.reg, "k")
		s.Require().NoError(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		s.Require().NotContains(fmt.Sprintf(verb, s.reg), canary)
	}
}
