package tests

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/oxide-k/stateregistry/registry"
)

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

type failingText struct{}

func (failingText) MarshalText() ([]byte, error) { return nil, errors.New("no") }

type babbling string

func (b babbling) MarshalJSON() ([]byte, error) { return []byte(b), nil }

type babblingText string

func (b babblingText) MarshalText() ([]byte, error) { return []byte(b), nil }

// numbered is no string, and so asked for its text where it is a key.
type numbered int

func (n numbered) MarshalText() ([]byte, error) { return []byte{byte(n)}, nil }

type ring struct{ Next *ring }

func (s *valueSuite) TestValueWithoutJSONIsRefusedAndNothingIsWritten() {
	if s.mode.origin {
		s.T().Skip("nothing is written, whatever the keys")
	}
	nested := func(value any, levels int) any {
		for range levels {
			value = []any{value}
		}
		return value
	}
	cycle := &ring{}
	cycle.Next = cycle
	loop := map[string]any{}
	loop["self"] = loop
	for name, value := range map[string]any{
		"NaN":                       math.NaN(),
		"infinity":                  []float64{1, math.Inf(1)},
		"negative infinity":         map[string]float32{"x": float32(math.Inf(-1))},
		"channel":                   make(chan int),
		"func":                      struct{ F func() }{},
		"complex":                   1i,
		"cycle of pointers":         cycle,
		"cycle of maps":             loop,
		"map with struct keys":      map[struct{ A int }]int{{1}: 1},
		"failing MarshalJSON":       []any{failing{}},
		"failing MarshalText":       map[string]any{"x": failingText{}},
		"MarshalJSON of no JSON":    babbling(`{"a":`),
		"MarshalJSON of two":        babbling(`1 2`),
		"MarshalJSON of nothing":    babbling(``),
		"MarshalJSON, no UTF-8":     babbling("\"a\xffb\""),
		"raw JSON that is none":     json.RawMessage(`nope`),
		"raw JSON, no UTF-8":        json.RawMessage("{\"a\":\"\xff\"}"),
		"number that is none":       json.Number("12a"),
		"string, no UTF-8":          "a\xffb",
		"half a rune":               "\xe2\x82",
		"surrogate in UTF-8":        "\xed\xa0\x80",
		"key, no UTF-8":             map[string]int{"\xc3\x28": 1},
		"deeper than JSON reads":    nested(1, 10_001),
		"no UTF-8, deep down":       nested("a\xff", 9_999),
		"raw, no character":         json.RawMessage(`{"a":["\udd11\ud83d"]}`),
		"MarshalJSON, no character": babbling(`"\uD800"`),
		"raw, a name twice":         json.RawMessage(`{"a":1,"b":[{"c":1,"\u0063":2}]}`),
		"MarshalJSON, names twice":  []any{babbling(`{"a":1,"b":2,"a":1}`)},
		"keys with one text":        map[level]int{3: 1, -3: 2},
		"quoted, no UTF-8": struct {
			S string `json:",string"`
		}{"\xff"},
		"MarshalText, no UTF-8": map[string]any{"a": []any{babblingText("\xff")}},
		"key's text, no UTF-8":  map[numbered]int{0xff: 1},
		"two embedded, no UTF-8": struct {
			starredText
			*otherText
		}{starredText{"a"}, &otherText{"\xff"}},
		"no UTF-8 after a slash": `\` + "\xff",
		"no UTF-8 after U+FFFD":  `\ufffd` + "\ufffd\xff",
	} {
		s.Run(name, func() {
			s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
				_, err := reg.SetConfig(s.T().Context(), "v", "as it was")
				s.Require().NoError(err)
				s.unchanged(reg, func() {
					err := run(func(ctx context.Context, w registry.Writer) error {
						for _, key := range []string{"v", "new"} {
							revision, err := w.SetConfig(ctx, key, value)
							s.Require().ErrorIs(err, registry.ErrEncode)
							s.Require().Zero(revision)
						}
						return nil
					})
					s.Require().NoError(err)
				})
			})
		})
	}
}

// starred is a string with a text of its own. Whether encoding/json asks for it where it is a key depends on the implementation.
type starred string

func (starred) MarshalText() ([]byte, error) { return []byte("*"), nil }

// Of two embedded structs that both have a text, encoding/json asks neither, and takes the fields.
type (
	starredText struct{ A string }
	otherText   struct{ B string }
)

func (starredText) MarshalText() ([]byte, error) { return []byte("*"), nil }
func (otherText) MarshalText() ([]byte, error)   { return []byte("*"), nil }

func (s *valueSuite) TestNoKeyIsMangledThatHasATextOfItsOwn() {
	_, err := s.reg.SetConfig(s.T().Context(), "v", map[starred]int{"\xff": 1})
	if err == nil { // its text was taken, in which nothing is wrong
		s.Require().Equal(`{"*":1}`, s.stored(s.reg, "v"))
		return
	}
	s.Require().ErrorIs(err, registry.ErrEncode)
}
