package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// The refusals that are about the schema: whatever of it is not the registry's own could act in its name.

// schemaRow puts a row into the schema itself, behind SQLite's back.
func schemaRow(kind, name, table, definition string) string {
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	return fmt.Sprintf("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (%s, %s, %s, 0, %s)",
		quoted(kind), quoted(name), quoted(table), quoted(definition))
}

// redefined changes the definition of a table, behind SQLite's back.
func redefined(table, from, to string) string {
	return fmt.Sprintf("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '%s', '%s') WHERE name = '%s'", from, to, table)
}

func trigger(name, table string) string {
	return fmt.Sprintf("CREATE TRIGGER %s AFTER UPDATE ON %s BEGIN SELECT 1; END", name, table)
}

var strangeSchemas = map[string]string{
	"a trigger named as SQLite names things": schemaRow("trigger", "sqlite_x", "config", trigger("sqlite_x", "config")),
	"a trigger on the keyset so named":       schemaRow("trigger", "sqlite_x", "keyset", trigger("sqlite_x", "keyset")),
	"a trigger on a stranger's table":        "CREATE TABLE mine (x); " + schemaRow("trigger", "sqlite_x", "mine", trigger("sqlite_x", "mine")),
	"a TRIGGER":                              schemaRow("TRIGGER", "stranger", "config", trigger("stranger", "config")),
	"a Trigger on CONFIG":                    schemaRow("Trigger", "stranger", "CONFIG", trigger("stranger", "CONFIG")),
	"a table's name that goes on after NUL": "CREATE TABLE mine (x); PRAGMA writable_schema = ON; " +
		"INSERT INTO sqlite_schema VALUES ('trigger', 'stranger', 'config' || char(0) || 'x', 0, '" + trigger("stranger", "config") + "')",
	"a kind that goes on after NUL": "PRAGMA writable_schema = ON; " +
		"INSERT INTO sqlite_schema VALUES ('trigger' || char(0), 'stranger', 'config', 0, '" + trigger("stranger", "config") + "')",
	"a name that is a blob": "PRAGMA writable_schema = ON; " +
		"INSERT INTO sqlite_schema VALUES (CAST('trigger' AS BLOB), CAST('stranger' AS BLOB), CAST('config' AS BLOB), 0, '" + trigger("stranger", "config") + "')",
	"a temporary trigger": schemaRow("trigger", "stranger", "config", "CREATE TEMP TRIGGER stranger AFTER UPDATE ON config BEGIN SELECT 1; END"),
	"the same trigger twice": schemaRow("trigger", "config_update", "config",
		"CREATE TRIGGER IF NOT EXISTS config_update AFTER UPDATE ON config BEGIN SELECT 1; END"),
	"a table named as SQLite names them": "CREATE TABLE mine (x); PRAGMA writable_schema = ON; " +
		"UPDATE sqlite_schema SET name = 'sqlite_mine', tbl_name = 'sqlite_mine', sql = 'CREATE TABLE sqlite_mine (x)' WHERE name = 'mine'",
	"a copy of the schema that hides a trigger": "CREATE TABLE mine (type, name, tbl_name, rootpage, sql); " +
		"INSERT INTO mine SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE name <> 'mine'; " +
		trigger("stranger", "config") + "; PRAGMA writable_schema = ON; UPDATE sqlite_master SET name = 'sqlite_schema', " +
		"tbl_name = 'sqlite_schema', sql = 'CREATE TABLE sqlite_schema (type, name, tbl_name, rootpage, sql)' WHERE name = 'mine'",
	"statistics that compute": "CREATE TABLE mine (tbl, idx, stat); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET " +
		"name = 'sqlite_stat1', tbl_name = 'sqlite_stat1', sql = 'CREATE TABLE sqlite_stat1 (tbl, idx, stat AS (hex(zeroblob(9))))' WHERE name = 'mine'",
	"sequences of another kind": "CREATE TABLE mine (name, seq); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET " +
		"name = 'sqlite_sequence', tbl_name = 'sqlite_sequence', sql = 'CREATE TABLE sqlite_sequence (name UNIQUE, seq)' WHERE name = 'mine'",
	"a table that is a TABLE":                    "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'TABLE' WHERE name = 'config'",
	"a stranger's table that is one":             "CREATE TABLE mine (x); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'Table' WHERE name = 'mine'",
	"a guard that is a TRIGGER":                  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'TRIGGER' WHERE name = 'config_insert_value'",
	"a kind that is a blob":                      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = CAST(type AS BLOB) WHERE name = 'changes'",
	"a root that is text":                        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = CAST(rootpage AS BLOB) WHERE name = 'changes'",
	"statistics that are blown up":               "ANALYZE; UPDATE sqlite_stat1 SET stat = hex(zeroblob(3000))",
	"statistics that are no text":                "ANALYZE; UPDATE sqlite_stat1 SET tbl = zeroblob(5000)",
	"a view of that kind":                        schemaRow("view", "sqlite_mine", "sqlite_mine", "CREATE VIEW sqlite_mine AS SELECT 1"),
	"what stands in for what lists foreign keys": "CREATE VIRTUAL TABLE pragma_foreign_key_list USING fts3 (a)",
	"pages of two tables": "CREATE TABLE mine (key, value, updated_at, revision); PRAGMA writable_schema = ON; " +
		"UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'config') WHERE name = 'mine'",
	"pages of the schema": "CREATE TABLE mine (a, b, c, d, e); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'mine'",

	"an index of an expression":     "CREATE INDEX stranger ON config (length(value))",
	"an index of a part":            "CREATE INDEX stranger ON config (updated_at) WHERE value > 'x'",
	"a unique index":                "CREATE UNIQUE INDEX stranger ON modules (name, version)",
	"an index that compares so":     "CREATE INDEX stranger ON modules (name COLLATE NOCASE)",
	"an index of text":              `CREATE INDEX stranger ON modules ("nocolumn")`,
	"an index on the change log":    "CREATE INDEX stranger ON changes (key)",
	"an index on the keyset":        "CREATE INDEX stranger ON keyset (kek)",
	"an index on the ledger":        "CREATE INDEX stranger ON migrations (name)",
	"an INDEX with a name of SQL":   `CREATE UNIQUE INDEX "x""); SELECT 1 --" ON config (key)`,
	"an automatic index too many":   "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('index', 'sqlite_autoindex_config_2', 'config', 99, NULL)",
	"a check less":                  redefined("keyset", "CHECK (one = 1)", ""),
	"a check less, of another kind": redefined("changes", "CHECK (revision > 0)", ""),
	"a check more":                  redefined("config", "value      TEXT NOT NULL", "value TEXT NOT NULL CHECK (length(value) > 0)"),
	"a check more after all":        redefined("config", "DEFAULT 0)", "DEFAULT 0 CHECK (1))"),
	"another comparison":            redefined("config", "key        TEXT PRIMARY KEY", "key TEXT COLLATE NOCASE PRIMARY KEY"),
	"ON CONFLICT":                   redefined("config", "value      TEXT NOT NULL", "value TEXT NOT NULL ON CONFLICT IGNORE"),
	"ON CONFLICT of the key":        redefined("modules", "PRIMARY KEY", "PRIMARY KEY ON CONFLICT REPLACE"),
	"REFERENCES":                    redefined("config", "value      TEXT NOT NULL", "value TEXT NOT NULL REFERENCES modules (id)"),
	"AUTOINCREMENT":                 redefined("changes", "PRIMARY KEY", "PRIMARY KEY AUTOINCREMENT"),
	"a type":                        redefined("changes", "at       TEXT", "at BLOB"),
	"a default":                     redefined("registry", "DEFAULT 100000", "DEFAULT 1"),
	"STRICT":                        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'config'",
	"a generated column":            redefined("modules", "DEFAULT 0)", "DEFAULT 0, g AS (name))"),

	"a foreign key to config":             "CREATE TABLE mine (k TEXT REFERENCES config (key) ON DELETE CASCADE)",
	"one to CONFIG's own key":             "CREATE TABLE mine (k TEXT REFERENCES CONFIG)",
	"one of the table":                    "CREATE TABLE mine (a, k TEXT, FOREIGN KEY (k) REFERENCES config (key) ON UPDATE SET NULL)",
	"one to the keyset":                   "CREATE TABLE mine (one INTEGER REFERENCES keyset (one) ON DELETE CASCADE)",
	"one to the change log":               "CREATE TABLE mine (r INTEGER REFERENCES changes (revision) ON DELETE CASCADE)",
	"one to the registry's row":           "CREATE TABLE mine (one INTEGER REFERENCES registry)",
	"one to the ledger":                   "CREATE TABLE mine (s, n, FOREIGN KEY (s, n) REFERENCES migrations)",
	"one to another column of modules":    "CREATE TABLE mine (n REFERENCES modules (name))",
	"one to more columns of modules":      "CREATE TABLE mine (i, n, FOREIGN KEY (i, n) REFERENCES modules (id, name))",
	"one of a table that is named as SQL": `CREATE TABLE "mine''); DROP TABLE config; --" (k TEXT REFERENCES config (key))`,
}

// skipOrigins skips a long test in modes whose schema is another's.
func (s *refusalSuite) skipOrigins() {
	if s.mode.origin {
		s.T().Skip("the schema is that of the mode encrypted")
	}
}

// skipEncrypted skips a long test for which values do not matter.
func (s *refusalSuite) skipEncrypted() {
	if s.mode.encrypted() {
		s.T().Skip("the schema is that of the mode plaintext")
	}
}

func (s *refusalSuite) TestStrangeSchemas() {
	s.skipOrigins()
	whole := s.create("whole.db")
	for name, damage := range strangeSchemas {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, damage)
			s.requireRefused(path, registry.ErrCorrupt)
		})
	}
}

// The same that is done while a registry is open.
func (s *refusalSuite) TestVerifyFindsStrangeSchemas() {
	s.skipEncrypted()
	for name, damage := range strangeSchemas {
		s.Run(name, func() {
			path := s.create("x.db")
			reg, err := s.tryOpen(path)
			s.Require().NoError(err)
			sqliteExec(s.T(), path, damage)
			_, err = reg.Verify(s.T().Context())
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.Require().NoError(reg.Close())
		})
	}
}

// What others may put beside the registry's own tables.
var harmlessSchemas = map[string]string{
	"tables, views, triggers": "CREATE TABLE mine (a UNIQUE, b COLLATE NOCASE CHECK (b <> 'x')); CREATE VIEW mine_v AS SELECT a FROM mine; " +
		"CREATE TRIGGER mine_t AFTER INSERT ON mine BEGIN SELECT 1; END; CREATE TRIGGER mine_v_t INSTEAD OF INSERT ON mine_v BEGIN SELECT 1; END",
	"indexes of any kind":         "CREATE TABLE mine (a, b); CREATE UNIQUE INDEX mine_i ON mine (length(a)) WHERE b > 1",
	"a virtual table":             "CREATE VIRTUAL TABLE mine USING fts3 (a)",
	"a foreign key to modules":    "CREATE TABLE mine (m REFERENCES modules (id) ON DELETE CASCADE, n REFERENCES Modules)",
	"foreign keys to each other":  "CREATE TABLE mine (a PRIMARY KEY, b REFERENCES mine (a)); CREATE TABLE mine_b (c REFERENCES mine)",
	"AUTOINCREMENT":               "CREATE TABLE mine (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO mine DEFAULT VALUES",
	"statistics":                  "ANALYZE",
	"plain indexes":               `CREATE INDEX mine_c ON config (updated_at DESC, "key"); CREATE INDEX mine_m ON modules (name, version ASC)`,
	"a table without rowid":       "CREATE TABLE mine (a PRIMARY KEY, m REFERENCES modules) WITHOUT ROWID",
	"names that look like others": "CREATE TABLE configs (a); CREATE TABLE keyset_ (a); CREATE TABLE sqlitex (a); CREATE TABLE pragmas (a)",
}

func (s *refusalSuite) TestOthersMayPutTheirOwnBesideIt() {
	s.skipOrigins()
	whole := s.create("whole.db")
	for name, statements := range harmlessSchemas {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, statements)
			requireFilled(s.T(), s.open(path))
			if !s.mode.encrypted() {
				copyFile(s.T(), oxidePlain, s.file("oxide.db"))
				sqliteExec(s.T(), s.file("oxide.db"), statements)
				s.open(s.file("oxide.db"))
			}
		})
	}
}

// Names in the file are in messages quoted and short.
func (s *refusalSuite) TestNamesInMessagesAreQuotedAndShort() {
	s.skipEncrypted()
	whole := s.create("whole.db")
	for kind, statement := range map[string]string{
		"index":   `CREATE INDEX "%s" ON config (length(value))`,
		"trigger": `CREATE TRIGGER "%s" AFTER INSERT ON config BEGIN SELECT 1; END`,
		"table":   `CREATE TABLE "%s" (k REFERENCES config (key))`,
	} {
		s.Run(kind, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			var statements []string
			for i := range 50 {
				name := fmt.Sprint("line\nline\x1b[31m", i, strings.Repeat("x", 20_000))
				statements = append(statements, fmt.Sprintf(statement, name))
			}
			sqliteExec(s.T(), path, statements...)
			err := s.requireRefused(path, registry.ErrCorrupt)
			s.Require().Less(len(err.Error()), 10<<10)
			s.Require().NotContains(err.Error(), "\n")
			s.Require().NotContains(err.Error(), "\x1b")
			s.Require().ErrorContains(err, `line\nline`)
		})
	}
}

// A definition, and a row of the ledger, that somebody blew up.
func (s *refusalSuite) TestWhatIsBlownUpIsNotRead() {
	s.skipEncrypted()
	whole := s.create("whole.db")
	for name, damage := range map[string]string{
		"a definition":           schemaRow("view", "mine", "mine", "CREATE VIEW mine AS SELECT '"+strings.Repeat("x", 2<<20)+"'"),
		"a definition, a little": schemaRow("view", "mine", "mine", "CREATE VIEW mine AS SELECT '"+strings.Repeat("x", 70<<10)+"'"),
		"the limit of the log":   "PRAGMA ignore_check_constraints = ON; UPDATE registry SET log_limit = zeroblob(50000000)",
		"a name":                 "INSERT INTO migrations VALUES ('core', 99, CAST(zeroblob(50000000) AS TEXT), '', '')",
		"the ledger": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) " +
			"INSERT INTO migrations SELECT 'mine', i, '', '', '' FROM n",
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, damage)
			_, err := s.tryOpen(path, registry.WithReadOnly())
			s.Require().True(errors.Is(err, registry.ErrCorrupt) || errors.Is(err, registry.ErrNewerSchema), "%v", err)
		})
	}
}

// A schema of which each definition is short enough.
func TestASchemaThatIsTooLargeIsRefused(t *testing.T) {
	path := t.TempDir() + "/x.db"
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, reg.Close())
	sqliteExec(t, path, "PRAGMA writable_schema = ON; "+
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO sqlite_schema "+
		"SELECT 'view', 'v' || i, 'v' || i, 0, 'CREATE VIEW v' || i || ' AS SELECT x''' || hex(zeroblob(30000)) || '''' FROM n")
	_, err = registry.Open(t.Context(), path)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, "bytes")
}

// A schema that takes SQLite long to read: opening ends with its context all the same, and the file stays usable.
func TestOpeningEndsWithItsContextWhateverTheSchema(t *testing.T) {
	path := t.TempDir() + "/x.db"
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, reg.Close())
	pool := sqliteOpen(t, path)
	tx, err := pool.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("PRAGMA writable_schema = ON")
	require.NoError(t, err)
	columns := strings.Repeat("1,", 200) + "1"
	for i := range 5_000 {
		name := fmt.Sprint("v", i)
		_, err := tx.Exec("INSERT INTO sqlite_schema VALUES ('view', ?1, ?1, 0, 'CREATE VIEW ' || ?1 || ' AS SELECT ' || ?2)", name, columns)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
	require.NoError(t, pool.Close())

	began := time.Now()
	reg, err = registry.Open(t.Context(), path, registry.WithReadOnly())
	require.NoError(t, err, "it is a registry")
	whole := time.Since(began)
	require.NoError(t, reg.Close())

	ctx, cancel := context.WithTimeout(t.Context(), whole/100)
	defer cancel()
	began = time.Now()
	_, err = registry.Open(ctx, path, registry.WithReadOnly())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), whole*3/4, "it did not wait for SQLite")
	reg, err = registry.Open(t.Context(), path, registry.WithReadOnly())
	require.NoError(t, err, "the connection that was left to itself is in nobody's way")
	require.NoError(t, reg.Close())
	require.NoError(t, os.Remove(path))
}
