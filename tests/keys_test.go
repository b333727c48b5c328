package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestKeys(t *testing.T) {
	runInModes(t, func() *keySuite { return &keySuite{} })
}

// keySuite is about config keys, module ids and prefixes.
type keySuite struct{ rowSuite }

// keyCalls are all methods and functions that take a key or an id.
var keyCalls = map[string]func(ctx context.Context, w registry.Writer, key string) error{
	"GetModule": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.GetModule(ctx, key)
		return err
	},
	"GetConfig": func(ctx context.Context, w registry.Writer, key string) error {
		return w.GetConfig(ctx, key, new(any))
	},
	"GetConfigEntry": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.GetConfigEntry(ctx, key)
		return err
	},
	"UpsertModule": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.UpsertModule(ctx, registry.ModuleMetadata{ID: key, Kind: registry.KindNative}, registry.StateRunning)
		return err
	},
	"SetModuleState": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.SetModuleState(ctx, key, registry.StateRunning)
		return err
	},
	"TransitionModule": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.TransitionModule(ctx, key, registry.StateRunning, registry.StateStopping)
		return err
	},
	"DeleteModule": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.DeleteModule(ctx, key)
		return err
	},
	"SetConfig": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.SetConfig(ctx, key, 1)
		return err
	},
	"DeleteConfig": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := w.DeleteConfig(ctx, key)
		return err
	},
	"Get": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := registry.Get[int](ctx, w, key)
		return err
	},
	"TryGet": func(ctx context.Context, w registry.Writer, key string) error {
		_, _, err := registry.TryGet[int](ctx, w, key)
		return err
	},
	"Modify": func(ctx context.Context, w registry.Writer, key string) error {
		_, err := registry.Modify(ctx, w, key, func(n int, _ bool) (int, error) { return n + 1, nil })
		return err
	},
}

// writeCalls are those of keyCalls that write a key or an id.
var writeCalls = []string{"UpsertModule", "SetModuleState", "TransitionModule", "SetConfig", "Modify"}

// impossibleKeys are those that no program can have written.
var impossibleKeys = map[string]string{
	"no UTF-8":    "a\xffb",
	"half a rune": "ключ"[:3],
	"surrogate":   "\xed\xa0\x80",
}

// oddKeys are those that only others write.
var oddKeys = map[string]string{
	"empty":            "",
	"NUL":              "a\x00b",
	"NUL alone":        "\x00",
	"one too long":     strings.Repeat("k", registry.MaxKey+1),
	"bytes, not runes": strings.Repeat("ж", registry.MaxKey/2+1),
}

func (s *keySuite) TestOddKeysAreInvalidWhereTheyWouldBeWritten() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for call, do := range keyCalls {
					for name, key := range oddKeys {
						switch err := do(ctx, w, key); {
						case slices.Contains(writeCalls, call):
							s.Require().ErrorIs(err, registry.ErrInvalid, "%s: %s", call, name)
						case err != nil: // there is none
							isMissing := errors.Is(err, registry.ErrConfigNotFound) || errors.Is(err, registry.ErrUnknownModule)
							s.Require().True(isMissing, "%s: %s: %v", call, name, err)
						}
					}
				}
				for name, key := range oddKeys {
					entries, err := w.ListConfig(ctx, key)
					s.Require().NoError(err, name)
					s.Require().Empty(entries)
				}
				return nil
			})
			s.Require().NoError(err)
		})
	})
	_, err := registry.Modify(s.T().Context(), s.reg, "", func(int, bool) (int, error) { panic("it is called") })
	s.Require().ErrorIs(err, registry.ErrInvalid)
}

func (s *keySuite) TestImpossibleKeysAreInvalidEverywhere() {
	s.Require().Equal(1024, registry.MaxKey)
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for call, do := range keyCalls {
					for name, key := range impossibleKeys {
						s.Require().ErrorIs(do(ctx, w, key), registry.ErrInvalid, "%s: %s", call, name)
					}
				}
				for name, key := range impossibleKeys {
					_, err := w.ListConfig(ctx, key)
					s.Require().ErrorIs(err, registry.ErrInvalid, name)
				}
				return nil
			})
			s.Require().NoError(err)
		})
	})
}

func (s *keySuite) TestLongestKeysWorkEverywhere() {
	for _, key := range []string{
		strings.Repeat("k", registry.MaxKey),
		strings.Repeat("ж", registry.MaxKey/2),
		strings.Repeat("\U0010FFFF", registry.MaxKey/4),
	} {
		s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for _, call := range []string{
					"SetConfig", "GetConfig", "GetConfigEntry", "Get", "TryGet", "Modify",
					"UpsertModule", "GetModule", "TransitionModule", "SetModuleState",
				} {
					s.Require().NoError(keyCalls[call](ctx, w, key), call)
				}
				entries, err := w.ListConfig(ctx, key)
				s.Require().NoError(err)
				s.Require().Len(entries, 1)
				s.Require().Equal(key, entries[0].Key)
				modules, err := w.ListModules(ctx)
				s.Require().NoError(err)
				s.Require().Len(modules, 1)
				s.Require().Equal(key, modules[0].ID)
				deleted, err := w.DeleteConfig(ctx, key)
				s.Require().NoError(err)
				s.Require().True(deleted)
				deleted, err = w.DeleteModule(ctx, key)
				s.Require().True(deleted)
				return err
			})
			s.Require().NoError(err)
		})
	}
}

func (s *keySuite) TestPrefixesAreTakenByteForByte() {
	ctx := s.T().Context()
	keys := []string{
		"a", "A", "ab", "a.b", "a_b", "a%b", "axb", "a[b", "a[b]", "[ab]", "a'b", `a"b`, `a\b`, "a*", "a?", "%", "%%", "_", "'",
		"'; DROP TABLE config; --", " ", "\t", "\n", "\x01", "\x7f", "ä", "a\u0308", "é", "ключ", "ключ/1", "日本", "日本語",
		"\ufffd", "\uffff", "\U00010000", "\U0010FFFE", "\U0010FFFF", "\U0010FFFF\U0010FFFF", "\U0010FFFFa", "a\U0010FFFF",
	}
	s.setAll(s.reg, keys)
	for _, prefix := range append(keys, "", "a.", "кл", "日", "nothing", "\U0010FFFFb", "a'", "[") {
		s.Require().Equal(withPrefix(keys, prefix), s.listed(ctx, s.reg, prefix), "%q", prefix)
	}
}

func (s *keySuite) TestPrefixListingAgreesWithAModel() {
	random := s.random()
	pieces := []string{"a", "b", "B", "%", "_", "[", "]", "'", `\`, "*", ".", "/", " ", "\x01", "\x7f", "é", "e\u0301", "я", "語",
		"\ufffd", "\uffff", "🔑", "\U0010FFFF"}
	word := func(longest int) string {
		var b strings.Builder
		for range random.IntN(longest + 1) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	held := map[string]bool{}
	for range 400 {
		if key := word(5); key != "" {
			held[key] = true
		}
	}
	var keys []string
	for key := range held {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	s.setAll(s.reg, keys)

	err := s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for range 500 {
			prefix := word(3)
			if random.IntN(2) == 0 {
				prefix = cut(random, keys[random.IntN(len(keys))])
			}
			s.Require().Equal(withPrefix(keys, prefix), s.listed(ctx, tx, prefix), "%q", prefix)
		}
		return nil
	})
	s.Require().NoError(err)
}

func (s *keySuite) TestKeysAndIDsAreListedInByteOrder() {
	keys := []string{"b", "B", "aa", "a", "\U0010FFFF", "\uffff", "z", "Ä", "~", "10", "9", "a b", "a-b"}
	s.setAll(s.reg, keys)
	ctx := s.T().Context()
	for _, id := range keys {
		s.Require().NoError(keyCalls["UpsertModule"](ctx, s.reg, id))
	}
	slices.Sort(keys)
	s.Require().Equal(keys, s.listed(ctx, s.reg, ""))
	modules, err := s.reg.ListModules(ctx)
	s.Require().NoError(err)
	var ids []string
	for _, m := range modules {
		ids = append(ids, m.ID)
	}
	s.Require().Equal(keys, ids)
}

func (s *keySuite) TestKeysThatLookAlikeAreDifferent() {
	ctx := s.T().Context()
	keys := []string{"é", "e\u0301", "E", "e", "e ", " e", "1", "1.0", "01", "null", "NULL", "true"}
	s.setAll(s.reg, keys)
	for _, key := range keys {
		got, err := registry.Get[string](ctx, s.reg, key)
		s.Require().NoError(err)
		s.Require().Equal("value of "+key, got)
	}
}

// setAll stores an entry for each key, in the order in which they are given.
func (s *keySuite) setAll(reg *registry.Registry, keys []string) {
	err := reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for _, key := range keys {
			if _, err := tx.SetConfig(ctx, key, "value of "+key); err != nil {
				return fmt.Errorf("%q: %w", key, err)
			}
		}
		return nil
	})
	s.Require().NoError(err)
}

func (s *keySuite) listed(ctx context.Context, r registry.Reader, prefix string) []string {
	entries, err := r.ListConfig(ctx, prefix)
	s.Require().NoError(err)
	keys := []string{}
	for _, entry := range entries {
		keys = append(keys, entry.Key)
	}
	one, err := scanned(r.ScanConfig(ctx, prefix))
	s.Require().NoError(err)
	s.Require().Len(one, len(entries))
	for i, entry := range one {
		s.Require().Equal(entries[i].Key, entry.Key)
	}
	return keys
}

// withPrefix is what a listing must give.
func withPrefix(keys []string, prefix string) []string {
	found := []string{}
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}

// cut is the first runes of a text.
func cut(random *rand.Rand, text string) string {
	runes := []rune(text)
	return string(runes[:random.IntN(len(runes)+1)])
}
