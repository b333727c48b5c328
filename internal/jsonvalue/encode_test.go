package jsonvalue

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const secret = "s3cret"

type (
	asJSON  string // gives itself as its JSON
	asText  string // and as its text
	keyText int    // a map key with a text of its own
	failing struct{}
	late    struct{ Text *string } // its method is the pointer's
	visible struct{ S string }
	knot    struct {
		Parent   *knot `json:"-"` // a way up that the encoder does not take
		Children []*knot
		Raw      json.RawMessage
		Hidden   string `json:"-"`
	}
)

func (v asJSON) MarshalJSON() ([]byte, error)  { return []byte(v), nil }
func (v asText) MarshalText() ([]byte, error)  { return []byte(v), nil }
func (v keyText) MarshalText() ([]byte, error) { return []byte{byte(v)}, nil }
func (failing) MarshalJSON() ([]byte, error)   { return nil, errors.New(secret) }
func (v *late) MarshalText() ([]byte, error)   { return []byte(*v.Text), nil }
func ring() any                                { m := map[string]any{}; m["self"] = m; return m }
func nested(value any, levels int) any {
	for range levels {
		value = []any{value}
	}
	return value
}

const replacement = "\ufffd"

// The encoder replaces bytes that are not UTF-8 by U+FFFD, as a character or as an escape. A string may hold that character, and JSON
// that comes as JSON the escape, for itself.
func TestTheReplacementCharacterIsToldFromABadByte(t *testing.T) {
	for text, bad := range map[string]bool{
		"a\ufffdb": false, `a\ufffdb`: false, `\\ufffd`: false, `\`: false, "": false, "\xff": true, "a\xffb": true,
		"\\\xff": true, "\\\\\xff": true, `\ufffd` + "\xff": true, "\ufffd\xff": true, "\xed\xa0\x80": true, "\xc0\x80": true,
		"\xe2\x82": true, "\xf4\x90\x80\x80": true,
	} {
		bads := "\xff" + text
		for name, value := range map[string]any{
			"alone": text, "map": map[string]any{text: []string{text}}, "key": map[string]int{text: 1}, "any": []any{1, []any{text}},
			"pointer": &text, "array": [2]string{1: text}, "text": asText(text), "pointer's text": &late{&text}, "texts": []asText{"a", asText(text)},
			"embedded": struct{ *visible }{&visible{text}},
			"quoted": struct {
				S string `json:",string"`
			}{text},
			"beside JSON": struct {
				Raw json.RawMessage
				S   asText
			}{json.RawMessage(`"\ufffd"`), asText(text)},
		} {
			_, err := Encode(value)
			require.Equal(t, bad, err != nil, "%s: %q: %v", name, text, err)
			if bad {
				require.ErrorIs(t, err, errNotUTF8, "%s: %q", name, text)
				require.NotContains(t, err.Error(), text)
			}
		}
		if !bad {
			_, err := Encode([]string{text, bads})
			require.ErrorIs(t, err, errNotUTF8)
		}
	}
	for _, text := range []string{`"\ufffd"`, `"\\ufffd"`, `"\\\ufffd"`, `"\uFFFD"`, `"` + replacement + `"`, `{"\ufffd":1}`} {
		for _, value := range []any{json.RawMessage(text), asJSON(text), map[string]any{"good": "x", "raw": json.RawMessage(text)}} {
			stored, err := Encode(value)
			require.NoError(t, err, "it came as JSON")
			require.Contains(t, string(stored), text, "and stays as it came")
		}
	}
	for _, text := range []string{"\"\xff\"", "\"\ufffd\xff\"", "{\"\xff\":1}", "\"\\ufffd\xed\xa0\x80\""} {
		for _, value := range []any{json.RawMessage(text), asJSON(text), []any{asJSON(text)}, map[string]json.RawMessage{"a": json.RawMessage(text)}} {
			_, err := Encode(value)
			require.ErrorIs(t, err, errNotUTF8, "%q", text)
		}
	}
	_, err := Encode(map[keyText]int{0xff: 1})
	require.ErrorIs(t, err, errNotUTF8, "the text of a key")
}

func TestWhatTheEncoderLeavesOutIsNotLookedAt(t *testing.T) {
	root := &knot{Raw: json.RawMessage(`"\ufffd"`), Hidden: "\xff"}
	root.Children = []*knot{{Parent: root, Raw: json.RawMessage(`"\ufffd"`), Hidden: "\xff"}}
	text, err := Encode(root)
	require.NoError(t, err)
	require.NotContains(t, text, "Hidden")
	_, err = Encode(struct{ A, B any }{root, "\xff"})
	require.ErrorIs(t, err, errNotUTF8)
	_, err = Encode(struct {
		A string
		B []byte
		C *late
		D json.Marshaler
	}{A: replacement, B: []byte("\xff")})
	require.NoError(t, err)
}

func TestNumbersStayAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{
		`9007199254740993`, `-0`, `1.50`, `1e400`, `1E+05`, `0.10e-7`, `18446744073709551616`, `[1.0,-0.0,[1e1]]`, `{"a":0.1000}`,
	} {
		for _, value := range []any{json.RawMessage(text), asJSON(text), json.RawMessage(" " + text + "\n")} {
			got, err := Encode(value)
			require.NoError(t, err)
			require.Equal(t, text, string(got))
		}
	}
	for want, value := range map[string]any{
		`9007199254740993`: int64(1<<53 + 1), `1e400`: json.Number("1e400"), `-0`: math.Copysign(0, -1),
		`1267650600228229401496703205376`: new(big.Int).Lsh(big.NewInt(1), 100), `[1.50]`: []any{json.Number("1.50")},
	} {
		got, err := Encode(value)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

// An error says what a person needs to know, and nothing of the value.
func TestErrorsSayWhatIsWrongAndNothingOfTheValue(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		says  string
	}{
		"raw":              {json.RawMessage(`{"` + secret + `":` + secret + `}`), "not valid JSON, or nested deeper than 10000 levels: look at byte"},
		"raw, its type":    {[]any{json.RawMessage(secret)}, "of the json.RawMessage in it"},
		"raw, too deep":    {json.RawMessage(strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)), "deeper than 10000 levels"},
		"own JSON":         {asJSON(secret), "of the jsonvalue.asJSON in it"},
		"own JSON, empty":  {asJSON(""), "not valid JSON"},
		"failing":          {[]any{failing{}}, "the method of jsonvalue.failing that makes its JSON failed"},
		"number":           {json.Number(secret), "a json.Number in it is no number"},
		"numbers":          {map[string]any{"a": json.Number("1" + secret)}, "a json.Number in it is no number"},
		"type":             {map[string]any{secret: func() {}}, "type func() has no JSON form"},
		"NaN":              {map[string]float64{secret: math.NaN()}, "has no JSON form: NaN"},
		"cycle":            {ring(), "a cycle"},
		"too deep":         {nested(secret, 10_001), "deeper than 10000 levels"},
		"not UTF-8":        {secret + "\xff", "a string in it is not UTF-8"},
		"twice":            {json.RawMessage(`[0,{"` + secret + `":1,"` + secret + `":2}]`), "the same name twice: the one at byte 3 of its JSON, 2 levels deep"},
		"half a character": {json.RawMessage(`["` + secret + `\udbff"]`), "half of a surrogate pair"},
	} {
		_, err := Encode(c.value)
		require.ErrorContains(t, err, c.says, name)
		require.NotContains(t, err.Error(), secret, name)
		require.Less(t, len(err.Error()), 200, name)
	}
}

// Names that are the same come from what makes its own JSON, and from keys that make their own text.
func TestTheSameNameTwiceIsRefusedWhereverItComesFrom(t *testing.T) {
	at := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	for name, value := range map[string]any{
		"raw":            json.RawMessage(`{"a":1,"a":1}`),
		"raw in any":     map[string]any{"x": []any{json.RawMessage(`{"a":{"b":1,"c":2,"b":3}}`)}},
		"method":         struct{ V asJSON }{`{"a":1,"b":2,"a":3}`},
		"keys' texts":    map[*late]int{{new("a")}: 1, {new("a")}: 2},
		"times as keys":  map[time.Time]int{at: 1, at.In(time.FixedZone("UTC", 0)): 2},
		"escaped":        json.RawMessage(`{"a":1,"\u0061":1}`),
		"escaped pair":   json.RawMessage(`{"🔑":1,"\ud83d\uDD11":1}`),
		"the empty name": json.RawMessage(`{"":1,"b":1,"":1}`),
	} {
		_, err := Encode(value)
		require.ErrorContains(t, err, "same name twice", name)
	}
	for name, value := range map[string]any{
		"case":             json.RawMessage(`{"a":1,"A":1}`),
		"at another depth": json.RawMessage(`{"a":{"a":{"a":1}},"b":{"a":1},"c":[{"a":1},{"a":1}]}`),
		"as values":        json.RawMessage(`{"a":"b","b":"a","c":"a","d":["a","a"]}`),
		"a prefix":         json.RawMessage(`{"aa":1,"a":1,"":1}`),
		"normal forms":     json.RawMessage("{\"\u00e9\":1,\"e\u0301\":1}"),
		"an escaped slash": json.RawMessage(`{"\\u0061":1,"a":1}`),
		"the outer embeds": struct {
			Base
			ID int
		}{Base{1}, 2},
		"quotes": json.RawMessage(`{"\"":1,"\\\"":1,"a\"b":{"\"":1}}`),
	} {
		_, err := Encode(value)
		require.NoError(t, err, name)
	}
}

func BenchmarkEncode(b *testing.B) {
	type small struct {
		Name    string   `json:"name"`
		Threads int      `json:"threads"`
		Tags    []string `json:"tags"`
	}
	many := map[string]any{}
	for i := range 20_000 {
		many[fmt.Sprintf("key%05d", i)] = []any{i, "some text", map[string]any{"a": true, "b": nil}}
	}
	for name, value := range map[string]any{
		"int": 7, "string": "some text", "small struct": small{"new", 7, []string{"one", "two"}}, "time": time.Now(),
		"1 MiB of text": strings.Repeat("some text, ", 1<<20/11), "1 MiB of any": many, "U+FFFD": replacement,
		"1 MiB of lines": strings.Repeat("some text\n", 1<<20/11),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(value); err != nil {
					b.Fatal(err)
				}
			}
		})
		text, _ := Encode(value)
		b.Run(name+", check", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Check(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
