package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxDepth is the deepest that encoding/json decodes.
const MaxDepth = 10_000

var (
	errNotUTF8 = errors.New("a string in it is not UTF-8")
	errNotJSON = errors.New("it is not valid JSON")
)

// Check returns an error if readers of JSON may disagree about what text says:
//   - it is not UTF-8: some replace the bytes, some refuse them;
//   - a string has half of a surrogate pair as an escape, which is no character;
//   - an object has the same name twice, escaped or not: some take the first, some the last, some refuse;
//   - it is nested deeper than [MaxDepth].
//
// Text must be valid JSON otherwise. Its numbers may have any size and precision.
func Check(text []byte) error {
	if !utf8.Valid(text) {
		return errNotUTF8
	}
	// Both are local, and no helper gets a pointer to them: so the usual text costs no memory.
	var (
		open      = make([]container, 0, 8) // the arrays and objects around the place where the loop is
		names     = make([][]byte, 0, 16)   // those of the open objects, one object's after the other's
		nameComes = false
	)
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case '"':
			begin, escaped, err := i, false, error(nil)
			if i, escaped, err = stringEnd(text, i+1); err != nil {
				return err
			}
			if !nameComes {
				continue
			}
			nameComes = false
			name := text[begin+1 : i]
			if escaped {
				if name, err = unescaped(text[begin : i+1]); err != nil {
					return err
				}
			}
			// A map's names come sorted, and need no more than a look at the one before.
			object := len(open) - 1
			if len(names) > open[object].names {
				order := bytes.Compare(names[len(names)-1], name)
				if order == 0 {
					return twice(open[object].at, len(open))
				}
				open[object].unsorted = open[object].unsorted || order > 0
			}
			names = append(names, name)
		case '{', '[':
			if len(open) == MaxDepth {
				return fmt.Errorf("it is nested deeper than %d levels", MaxDepth)
			}
			nameComes = b == '{'
			open = append(open, container{at: i, names: len(names), isObject: nameComes})
		case ',':
			nameComes = len(open) > 0 && open[len(open)-1].isObject
		case '}', ']':
			if len(open) == 0 {
				return errNotJSON
			}
			ended := open[len(open)-1]
			if ended.unsorted && repeats(names[ended.names:]) {
				return twice(ended.at, len(open))
			}
			nameComes, names, open = false, names[:ended.names], open[:len(open)-1]
		}
	}
	return nil
}

// container is an array or an object that has not ended yet.
type container struct {
	at       int // where it begins in the text
	names    int // how many names came before it
	isObject bool
	unsorted bool // a name came that is not after the one before
}

// twice returns the error for an object. It does not say the name, which is a part of the value.
func twice(at, depth int) error {
	return fmt.Errorf("an object in it has the same name twice: the one at byte %d of its JSON, %d levels deep", at, depth)
}

// repeats reports whether a name comes twice. It sorts them.
func repeats(names [][]byte) bool {
	slices.SortFunc(names, bytes.Compare)
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i-1], names[i]) {
			return true
		}
	}
	return false
}

// unescaped returns what a string in quotes means.
func unescaped(quoted []byte) ([]byte, error) {
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return nil, errNotJSON
	}
	return []byte(text), nil
}

// stringEnd returns where the string ends whose first byte is at from, and whether an escape is in it.
func stringEnd(text []byte, from int) (end int, escaped bool, err error) {
	for quote := -1; ; {
		if quote < from {
			if quote = bytes.IndexByte(text[from:], '"'); quote < 0 {
				return 0, false, errNotJSON
			}
			quote += from
		}
		slash := bytes.IndexByte(text[from:quote], '\\')
		if slash < 0 {
			return quote, escaped, nil
		}
		escaped = true
		from += slash
		size, ok := escapeSize(text[from:])
		if !ok {
			return 0, false, fmt.Errorf(
				`a string in it has half of a surrogate pair, an escape from \ud800 to \udfff alone, at byte %d of its JSON`, from)
		}
		if from += size; from > len(text) {
			return 0, false, errNotJSON
		}
	}
}

// escapeSize returns the size of the escape that text begins with, of both for a surrogate pair. It is not ok for a surrogate without
// the other half.
func escapeSize(text []byte) (size int, ok bool) {
	unit := codeUnit(text)
	switch {
	case unit < 0:
		return 2, true
	case unit < 0xd800 || unit > 0xdfff:
		return 6, true
	case unit < 0xdc00:
		second := codeUnit(text[6:])
		return 12, 0xdc00 <= second && second <= 0xdfff
	}
	return 0, false
}

// codeUnit returns the UTF-16 code unit of the \u escape that text begins with, -1 if it begins with something else.
func codeUnit(text []byte) int {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	unit := 0
	for _, b := range text[2:6] {
		switch digit := b | 0x20; { // in lower case
		case '0' <= b && b <= '9':
			unit = unit<<4 | int(b-'0')
		case 'a' <= digit && digit <= 'f':
			unit = unit<<4 | int(digit-'a'+10)
		default:
			return -1
		}
	}
	return unit
}
