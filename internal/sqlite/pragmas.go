package sqlite

import (
	"regexp"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// Pragmas that callers may use, with or without a value: what they take is no setting, or one that ends with the transaction.
var harmlessPragmas = []string{
	"collation_list", "compile_options", "data_version", "database_list", "defer_foreign_keys", "foreign_key_check",
	"foreign_key_list", "freelist_count", "function_list", "index_info", "index_list", "index_xinfo", "integrity_check",
	"module_list", "page_count", "pragma_list", "quick_check", "table_info", "table_list", "table_xinfo", "user_version",
}

// Settings that callers may read. A value would outlast the statement.
var readablePragmas = []string{
	"application_id", "auto_vacuum", "busy_timeout", "cache_size", "cache_spill", "cell_size_check", "encoding", "foreign_keys",
	"ignore_check_constraints", "journal_mode", "journal_size_limit", "locking_mode", "max_page_count", "mmap_size", "page_size",
	"query_only", "recursive_triggers", "schema_version", "secure_delete", "synchronous", "temp_store", "trusted_schema",
	"wal_autocheckpoint", "writable_schema",
}

// mayUsePragma reports whether a caller's statement may use a pragma. All that are not known by name are refused. To set something to
// the empty text is to set it to 0 or OFF, and the driver's authorizer cannot tell that from no value: what may only be read is
// allowed only if the statement's text has no value either.
func mayUsePragma(name, value string, noSetting bool) bool {
	name = sqltext.Lower(name)
	return slices.Contains(harmlessPragmas, name) || value == "" && noSetting && slices.Contains(readablePragmas, name)
}

// onlyReadsPragma matches a text that is one PRAGMA without a value, and nothing else.
var onlyReadsPragma = regexp.MustCompile(`(?i)^[ \t\n\f\r]*PRAGMA[ \t\n\f\r]+([a-z_]+\.)?[a-z_]+[ \t\n\f\r]*;?[ \t\n\f\r]*$`)

// setsNoPragma reports whether no PRAGMA in a text has a value. It does not try to know SQLite's tokens as well as SQLite does: a text
// in which the keyword may stand anywhere is taken for one that sets something, unless it is as plain as can be.
func setsNoPragma(text string) bool {
	return !mentionsPragma(text) || onlyReadsPragma.MatchString(text)
}

// mentionsPragma reports whether the keyword may be in a text: the word, with nothing behind it that belongs to a name.
func mentionsPragma(text string) bool {
	const word = "pragma"
	for i := 0; i+len(word) <= len(text); i++ {
		if text[i]|0x20 != 'p' || !strings.EqualFold(text[i:i+len(word)], word) {
			continue
		}
		if end := i + len(word); end == len(text) || !sqltext.IsWord(text[end]) {
			return true
		}
	}
	return false
}
