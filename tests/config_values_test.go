package tests

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConfigValues(t *testing.T) {
	runInModes(t, func() *valueSuite { return &valueSuite{} })
}

// valueSuite is about what may be stored, and how it is written.
type valueSuite struct{ rowSuite }

type level int

func (l level) MarshalText() ([]byte, error) {
	return []byte(strings.Repeat("*", max(int(l), -int(l)))), nil
}

func (l *level) UnmarshalText(text []byte) error {
	*l = level(len(text))
	return nil
}

func (s *valueSuite) TestValuesAreStoredAsCompactJSONAndReadBack() {
	type nested struct {
		A *int           `json:"a"`
		B []any          `json:"b,omitempty"`
		M map[string]any `json:"m,omitempty"`
	}
	seven := 7
	for name, c := range map[string]struct {
		value any
		text  string
	}{
		"bool":             {true, `true`},
		"int64 min":        {int64(math.MinInt64), `-9223372036854775808`},
		"int64 max":        {int64(math.MaxInt64), `9223372036854775807`},
		"uint64 max":       {uint64(math.MaxUint64), `18446744073709551615`},
		"above 2^53":       {int64(1<<53 + 1), `9007199254740993`},
		"float32":          {float32(0.1), `0.1`},
		"float64":          {0.1, `0.1`},
		"float64 max":      {math.MaxFloat64, `1.7976931348623157e+308`},
		"float64 smallest": {math.SmallestNonzeroFloat64, `5e-324`},
		"negative zero":    {math.Copysign(0, -1), `-0`},
		"rune":             {'ß', `223`},
		"empty string":     {"", `""`},
		"string":           {"Hello, agent.", `"Hello, agent."`},
		"HTML":             {`<a href="x">&</a>`, `"<a href=\"x\">&</a>"`},
		"control":          {"a\x00b\tc\nd\x7f", `"a\u0000b\tc\nd` + "\x7f" + `"`},
		"beyond the BMP":   {"значение 🔑", `"значение 🔑"`},
		"line separators":  {"\u2028\u2029", `"\u2028\u2029"`},
		"duration":         {3 * time.Second, `3000000000`},
		"time": {time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.UTC),
			`"2026-05-20T12:34:56.123456789Z"`},
		"bytes":           {[]byte{0, 255, 254}, `"AP/+"`},
		"array":           {[3]uint8{1, 2, 3}, `[1,2,3]`},
		"slice":           {[]string{"a", "", "<&>"}, `["a","","<&>"]`},
		"empty slice":     {[]string{}, `[]`},
		"nil slice":       {[]string(nil), `null`},
		"nil map":         {map[string]int(nil), `null`},
		"nil pointer":     {(*int)(nil), `null`},
		"pointer":         {&seven, `7`},
		"map, sorted":     {map[string]int{"b": 2, "a": 1, "": 0}, `{"":0,"a":1,"b":2}`},
		"map of ints":     {map[int]bool{-1: true}, `{"-1":true}`},
		"struct":          {nested{A: &seven, M: map[string]any{"c": nil}}, `{"a":7,"m":{"c":null}}`},
		"empty struct":    {struct{}{}, `{}`},
		"text marshaller": {level(3), `"***"`},
		"address":         {netip.MustParseAddr("2001:db8::1"), `"2001:db8::1"`},
		"big number":      {new(big.Int).Lsh(big.NewInt(1), 100), `1267650600228229401496703205376`},
		"json.Number":     {json.Number("12345678901234567890.5"), `12345678901234567890.5`},
	} {
		s.Run(name, func() {
			ctx := s.T().Context()
			_, err := s.reg.SetConfig(ctx, "v", c.value)
			s.Require().NoError(err)
			s.Require().Equal(c.text, s.stored(s.reg, "v"))
			got := reflect.New(reflect.TypeOf(c.value))
			s.Require().NoError(s.reg.GetConfig(ctx, "v", got.Interface()))
			s.Require().Equal(c.value, got.Elem().Interface())
		})
	}
}

func (s *valueSuite) TestNilIsStoredAsNull() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "unset", nil)
	s.Require().NoError(err)
	value, found, err := registry.TryGet[*int](ctx, s.reg, "unset")
	s.Require().NoError(err)
	s.Require().True(found)
	s.Require().Nil(value)
}

func (s *valueSuite) TestRawJSONIsCompacted() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "raw", json.RawMessage("{ \"b\" : [ 1.50 ,\n\t18446744073709551615 ],\"a\":\"<&>  \" }\n"))
	s.Require().NoError(err)
	raw, err := registry.Get[json.RawMessage](ctx, s.reg, "raw")
	s.Require().NoError(err)
	s.Require().Equal(`{"b":[1.50,18446744073709551615],"a":"<&>  "}`, string(raw))
	s.Require().Equal(string(raw), s.stored(s.reg, "raw"))
}

// The encoder replaces bytes that are not UTF-8 with U+FFFD; a string that holds that rune, or the text of its escape,
// is not such a string.
func (s *valueSuite) TestReplacementRunesRoundTrip() {
	ctx := s.T().Context()
	for _, text := range []string{"\ufffd", "a\ufffdb", `\ufffd`, `\\ufffd`, `\\\ufffd`, "\\\ufffd", `"\ufffd"`, `ufffd\`} {
		for _, value := range []map[string]string{{"k": text}, {text: "v"}} {
			_, err := s.reg.SetConfig(ctx, "rune", value)
			s.Require().NoError(err, "%q", value)
			got, err := registry.Get[map[string]string](ctx, s.reg, "rune")
			s.Require().NoError(err)
			s.Require().Equal(value, got)
		}
	}
}

func (s *valueSuite) TestLargestValueIsCountedInBytesOfJSON() {
	for name, c := range map[string]struct {
		limit         int
		fits, exceeds any
	}{
		"quotes":      {10, strings.Repeat("x", 8), strings.Repeat("x", 9)},
		"UTF-8":       {6, "дд", "ддд"},
		"escapes":     {8, "\x01", "\x01x"},
		"raw spaces":  {5, json.RawMessage(`[ 1 , 2 ]`), json.RawMessage(`[1,23]`)},
		"one byte":    {1, 7, 10},
		"the default": {0, strings.Repeat("x", registry.DefaultMaxValue-2), strings.Repeat("x", registry.DefaultMaxValue-1)},
	} {
		s.Run(name, func() {
			if s.mode.origin && c.limit == 0 {
				s.T().Skip("values that large take long")
			}
			var opts []registry.Option
			if c.limit != 0 {
				opts = append(opts, registry.WithMaxValue(c.limit))
			}
			ctx, reg := s.T().Context(), s.fresh(opts...)
			_, err := reg.SetConfig(ctx, "v", c.fits)
			s.Require().NoError(err)
			before, err := reg.Revision(ctx)
			s.Require().NoError(err)
			_, err = reg.SetConfig(ctx, "v", c.exceeds)
			s.Require().ErrorIs(err, registry.ErrInvalid)
			after, err := reg.Revision(ctx)
			s.Require().NoError(err)
			s.Require().Equal(before, after)
		})
	}
}

func (s *valueSuite) TestLargestValueBindsWritesOnly() {
	ctx := s.T().Context()
	long := strings.Repeat("x", 100)
	_, err := s.reg.SetConfig(ctx, "long", long)
	s.Require().NoError(err)
	s.reopen(registry.WithMaxValue(10))
	got, err := registry.Get[string](ctx, s.reg, "long")
	s.Require().NoError(err)
	s.Require().Equal(long, got)
}

// What encoding/json leaves out of a value does not make a string in it suspicious.
type leftOut string

func (s *valueSuite) TestReplacementEscapesBesideWhatIsLeftOut() {
	value := struct {
		leftOut
		Raw json.RawMessage
	}{"\xff", json.RawMessage(`"\ufffd"`)}
	_, err := s.reg.SetConfig(s.T().Context(), "v", value)
	s.Require().NoError(err)
}

// The deepest that can be read back is stored; what looks deep and is not, too.
func (s *valueSuite) TestTheDeepestValue() {
	deep := any("[{")
	for range 10_000 {
		deep = []any{deep}
	}
	for name, value := range map[string]any{"deep": deep, "brackets in a string": strings.Repeat("[", 20_000)} {
		_, err := s.reg.SetConfig(s.T().Context(), "v", value)
		s.Require().NoError(err, name)
		got, err := registry.Get[any](s.T().Context(), s.reg, "v")
		s.Require().NoError(err, name)
		s.Require().Equal(value, got, name)
	}
}
