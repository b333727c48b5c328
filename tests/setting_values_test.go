package tests

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// settingValues returns values of which encoding what was decoded gives another text, and some of which it does not.
func settingValues() map[string]any {
	type part struct {
		Name  string
		Value any            `json:",omitempty"`
		Less  map[string]any `json:"less,omitempty"`
		None  *int           `json:"none,omitzero"`
	}
	return map[string]any{
		"above 2^53": int64(1<<53 + 1), "least int64": int64(math.MinInt64), "most uint64": uint64(math.MaxUint64),
		"in a map":  map[string]any{"device": int64(1<<53 + 1), "quota": int64(math.MaxInt64)},
		"in a list": []any{uint64(1<<53 + 1), []int64{1<<53 + 3}}, "in a struct": part{Name: "device", Value: int64(1<<53 + 1)},
		"behind a pointer": &part{Value: map[string]*int64{"a": new(int64(1<<53 + 1))}}, "left out": part{Less: map[string]any{}},
		"big number": new(big.Int).Lsh(big.NewInt(1), 70), "number": json.Number("1.50"), "number of few": json.Number("1E+2"),
		"raw": json.RawMessage(` { "b" : [ 1.0 , -0 , 9007199254740993 ] , "a" : 1E2 } `), "raw null": json.RawMessage(nil),
		"raw, escaped": json.RawMessage(`["\u0041\/",{"\u0062":1}]`), "float32": float32(0.1), "negative zero": math.Copysign(0, -1),
		"float": 1e21, "HTML": `<a href="x">&</a>`, "time": time.Date(2026, 5, 20, 12, 0, 0, 1, time.FixedZone("", 3600)),
		"address": netip.MustParseAddr("2001:db8::1"), "bytes": []byte{0, 255}, "nothing": nil, "text": "text", "text marshaller": level(3),
		"own JSON": babbling(`{"b":1.10,"a":12345678901234567890}`), "no list": []string(nil), "line separator": "\u2028",
	}
}

// What a Setting stores is what SetConfig stores, whatever the way of the value into it. What is validated and returned is what is read.
func (s *settingSuite) TestItStoresTheJSONThatSetConfigWould() {
	if s.mode.origin {
		s.T().Skip("it is about what is sealed, whatever the keys")
	}
	ctx := s.T().Context()
	for name, value := range settingValues() {
		_, err := s.reg.SetConfig(ctx, "plain", value)
		s.Require().NoError(err, name)
		want := s.stored(s.reg, "plain")
		read, err := registry.Get[any](ctx, s.reg, "plain")
		s.Require().NoError(err, name)

		var seen any
		free := registry.Setting[any]{Name: "setting", Validate: func(v any) error { seen = v; return nil }}
		_, err = free.Set(ctx, s.reg, value)
		s.Require().NoError(err, name)
		s.Require().Equal(want, s.stored(s.reg, "setting"), name)
		s.Require().Equal(read, seen, name)

		modify := registry.Setting[any]{Name: "modified", Default: value, Validate: free.Validate}
		seen = nil
		got, err := modify.Modify(ctx, s.reg, func(current any) (any, error) {
			s.Require().Equal(read, current, name)
			return value, nil
		})
		s.Require().NoError(err, name)
		s.Require().Equal(read, got, name)
		s.Require().Equal(read, seen, name)
		s.Require().Equal(want, s.stored(s.reg, "modified"), name)
		_, err = modify.Delete(ctx, s.reg)
		s.Require().NoError(err)

		_, err = registry.Setting[map[string]any]{Name: "map"}.Set(ctx, s.reg, map[string]any{"v": value})
		s.Require().NoError(err, name)
		s.Require().Equal(`{"v":`+want+`}`, s.stored(s.reg, "map"), name)
		_, err = registry.Setting[struct{ V []any }]{Name: "struct"}.Set(ctx, s.reg, struct{ V []any }{[]any{value}})
		s.Require().NoError(err, name)
		s.Require().Equal(`{"V":[`+want+`]}`, s.stored(s.reg, "struct"), name)
	}
}

// growing is a text whose JSON is longer than itself, each time it is made.
type growing string

func (g growing) MarshalJSON() ([]byte, error) { return json.Marshal(string(g) + "!") }

// halved is an integer that reads as the half of what was stored, and has no other method.
type halved int

func (h *halved) UnmarshalJSON(text []byte) error {
	n := 0
	err := json.Unmarshal(text, &n)
	*h = halved(n / 2)
	return err
}

// ticking gives another JSON with each call.
type ticking struct{ Ticks *int }

func (t ticking) MarshalJSON() ([]byte, error) {
	*t.Ticks++
	return fmt.Appendf(nil, `{"Ticks":%d}`, *t.Ticks), nil
}

func (s *settingSuite) TestMethodsAreAskedOnce() {
	ctx := s.T().Context()
	_, err := registry.Setting[growing]{Name: "growing"}.Set(ctx, s.reg, "a")
	s.Require().NoError(err)
	s.Require().Equal(`"a!"`, s.stored(s.reg, "growing"))
	got, err := registry.Setting[growing]{Name: "growing"}.Modify(ctx, s.reg, func(g growing) (growing, error) { return g + "b", nil })
	s.Require().NoError(err)
	s.Require().Equal(growing("a!b!"), got)
	s.Require().Equal(`"a!b!"`, s.stored(s.reg, "growing"))

	var seen halved
	half := registry.Setting[halved]{Name: "half", Default: 6, Validate: func(h halved) error { seen = h; return nil }}
	first, err := half.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().EqualValues(3, first)
	_, err = half.Set(ctx, s.reg, 10)
	s.Require().NoError(err)
	s.Require().EqualValues(5, seen)
	s.Require().Equal(`10`, s.stored(s.reg, "half"))

	ticks := 0
	var judged int
	tick := registry.Setting[ticking]{Name: "tick", Validate: func(t ticking) error { judged = *t.Ticks; return nil }}
	_, err = tick.Set(ctx, s.reg, ticking{&ticks})
	s.Require().NoError(err)
	s.Require().Equal(1, judged)
	s.Require().Equal(`{"Ticks":1}`, s.stored(s.reg, "tick"))

	number := registry.Setting[json.Number]{Name: "number", Default: ""}
	n, err := number.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(json.Number("0"), n, "as it would be read")
	_, err = number.Set(ctx, s.reg, "x")
	s.Require().ErrorIs(err, registry.ErrEncode)
}

// What no reader of the setting could read is refused, though SetConfig takes it.
func (s *settingSuite) TestWhatCannotBeReadBackIsRefused() {
	ctx := s.T().Context()
	for _, value := range []any{json.Number("1e400"), []any{json.RawMessage("1e400")}, map[string]any{"a": babbling("-1e999")}} {
		_, err := registry.Setting[any]{Name: "any"}.Set(ctx, s.reg, value)
		s.Require().ErrorIs(err, registry.ErrDecode)
		_, err = registry.Setting[any]{Name: "any"}.Modify(ctx, s.reg, func(any) (any, error) { return value, nil })
		s.Require().ErrorIs(err, registry.ErrDecode)
		s.Require().ErrorIs(s.reg.GetConfig(ctx, "any", new(any)), registry.ErrConfigNotFound)
		_, err = s.reg.SetConfig(ctx, "config", value)
		s.Require().NoError(err)
		s.Require().Contains(s.stored(s.reg, "config"), "1e")
	}
	s.reopen(registry.WithMaxValue(10))
	if s.mode.memory {
		return
	}
	_, err := registry.Setting[any]{Name: "any"}.Set(ctx, s.reg, strings.Repeat("x", 9))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, err = registry.Setting[any]{Name: "any"}.Set(ctx, s.reg, strings.Repeat("x", 8))
	s.Require().NoError(err)
}
