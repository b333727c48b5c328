package sqltext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokensAreSQLites(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                    nil,
		"SELECT 1":                            {"SELECT", "1"},
		"a\t\n\f\r b":                         {"a", "b"},
		"a--b\nc":                             {"a", "c"},
		"a--b":                                {"a"},
		"a/*b*/c":                             {"a", "c"},
		"a/*/c*/d":                            {"a", "d"},
		"a/*b":                                {"a"},
		"a/*":                                 {"a", "/", "*"},
		"a-b/c":                               {"a", "-", "b", "/", "c"},
		`"a""b"c`:                             {`"a""b"`, "c"},
		"'it''s' x":                           {"'it''s'", "x"},
		"`a``b`[c]d]e":                        {"`a``b`", "[c]", "d", "]", "e"},
		"'open -- not a comment":              {"'open -- not a comment"},
		"[open":                               {"[open"},
		"x = ''":                              {"x", "=", "''"},
		"größe$1_x":                           {"größe$1_x"},
		"a\x00b":                              {"a"},
		"a\vb":                                {"a", "\v", "b"},
		"CREATE TABLE t(\n\ta TEXT -- one\n)": {"CREATE", "TABLE", "t", "(", "a", "TEXT", ")"},
	} {
		require.Equal(t, want, Tokens(text), "%q", text)
	}
}

func TestDefinitionsAreComparedByTokens(t *testing.T) {
	const definition = "CREATE TABLE config (\n  key TEXT PRIMARY KEY, -- the key\n  value TEXT NOT NULL DEFAULT 'A'\n)"
	for _, same := range []string{
		definition,
		"create table CONFIG(Key text PRIMARY KEY,value TEXT NOT NULL DEFAULT 'A')",
		"CREATE/**/TABLE config (key TEXT PRIMARY KEY, value TEXT NOT NULL DEFAULT 'A') -- end",
	} {
		require.True(t, Equal(definition, same), same)
	}
	for _, other := range []string{
		strings.Replace(definition, "'A'", "'a'", 1),
		strings.Replace(definition, "NOT NULL", "", 1),
		strings.Replace(definition, "PRIMARY KEY", "PRIMARY KEY COLLATE NOCASE", 1),
		definition + " STRICT",
		strings.TrimSuffix(definition, ")") + "x",
		strings.Replace(definition, "config", `"config"`, 1),
		"",
	} {
		require.False(t, Equal(definition, other), other)
	}
}

// The Kelvin sign is no k to SQLite.
func TestOnlyASCIIHasACase(t *testing.T) {
	require.Equal(t, "keyset", Lower("KeySet"))
	require.Equal(t, "\u212aeyset", Lower("\u212aEYSET"))
	require.Equal(t, "a\xffb", Lower("A\xffB"))
}

func TestNamesAreShownQuotedAndShort(t *testing.T) {
	require.Equal(t, `"a\nb\x00"`, Quoted("a\nb\x00"))
	require.Equal(t, `"`+strings.Repeat("ä", 32)+`"…`, Quoted(strings.Repeat("ä", 5000)))
	require.Equal(t, `"a`+strings.Repeat("ä", 31)+`"…`, Quoted("a"+strings.Repeat("ä", 5000)), "no half of a character")
}

func TestMessagesAreOneShortLine(t *testing.T) {
	require.Equal(t, `one; two\x1b[31m\u202e"quoted"\xff�`, Printable("one\ntwo\x1b[31m\u202e\"quoted\"\xff\uFFFD", 100))
	require.Equal(t, strings.Repeat("x", 100)+"…", Printable(strings.Repeat("x", 5000), 100))
}
