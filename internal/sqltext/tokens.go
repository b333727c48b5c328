package sqltext

import "strings"

// Tokens returns the tokens of a definition, without spaces and comments. (What no definition in a file has, parameters and byte order
// marks, comes as other tokens than SQLite's.) A quoted token keeps its quotes, an operator of several
// characters comes as several tokens, and what is not closed goes on to the end. The text ends at its first NUL, as it does for
// SQLite.
func Tokens(text string) []string {
	if end := strings.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	var tokens []string
	for text != "" {
		n := skipped(text)
		if n == 0 {
			n = tokenLength(text)
			tokens = append(tokens, text[:n])
		}
		text = text[n:]
	}
	return tokens
}

// Equal reports whether two definitions are the same, token by token. The case of ASCII letters counts within quotes only.
func Equal(a, b string) bool {
	left, right := Tokens(a), Tokens(b)
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i] != right[i] && (isQuote(left[i][0]) || Lower(left[i]) != Lower(right[i])) {
			return false
		}
	}
	return true
}

// Lower returns text with ASCII letters in lowercase: names are the same to SQLite if their Lower is.
func Lower(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return text
	}
	lower := []byte(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}

// skipped returns the length of the space or comment that text begins with, or 0.
func skipped(text string) int {
	n := 0
	for n < len(text) && strings.IndexByte(" \t\n\f\r", text[n]) >= 0 {
		n++
	}
	switch {
	case n > 0:
		return n
	case strings.HasPrefix(text, "--"):
		return through(text, 2, "\n")
	case strings.HasPrefix(text, "/*") && len(text) > 2:
		return through(text, 2, "*/")
	}
	return 0
}

func tokenLength(text string) int {
	switch first := text[0]; {
	case first == '[':
		return through(text, 1, "]")
	case isQuote(first):
		return quotedLength(text)
	case IsWord(first):
		n := 1
		for n < len(text) && IsWord(text[n]) {
			n++
		}
		return n
	}
	return 1
}

// quotedLength returns the length of the quoted token that text begins with; a quote is doubled to stand for itself.
func quotedLength(text string) int {
	for n := 1; n < len(text); n++ {
		if text[n] != text[0] {
			continue
		}
		if n+1 == len(text) || text[n+1] != text[0] {
			return n + 1
		}
		n++
	}
	return len(text)
}

// through returns where text has end for the first time, at from or later, and includes it; the whole length if nowhere.
func through(text string, from int, end string) int {
	if at := strings.Index(text[from:], end); at >= 0 {
		return from + at + len(end)
	}
	return len(text)
}

func isQuote(c byte) bool { return c == '\'' || c == '"' || c == '`' || c == '[' }

// IsWord reports whether a byte may be part of a name or a keyword.
func IsWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
