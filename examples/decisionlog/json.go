package decisionlog

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// What oxide-k's JSON reader takes. It lists no decision at all if one of them exceeds that, and none can be removed.
const (
	// MaxDepth is how many lists and objects may be within each other.
	MaxDepth = 127
	// MaxNumber is the largest number, and its negative the smallest.
	MaxNumber = 1e308
)

// compact returns JSON without the spaces between its tokens, in memory of its own. No error quotes the text.
func compact(name string, text json.RawMessage) (json.RawMessage, error) {
	if len(text) == 0 {
		return json.RawMessage("null"), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil || !utf8.Valid(text) {
		return nil, invalid("the %s: not JSON", name)
	}
	if hasLoneSurrogate(text) {
		return nil, invalid("the %s: half of a surrogate pair is no character", name)
	}
	if err := checkLimits(name, text); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// checkLimits refuses JSON that exceeds MaxDepth or MaxNumber.
func checkLimits(name string, text json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for depth := 0; ; {
		token, err := decoder.Token()
		switch token := token.(type) {
		case json.Delim:
			if token == '[' || token == '{' {
				depth++
			} else {
				depth--
			}
		case json.Number:
			n, err := strconv.ParseFloat(string(token), 64)
			if err != nil || math.Abs(n) > MaxNumber {
				return invalid("the %s: a number is beyond %g", name, MaxNumber)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return invalid("the %s: not JSON", name)
		case depth > MaxDepth:
			return invalid("the %s: nested deeper than %d levels", name, MaxDepth)
		}
	}
}

// escapes finds the escapes in strings of JSON. Its one group is half of a surrogate pair, without the other half.
var escapes = regexp.MustCompile(`\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])`)

// hasLoneSurrogate reports whether a string in JSON has an escape that stands for no character. encoding/json would replace it.
func hasLoneSurrogate(text []byte) bool {
	for {
		match := escapes.FindSubmatchIndex(text)
		if match == nil || match[2] >= 0 {
			return match != nil
		}
		text = text[match[1]:]
	}
}
