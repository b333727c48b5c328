package sqltext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShownName is how much of a name a message shows, in bytes.
const maxShownName = 64

// Quoted returns a name as messages show it: in quotes, what is not printable escaped, and shortened to 64 bytes. Names in a file
// are whatever somebody wrote there.
func Quoted(name string) string {
	if len(name) <= maxShownName {
		return strconv.Quote(name)
	}
	return strconv.Quote(name[:boundary(name, maxShownName)]) + "…"
}

// Printable returns text on one line, what is not printable escaped, and shortened to limit bytes.
func Printable(text string, limit int) string {
	var b strings.Builder
	for i, r := range text {
		if b.Len() >= limit {
			return b.String() + "…"
		}
		switch {
		case r == '\n':
			b.WriteString("; ")
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[i]), 16))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// boundary returns the last place at or before n where a character of text begins.
func boundary(text string, n int) int {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}
