package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// A file that Open refuses stays as it was: its bytes, its mode, its time, and its folder.
func TestRefusals(t *testing.T) {
	runInFileModes(t, func() *refusalSuite { return &refusalSuite{} })
}

type refusalSuite struct{ fileSuite }

// requireRefused fails unless opening gives the sentinel, in each way that may write and in the one that may not, and
// leaves the file as it was and nothing beside it. Reading a file in WAL mode takes a FILE-shm and an empty FILE-wal,
// which a connection that only reads cannot remove: those two may stay. It returns the last error.
func (s *refusalSuite) requireRefused(path string, sentinel error, opts ...registry.Option) (err error) {
	s.T().Helper()
	before := folder(s.T(), s.dir)
	for _, more := range [][]registry.Option{nil, {registry.WithMustExist()}, {registry.WithReadOnly()}} {
		var reg *registry.Registry
		reg, err = s.tryOpen(path, append(opts[:len(opts):len(opts)], more...)...)
		s.Require().ErrorIs(err, sentinel)
		s.Require().Nil(reg)
		var known *registry.Error
		s.Require().ErrorAs(err, &known)
		s.Require().Equal(path, known.Key)
		after := folder(s.T(), s.dir)
		for name, litter := range map[string]bool{
			filepath.Base(path) + "-shm": inWAL(s.T(), path),
			filepath.Base(path) + "-wal": inWAL(s.T(), path) && strings.HasSuffix(after[filepath.Base(path)+"-wal"], hashOf(nil)),
		} {
			if _, was := before[name]; litter && !was {
				delete(after, name)
			}
		}
		delete(before, filepath.Base(path)+"-shm") // the index of the WAL, which any reader may rebuild
		delete(after, filepath.Base(path)+"-shm")
		s.Require().Equal(before, after)
	}
	return err
}

// inWAL reports whether a file says of itself that it is a database in WAL mode (sqlite.org/fileformat.html, offset 18).
func inWAL(t testing.TB, path string) bool {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return len(data) > 18 && data[18] == 2
}

func (s *refusalSuite) TestFilesThatAreNoDatabase() {
	registryBytes, err := os.ReadFile(s.create("whole.db"))
	s.Require().NoError(err)
	for name, content := range map[string][]byte{
		"one byte":           {'S'},
		"text":               []byte("just some notes\n"),
		"long text":          bytes.Repeat([]byte("all work and no play\n"), 1000),
		"zeros":              make([]byte, 8192),
		"noise":              noise(8192),
		"header of 10 bytes": registryBytes[:10],
		"header of 17 bytes": registryBytes[:17],
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			s.Require().NoError(os.WriteFile(path, content, 0o640))
			s.requireRefused(path, registry.ErrNotRegistry)
		})
	}
}

// What begins as a database and ends too early is a damaged one, whosever it was. (Of the last page more than its end has
// to be missing: it may be empty.)
func (s *refusalSuite) TestTruncatedFiles() {
	registryBytes, err := os.ReadFile(s.create("whole.db"))
	s.Require().NoError(err)
	for _, size := range []int{50, 99, 100, 512, 4095, 4096, 2*4096 + 1, len(registryBytes) - 4096 - 1, len(registryBytes) - 4096} {
		s.Run(fmt.Sprint(size), func() {
			path := s.file("x.db")
			s.Require().NoError(os.WriteFile(path, registryBytes[:size], 0o640))
			s.requireRefused(path, registry.ErrCorrupt)
		})
	}
}

func (s *refusalSuite) TestDatabasesOfOtherPrograms() {
	const (
		modules = `CREATE TABLE modules (id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,
			kind TEXT NOT NULL, state TEXT NOT NULL, description TEXT, updated_at TEXT NOT NULL)`
		config = `CREATE TABLE config (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL)`
	)
	for name, statements := range map[string][]string{
		"some table":             {"CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)", "INSERT INTO notes VALUES (1, 'a')"},
		"some view":              {"CREATE VIEW answers AS SELECT 42 AS answer"},
		"application_id, empty":  {"PRAGMA application_id = 252006675", "PRAGMA user_version = 1"},
		"application_id, tables": {"PRAGMA application_id = 252006675", modules, config},
		"config without modules": {config},
		"modules of other columns": {
			"CREATE TABLE modules (id INTEGER PRIMARY KEY, path TEXT NOT NULL)", config},
		"modules with one column more": {
			modules, "ALTER TABLE modules ADD COLUMN owner TEXT", config},
		"config of other columns": {
			modules, "CREATE TABLE config (key TEXT PRIMARY KEY, value BLOB NOT NULL, updated_at TEXT NOT NULL)"},
		"a changes table of its own": {
			modules, config, "CREATE TABLE changes (id INTEGER PRIMARY KEY)"},
		"a migrations table of its own": {
			modules, config, "CREATE TABLE migrations (version INTEGER)"},
		"a trigger on config": {
			modules, config, "CREATE TRIGGER t AFTER INSERT ON config BEGIN DELETE FROM modules; END"},
		"keys whose case does not count": {
			modules, "CREATE TABLE config (key TEXT PRIMARY KEY COLLATE NOCASE, value TEXT NOT NULL, updated_at TEXT NOT NULL)"},
		"values that are unique": {
			modules, "CREATE TABLE config (key TEXT PRIMARY KEY, value TEXT NOT NULL UNIQUE, updated_at TEXT NOT NULL)"},
		"times that are unique": {modules, config, "CREATE UNIQUE INDEX i ON config (updated_at)"},
		"UTF-16":                {"PRAGMA encoding = 'UTF-16le'", modules, config},
	} {
		for _, journal := range []string{"DELETE", "WAL"} {
			s.Run(name+"/"+journal, func() {
				path := s.file("x.db")
				sqliteExec(s.T(), path, append(statements[:len(statements):len(statements)], "PRAGMA journal_mode = "+journal)...)
				s.requireRefused(path, registry.ErrNotRegistry)
			})
		}
	}
}

// What another program had not checkpointed when it crashed stays in its WAL.
func (s *refusalSuite) TestTheWALOfAnotherProgramStays() {
	path := s.file("x.db")
	crashed(s.T(), path, "PRAGMA journal_mode = WAL", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('a')")
	s.Require().Contains(names(s.T(), s.dir), "x.db-wal")
	s.requireRefused(path, registry.ErrNotRegistry)
	s.Require().Equal([][]string{{`"a"`}}, sqliteRows(s.T(), path, "SELECT text FROM notes"))
}

// A transaction that another program's crash cut short is undone, as by any program that looks into the file.
func (s *refusalSuite) TestTheHotJournalOfAnotherProgramIsPlayedBack() {
	path := s.file("x.db")
	crashed(s.T(), path, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('kept')", "PRAGMA cache_size = 1",
		"BEGIN", "UPDATE notes SET text = 'lost'", "INSERT INTO notes SELECT hex(randomblob(2000)) FROM "+
			"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i FROM n)")
	s.Require().Contains(names(s.T(), s.dir), "x.db-journal")
	_, err := s.tryOpen(path)
	s.Require().ErrorIs(err, registry.ErrNotRegistry)
	s.Require().Equal([]string{"x.db"}, names(s.T(), s.dir))
	s.Require().Equal([][]string{{`"kept"`}}, sqliteRows(s.T(), path, "SELECT text FROM notes"))
}

func (s *refusalSuite) TestEachDroppedTriggerIsNamed() {
	s.eachTrigger(func(name, _ string) []string { return []string{"DROP TRIGGER " + name} })
}

func (s *refusalSuite) TestEachAlteredTriggerIsNamed() {
	s.eachTrigger(func(name, text string) []string {
		return []string{"DROP TRIGGER " + name, strings.TrimSuffix(text, "END") + "SELECT 1; END"}
	})
}

func (s *refusalSuite) eachTrigger(damage func(name, text string) []string) {
	whole := s.create("whole.db")
	triggers := map[string]string{}
	pool := sqliteOpen(s.T(), whole)
	rows, err := pool.Query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
	s.Require().NoError(err)
	for rows.Next() {
		var name, text string
		s.Require().NoError(rows.Scan(&name, &text))
		triggers[name] = text
	}
	s.Require().NoError(rows.Err())
	s.Require().NoError(pool.Close())
	s.Require().GreaterOrEqual(len(triggers), 10)

	for name, text := range triggers {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, damage(name, text)...)
			s.Require().ErrorContains(s.requireRefused(path, registry.ErrCorrupt), name)
		})
	}
}

// Whoever took the registry's tables for its own and set its mark owns the file now.
func (s *refusalSuite) TestAForeignMarkMakesAFileForeign() {
	path := s.create("x.db")
	sqliteExec(s.T(), path, "PRAGMA application_id = 252006675")
	s.requireRefused(path, registry.ErrNotRegistry)
}

func (s *refusalSuite) TestDamagedSchemas() {
	whole := s.create("whole.db")
	type damage struct {
		statement, named string
	}
	damages := map[string]damage{
		"application_id is 0":       {"PRAGMA application_id = 0", "application_id"},
		"ledger is empty":           {"DELETE FROM migrations", "ledger"},
		"version that never was":    {"UPDATE migrations SET number = -number WHERE set_name = 'core'", "ledger"},
		"modules has a new column":  {"ALTER TABLE modules ADD COLUMN owner TEXT", "modules"},
		"config has a new column":   {"ALTER TABLE config ADD COLUMN owner TEXT", "config"},
		"changes has another name":  {"ALTER TABLE changes RENAME COLUMN op TO what", "changes"},
		"registry has a new column": {"ALTER TABLE registry ADD COLUMN owner TEXT", "registry"},
		"config has a unique index": {"CREATE UNIQUE INDEX stranger ON config (value)", "config"},
		"ledger without a number":   {"UPDATE migrations SET number = 'two' WHERE number = 2", "migrations"},
		"ledger lacks a column":     {"ALTER TABLE migrations RENAME COLUMN checksum TO sum", "migrations"},
		"keyset has a new column":   {"ALTER TABLE keyset ADD COLUMN owner TEXT", "keyset"},
		"keyset lacks a column":     {"ALTER TABLE keyset RENAME COLUMN scrub TO scrubbed", "keyset"},
		"ledger has a new column":   {"ALTER TABLE migrations ADD COLUMN owner TEXT", "migrations"},
	}
	for _, table := range []string{"modules", "config", "changes", "registry", "migrations", "keyset"} {
		damages["no table "+table] = damage{"DROP TABLE " + table, table}
		damages["foreign trigger on "+table] = damage{fmt.Sprintf(
			"CREATE TRIGGER stranger AFTER INSERT ON %s BEGIN SELECT 1; END", table), "stranger"}
		damages["foreign trigger on "+strings.ToUpper(table)] = damage{fmt.Sprintf(
			"CREATE TRIGGER stranger AFTER DELETE ON %s BEGIN SELECT 1; END", strings.ToUpper(table)), "stranger"}
	}
	for name, d := range damages {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, d.statement)
			s.Require().ErrorContains(s.requireRefused(path, registry.ErrCorrupt), d.named)
		})
	}
}

func (s *refusalSuite) TestTheRowOfRegistryIsMissing() {
	path := s.create("x.db")
	sqliteDamage(s.T(), path, identityGuards, "DELETE FROM registry")
	s.Require().ErrorContains(s.requireRefused(path, registry.ErrCorrupt), "registry has no row")
	s.requireRefused(path, registry.ErrCorrupt, registry.WithLogLimit(5))
}

// A table of a subsystem may have triggers, and a database more tables than ours.
func (s *refusalSuite) TestFurtherTablesAreNobodysDamage() {
	path := s.create("x.db")
	sqliteExec(s.T(), path,
		"CREATE TABLE decisions (id INTEGER PRIMARY KEY, module TEXT REFERENCES modules (id))",
		"CREATE TRIGGER decisions_insert AFTER INSERT ON decisions BEGIN SELECT 1; END",
		"CREATE VIEW decisions_view AS SELECT id FROM decisions")
	requireFilled(s.T(), s.open(path))
}

// noise is bytes that look random and are the same each time.
func noise(n int) []byte {
	data, x := make([]byte, n), uint32(2463534242)
	for i := range data {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		data[i] = byte(x)
	}
	return data
}
