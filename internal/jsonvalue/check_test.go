package jsonvalue

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestHalfASurrogatePairIsRefused(t *testing.T) {
	for text, bad := range map[string]bool{
		`\ud800`: true, `\udbff`: true, `\udc00`: true, `\udfff`: true, `\uD83D`: true, `\uDd11`: true, `a\ud83d\udd11`: false,
		`\uD83D\uDD11`: false, `\udd11\ud83d`: true, `\ud83d\ud83d\udd11`: true, `\ud83d\udd11\udd11`: true, `\ud83d \udd11`: true,
		`\ud83dx`: true, `\ud83d\n`: true, `\ud83d\\udd11`: true, `\\ud83d`: false, `\\\ud83d`: true, `\\\\ud83d`: false, `\"\ud83d`: true,
		`\ud7ff\ue000`: false, `\ud83d\u0041`: true, `\u0000`: false, `\ufffe\uffff`: false, `\\`: false, `\"`: false, `ud800`: false,
	} {
		for _, form := range []string{`"%"`, `["a","%"]`, `{"%":1}`, `{"a":{"b":["%"]}}`, `"x%y"`} {
			text := strings.Replace(form, "%", text, 1)
			require.True(t, json.Valid([]byte(text)), text)
			err := Check([]byte(text))
			require.Equal(t, bad, err != nil, "%s: %v", text, err)
		}
	}
}

func TestTheDeepestTextIsTaken(t *testing.T) {
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}} {
		levels := MaxDepth / len(pair[1])
		text := func(n int) []byte { return []byte(strings.Repeat(pair[0], n) + "1" + strings.Repeat(pair[1], n)) }
		require.NoError(t, Check(text(levels)), pair)
		require.NoError(t, json.Unmarshal(text(levels), new(any)))
		require.ErrorContains(t, Check(text(levels+1)), "nested deeper", pair)
	}
	require.NoError(t, Check([]byte(`"`+strings.Repeat("[{", MaxDepth)+`"`)))
}

// Of text that is no JSON it says whatever it likes, but it says something.
func TestTextThatIsNoJSONDoesNoHarm(t *testing.T) {
	for _, text := range []string{"", `"`, `"\`, `"\u`, `"\ud83d\`, `"\ud83d\u`, "}", "]]", ",", `{"a`, `{"a\`, `[}`, `{]}`, `{"\x":1}`, `":"`} {
		require.NotPanics(t, func() { _ = Check([]byte(text)) }, text)
	}
}

// FuzzCheck compares with what a decoder that goes token by token finds. It knows nothing of surrogates: FuzzCheckAsStrict does.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"b":[{"a":"\u00e9"},2],"\u0061":-1.5e3}`, `{"b":1,"a":{"b":1,"a":{}},"":[]}`, `["\ud800"]`, `"\\u\"\\"`, `{"":0,"":1}`,
		`{"c":1,"b":2,"c":3}`, "[\"\xff\"]", `{"\"":1,"\\\"":[],"\"":{}}`, ` [ 1 , { "a" : null } ] `,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := Check(text)
		if !json.Valid(text) || bytes.Contains(bytes.ToLower(text), []byte(`\ud`)) {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		require.Equal(t, utf8.Valid(text) && distinct(t, dec), err == nil, "%v", err)
	})
}

// distinct reads one value, and reports whether no object in it has a name twice.
func distinct(t testing.TB, dec *json.Decoder) bool {
	token, err := dec.Token()
	require.NoError(t, err)
	opening, ok := token.(json.Delim)
	if !ok {
		return true
	}
	good, names := true, map[string]bool{}
	for dec.More() {
		if opening == '{' {
			name, err := dec.Token()
			require.NoError(t, err)
			good = good && !names[name.(string)]
			names[name.(string)] = true
		}
		good = distinct(t, dec) && good
	}
	_, err = dec.Token()
	require.NoError(t, err)
	return good
}
