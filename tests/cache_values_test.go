package tests

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// Types that are decoded in one way or another.
type (
	cacheFlat struct {
		A int8
		B string
		C float64 `json:"c,omitempty"`
		D [2]bool
		e int
	}
	cacheNested struct {
		cacheFlat
		Inner [2]cacheFlat
		Name  json.Number
	}
	cacheMixed struct {
		A     int
		Tags  []string
		Env   map[string]int
		Next  *cacheMixed
		Other any
	}
	cacheQuoted struct {
		N int `json:",string"`
	}
	// spoiling counts how often its method is called, and spoils what it is given.
	spoiling struct{ Calls int }
)

func (c *spoiling) UnmarshalJSON(text []byte) error {
	c.Calls++
	for i := range text {
		text[i] = 'x'
	}
	return nil
}

// cacheDestinations are what values are read into, some of it filled already; a fresh one for each read.
func cacheDestinations() []any {
	text, number, inner := "filled", 7, &cacheMixed{A: 1, Tags: []string{"x"}}
	var anything any = inner
	var nothing any
	negative := math.Copysign(0, -1)
	return []any{
		new(int), new(int8), new(uint), new(bool), new(string), new(float64), new(float32), new([2]int), new([3]string),
		new(json.Number), new(time.Duration), new(port), new(cacheFlat), new(cacheNested), new(cacheQuoted), new(struct{}),
		new(any), new([]int), new([]string), new([]byte), new(map[string]any), new(cacheMixed), new(*cacheMixed), new(*int),
		new(json.RawMessage), new(time.Time), new(netip.Addr), new(big.Int), new(spoiling), new(quoting), new(quotingText),
		new(posing), new(fmt.Stringer), new(chan int), new(func()), new(complex128),
		&text, &number, &negative, &anything, &nothing, &[2]int{1, 2}, &cacheFlat{A: 1, B: "b", C: 2, D: [2]bool{true, true}, e: 3},
		&cacheFlat{e: 3}, &cacheFlat{C: negative}, &cacheNested{Name: "1"}, &map[string]any{"kept": true}, &[]int{1, 2, 3},
		&cacheMixed{A: 1, Tags: []string{"x", "y"}, Env: map[string]int{"kept": 1}, Next: inner}, &inner, &spoiling{Calls: 5},
		nil, 1, "text", (*int)(nil), cacheFlat{}, []int{1},
	}
}

// cacheTexts are values of all kinds.
var cacheTexts = []string{
	`1`, `-1`, `0`, `-0`, `-0.0`, `300`, `1.5`, `1e400`, `12345678901234567890`, `true`, `null`, `"text"`, `""`, `"1"`, `"\u0041\ud83d\ude00"`,
	`"\ufffd"`, `[]`, `[1,2]`, `[1,2,3]`, `["a"]`, `[1,"a"]`, `{}`, `{"A":1}`, `{"a":2,"A":3}`, `{"A":1,"B":"b","c":1.5,"D":[true]}`,
	`{"A":300,"B":"late"}`, `{"B":"early","A":"no"}`, `{"B":null,"A":null,"c":-0.0}`, `{"A":1,"Inner":[{"A":2},{"B":"x"}],"Name":3}`,
	`{"A":5,"Tags":["t"],"Env":{"k":1},"Next":{"A":6},"Other":[1]}`, `{"Tags":null,"Env":null}`, `{"N":"12"}`, `{"N":"x"}`, `{"N":1}`,
	`"2026-05-20T12:34:56Z"`, `"127.0.0.1"`, `"AQID"`, `{"unknown":{"deep":[1,{"x":null}]}}`, ` [ 1 , 2 ] `,
}

// TestValuesAndErrorsAreTheSameAsWithoutIt reads each value into each destination, with a cache and without, again and
// again: what was decoded before for one must not show in another.
func (s *cacheSuite) TestValuesAndErrorsAreTheSameAsWithoutIt() {
	ctx := s.T().Context()
	plain := s.fresh()
	for i, text := range cacheTexts {
		key := numberKey(i)
		for _, reg := range []*registry.Registry{s.reg, plain} {
			_, err := reg.SetConfig(ctx, key, json.RawMessage(text))
			s.Require().NoError(err)
		}
	}
	into := func(reg *registry.Registry, key string, at int) (dst any, fault string) {
		dst = cacheDestinations()[at]
		if err := reg.GetConfig(ctx, key, dst); err != nil {
			fault = err.Error()
			var detail *registry.Error
			s.Require().ErrorAs(err, &detail)
			s.Require().Equal(key, detail.Key)
		}
		return dst, fault
	}
	for i, text := range append(cacheTexts, "(no entry)") {
		for at := range cacheDestinations() {
			want, fault := into(plain, numberKey(i), at)
			for range 3 {
				got, gave := into(s.reg, numberKey(i), at)
				if !reflect.DeepEqual(want, got) || fault != gave {
					s.Require().Equal([]any{want, fault}, []any{got, gave}, "%s into %T", text, want)
				}
				s.Require().Equal(isNegative(want), isNegative(got), "%s into %T: -0 is not 0", text, want)
			}
		}
	}
}

func isNegative(dst any) bool {
	switch value := dst.(type) {
	case *float64:
		return math.Signbit(*value)
	case *cacheFlat:
		return math.Signbit(value.C)
	}
	return false
}

// sameGet is the same for what gives a T.
func sameGet[T any](s *cacheSuite, plain *registry.Registry, text string) {
	ctx := s.T().Context()
	for _, reg := range []*registry.Registry{plain, s.reg} {
		_, err := reg.SetConfig(ctx, "k", json.RawMessage(text))
		s.Require().NoError(err)
	}
	want, fault := registry.Get[T](ctx, plain, "k")
	set, notSet := registry.Setting[T]{Name: "k"}.Get(ctx, plain)
	for range 3 {
		got, err := registry.Get[T](ctx, s.reg, "k")
		s.Require().Equal(fmt.Sprint(fault), fmt.Sprint(err))
		s.Require().Equal(want, got)
		tried, found, err := registry.TryGet[T](ctx, s.reg, "k")
		s.Require().Equal(fmt.Sprint(fault), fmt.Sprint(err))
		s.Require().Equal(fault == nil, found)
		s.Require().Equal(want, tried)
		got, err = registry.Setting[T]{Name: "k"}.Get(ctx, s.reg)
		s.Require().Equal(fmt.Sprint(notSet), fmt.Sprint(err))
		s.Require().Equal(set, got)
	}
}

func (s *cacheSuite) TestTypedReadsAreTheSameAsWithoutIt() {
	plain := s.fresh()
	for _, text := range []string{`1`, `300`, `null`, `"1"`, `[1,2,3]`, `{"A":1,"B":"b"}`, `{"A":300,"B":"b"}`, `{"Tags":["a"]}`} {
		sameGet[int](s, plain, text)
		sameGet[int8](s, plain, text)
		sameGet[string](s, plain, text)
		sameGet[[2]float64](s, plain, text)
		sameGet[cacheFlat](s, plain, text)
		sameGet[*cacheFlat](s, plain, text)
		sameGet[cacheMixed](s, plain, text)
		sameGet[any](s, plain, text)
		sameGet[[]int](s, plain, text)
		sameGet[json.RawMessage](s, plain, text)
		sameGet[spoiling](s, plain, text)
		sameGet[quoting](s, plain, text)
	}
}

// Text that is no JSON, or none in UTF-8, which SQL of others wrote.
func (s *cacheSuite) TestWhatIsNoJSONIsErrDecodeEachTime() {
	if s.mode.encrypted() { // they cannot write it
		s.T().Skip("the guards refuse plaintext")
	}
	ctx := s.T().Context()
	for _, text := range []string{"{", "", "\xff", "\"\xff\""} {
		s.Require().NoError(s.exec(s.reg, "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('k', ?, '')", text))
		for range 3 {
			s.Require().ErrorIs(s.reg.GetConfig(ctx, "k", new(string)), registry.ErrDecode)
			_, err := registry.Setting[int]{Name: "k"}.Get(ctx, s.reg)
			s.Require().ErrorIs(err, registry.ErrDecode)
		}
	}
	_, err := s.reg.SetConfig(ctx, "k", "mended") // it is verified at the end
	s.Require().NoError(err)
}

// Nothing that was returned is the cache's own.
func (s *cacheSuite) TestWhatWasReturnedIsItsReaders() {
	ctx := s.T().Context()
	const stored = `{"A":1,"Tags":["a","b"],"Env":{"k":1},"Next":{"A":2,"Tags":["c"]},"Other":["d"]}`
	_, err := s.reg.SetConfig(ctx, "k", json.RawMessage(stored))
	s.Require().NoError(err)
	var want cacheMixed
	s.Require().NoError(json.Unmarshal([]byte(stored), &want))
	unset := registry.Setting[cacheMixed]{Name: "none", Default: want}
	for range 3 {
		for _, read := range []func() (cacheMixed, error){
			func() (cacheMixed, error) { return registry.Get[cacheMixed](ctx, s.reg, "k") },
			func() (cacheMixed, error) { return unset.Get(ctx, s.reg) },
		} {
			got, err := read()
			s.Require().NoError(err)
			s.Require().Equal(want, got)
			got.Tags[0], got.Env["k"], got.Next.Tags[0], got.Other.([]any)[0] = "changed", 9, "changed", "changed"
		}
		raw, err := registry.Get[json.RawMessage](ctx, s.reg, "k")
		s.Require().NoError(err)
		s.Require().Equal(stored, string(raw))
		copy(raw, strings.Repeat("x", len(raw)))
		once, err := registry.Get[spoiling](ctx, s.reg, "k")
		s.Require().NoError(err)
		s.Require().Equal(spoiling{Calls: 1}, once)
	}
}
