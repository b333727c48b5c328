package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPragmaWithAValueIsSeen(t *testing.T) {
	for _, text := range []string{
		"PRAGMA synchronous = ''", "pragma synchronous=''", "PRAGMA synchronous('')", `PRAGMA main.synchronous = ""`,
		"PRAGMA/**/synchronous/**/=/**/''", "PRAGMA -- x\n synchronous -- y\n = ''", `PRAGMA "synchronous" = ''`,
		`PRAGMA "main" . [synchronous] ('')`, "SELECT 1; PRAGMA synchronous = ''", "ROLLBACK; PRAGMA synchronous; PRAGMA synchronous = ''",
		"EXPLAIN PRAGMA synchronous = ''", "PRAGMA synchronous\v= ''", "PRAGMA synchronous\ufeff = ''", "PRAGMA synchronous = OFF",
		"SELECT ';'; PRAGMA synchronous=''", "PRAGMA main.synchronous = '';", "PrAgMa synchronous = ''",
		"\ufeffPRAGMA synchronous = ''", "SELECT $a('); PRAGMA synchronous = ''; --')", "SELECT @a::b('); PRAGMA synchronous = ''; --')",
		"SELECT 'PRAGMA synchronous = x'", "PRAGMA synchronous; PRAGMA foreign_keys", "PRAGMA synchronous -- = ''", "pragma", "xPRAGMA",
	} {
		require.False(t, setsNoPragma(text), text)
	}
	for _, text := range []string{
		"", "SELECT 1", "PRAGMA synchronous", "PRAGMA main.synchronous;", "\n\tpragma Synchronous ; ", "pragmatic",
		"SELECT * FROM pragma_table_info('config')", "SELECT pragmas FROM t",
	} {
		require.True(t, setsNoPragma(text), text)
	}
}

func TestPragmasAreAllowedByName(t *testing.T) {
	for _, name := range []string{"table_info", "TABLE_XINFO", "integrity_check", "defer_foreign_keys", "user_version"} {
		require.True(t, mayUsePragma(name, "", true), name)
		require.True(t, mayUsePragma(name, "", false), name)
		require.True(t, mayUsePragma(name, "x", false), name)
	}
	for _, name := range []string{"synchronous", "Foreign_Keys", "application_id", "journal_mode", "secure_delete"} {
		require.True(t, mayUsePragma(name, "", true), name)
		require.False(t, mayUsePragma(name, "", false), "%s = ''", name)
		require.False(t, mayUsePragma(name, "ON", false), name)
	}
	for _, name := range []string{"wal_checkpoint", "optimize", "shrink_memory", "incremental_vacuum", "no_such_pragma", ""} {
		require.False(t, mayUsePragma(name, "", true), name)
	}
}
