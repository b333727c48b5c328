package tests

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/schema"
)

// The migrations of subsystems.
func TestMigrations(t *testing.T) {
	runInFileModes(t, func() *migrationSuite { return &migrationSuite{} })
}

type migrationSuite struct{ fileSuite }

// files are a subsystem's migrations: path to SQL.
type files map[string]string

func (f files) fs() fs.FS {
	fsys := fstest.MapFS{}
	for name, text := range f {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// with is the files and one more.
func (f files) with(name, text string) files {
	more := maps.Clone(f)
	more[name] = text
	return more
}

// notesV1 is a subsystem's first version.
var notesV1 = files{
	"00001_notes.sql": `CREATE TABLE notes (
		id     INTEGER PRIMARY KEY,
		module TEXT NOT NULL REFERENCES modules (id),
		text   TEXT NOT NULL DEFAULT ''
	)`,
}.fs()

func (s *migrationSuite) ledger(path string) [][]string {
	return sqliteRows(s.T(), path, "SELECT set_name, number, name, checksum, applied_at FROM migrations ORDER BY 1, 2")
}

func (s *migrationSuite) TestSetsRunOnceInTheOrderOfTheirNumbers() {
	// Each file needs what the one before it made; neither the names nor the folders are in that order.
	set := files{
		"z/deep/er/00001_first.sql":   "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)",
		"00002_second.sql":            "INSERT INTO notes VALUES (1, 'a'); INSERT INTO notes VALUES (2, 'b');\n-- and nothing else\n",
		"a/00010_third.sql":           "ALTER TABLE notes ADD COLUMN more TEXT; UPDATE notes SET more = text || text",
		"notes.md":                    "this is no SQL",
		"queries/notes.sql":           "neither is this",
		"00007_backup.sql.orig":       "nor this",
		"a/x00008_prefix.sql":         "nor this",
		"00009_folder.sql/readme.txt": "nor this",
	}
	at := time.Date(2026, 5, 20, 14, 0, 0, 1, time.FixedZone("", 2*3600))
	clock := registry.WithClock(func() time.Time { return at })
	path := s.create("x.db", registry.WithMigrations("notes", set.fs()), clock)

	want := [][]string{}
	entries, err := fs.ReadDir(schema.Migrations, ".")
	s.Require().NoError(err)
	for i, entry := range entries {
		text, err := schema.Migrations.ReadFile(entry.Name())
		s.Require().NoError(err)
		want = append(want, ledgerRow("core", fmt.Sprint(i+1), entry.Name(), string(text)))
	}
	want = append(want,
		ledgerRow("notes", "1", "00001_first.sql", set["z/deep/er/00001_first.sql"]),
		ledgerRow("notes", "2", "00002_second.sql", set["00002_second.sql"]),
		ledgerRow("notes", "10", "00010_third.sql", set["a/00010_third.sql"]))
	s.Require().Equal(want, s.ledger(path))
	rows := [][]string{{`"1"`, `"a"`, `"aa"`}, {`"2"`, `"b"`, `"bb"`}}
	s.Require().Equal(rows, sqliteRows(s.T(), path, "SELECT * FROM notes"))

	at = at.Add(time.Hour)
	requireFilled(s.T(), s.open(path, registry.WithMigrations("notes", set.fs()), clock))
	s.Require().Equal(want, s.ledger(path))

	more := set.with("b/00011_fourth.sql", "DELETE FROM notes WHERE id = 1")
	requireFilled(s.T(), s.open(path, registry.WithMigrations("notes", more.fs())))
	s.Require().Equal(want, s.ledger(path)[:len(want)])
	s.Require().Len(s.ledger(path), len(want)+1)
	s.Require().Equal(rows[1:], sqliteRows(s.T(), path, "SELECT * FROM notes"))
}

// coreMigrations is how many migrations the core has.
func coreMigrations(t testing.TB) int {
	t.Helper()
	entries, err := fs.ReadDir(schema.Migrations, ".")
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	return len(entries)
}

func ledgerRow(set, number, name, text string) []string {
	sum := sha256.Sum256([]byte(text))
	row := []string{set, number, name, hex.EncodeToString(sum[:]), "2026-05-20T12:00:00.000000001+00:00"}
	for i := range row {
		row[i] = `"` + row[i] + `"`
	}
	return row
}

func (s *migrationSuite) TestSetsHaveNumbersOfTheirOwn() {
	other := files{"00001_tasks.sql": "CREATE TABLE tasks (id INTEGER PRIMARY KEY REFERENCES notes (id))"}.fs()
	path := s.create("x.db", registry.WithMigrations("notes", notesV1))
	requireFilled(s.T(), s.open(path, registry.WithMigrations("tasks", other)))
	requireFilled(s.T(), s.open(path, registry.WithMigrations("tasks", other), registry.WithMigrations("notes", notesV1)))
	sets := []string{}
	for _, row := range s.ledger(path) {
		sets = append(sets, row[0])
	}
	s.Require().Equal(append(slices.Repeat([]string{`"core"`}, coreMigrations(s.T())), `"notes"`, `"tasks"`), sets)
}

// A file of oxide-k's gets the core's migrations and the subsystems', all of them or none.
func (s *migrationSuite) TestAMigrationThatFailsLeavesNothing() {
	good := "CREATE TABLE notes (id INTEGER PRIMARY KEY); INSERT INTO notes VALUES (1)"
	for name, bad := range map[string]string{
		"no SQL":           "this is no SQL",
		"half SQL":         "CREATE TABLE notes_b (id); INSERT INTO nowhere VALUES (1)",
		"a constraint":     "INSERT INTO notes VALUES (1)",
		"a foreign key":    "CREATE TABLE notes_b (m TEXT REFERENCES modules (id)); INSERT INTO notes_b VALUES ('none')",
		"a guard":          "DELETE FROM changes",
		"a taken name":     "CREATE TABLE notes (id)",
		"a deferred check": "CREATE TABLE notes_b (m TEXT REFERENCES modules (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO notes_b VALUES ('none')",
	} {
		s.Run(name, func() {
			s.requireNothingLeft(files{"00001_a.sql": good, "00002_b.sql": bad}, registry.ErrInvalid)
		})
	}
}

// The file itself stays, since another process may have opened it by then; it is as good as none.
func (s *migrationSuite) TestAMigrationThatFailsInANewFileLeavesNothing() {
	_, err := s.tryOpen(s.file("x.db"), registry.WithMigrations("notes", files{"00001_a.sql": "no SQL"}.fs()))
	s.Require().Error(err)
	s.Require().Equal([]string{"x.db"}, names(s.T(), s.dir))
	s.Require().Empty(sqliteRows(s.T(), s.file("x.db"), "SELECT name FROM sqlite_schema"))
	_, err = s.tryOpen(s.file("x.db"), registry.WithMustExist())
	s.Require().ErrorIs(err, registry.ErrNotRegistry)
	fill(s.T(), s.open(s.file("x.db"), registry.WithMigrations("notes", notesV1)))
}

func (s *migrationSuite) TestMigrationsDoNotControlTheTransaction() {
	const made = "CREATE TABLE notes_b (id); "
	for _, bad := range []string{
		"COMMIT", "COMMIT; BEGIN IMMEDIATE", "END", "ROLLBACK", "ROLLBACK; BEGIN", "BEGIN", "BEGIN IMMEDIATE",
		"SAVEPOINT a", "SAVEPOINT a; RELEASE a", "ATTACH ':memory:' AS other", "DETACH main", "commit", "/* */ COMMIT",
		"PRAGMA writable_schema = ON", "PRAGMA ignore_check_constraints(1)", "CREATE TEMP TABLE notes_t (id)",
	} {
		s.Run(bad, func() {
			s.requireNothingLeft(files{"00001_a.sql": made + bad}, registry.ErrInvalid)
			if !s.mode.origin {
				s.requireNothingLeft(files{"00001_a.sql": bad + "; " + made}, registry.ErrInvalid)
			}
		})
	}
}

func (s *migrationSuite) TestMigrationsLeaveTheCoreAlone() {
	for _, bad := range []string{
		"ALTER TABLE modules ADD COLUMN owner TEXT",
		"ALTER TABLE config RENAME COLUMN value TO text",
		"ALTER TABLE modules RENAME TO notes_modules",
		"DROP TABLE config",
		"DROP TABLE migrations",
		"DROP TRIGGER config_insert",
		"CREATE UNIQUE INDEX notes_i ON modules (name)",
		"DROP TRIGGER config_insert; CREATE TRIGGER config_insert AFTER INSERT ON config BEGIN SELECT 1; END",
		"CREATE TRIGGER notes_config AFTER UPDATE ON config BEGIN SELECT 1; END",
		"CREATE TRIGGER notes_changes AFTER INSERT ON CHANGES BEGIN SELECT 1; END",
		"DELETE FROM migrations WHERE number > 1",
		"INSERT INTO migrations SELECT set_name, number + 90, name, checksum, applied_at FROM migrations",
		"UPDATE keyset SET generation = generation + 1, marker = ''",
		"INSERT INTO keyset VALUES (1, 1, '', '', '', x'', 0)",
	} {
		s.Run(bad, func() { s.requireNothingLeft(files{"00001_a.sql": bad}, registry.ErrInvalid) })
	}
}

func (s *migrationSuite) TestTablesStartWithTheNameOfTheirSet() {
	for _, bad := range []string{
		"CREATE TABLE decisions (id)", "CREATE TABLE my_notes (id)", "CREATE TABLE note (id)", "CREATE VIEW v AS SELECT 1",
		"CREATE TABLE notes_a (id); CREATE TABLE b (id)",
	} {
		s.Run(bad, func() { s.requireNothingLeft(files{"00001_a.sql": bad}, registry.ErrInvalid) })
	}
	good := files{"00001_a.sql": "CREATE TABLE notes (id); CREATE TABLE notes_b (id); CREATE VIEW notes_v AS SELECT 1; CREATE TABLE Notes2 (id)"}
	s.create("good.db", registry.WithMigrations("notes", good.fs()))
}

// contentOf is a file's bytes, told apart by their hash.
func contentOf(t testing.TB, path string) [32]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return sha256.Sum256(data)
}

// requireNothingLeft opens an oxide-k file and a registry with a set that must fail, and fails where anything of it, or
// of the core's own migrations, is left in them.
func (s *migrationSuite) requireNothingLeft(set files, sentinel error) {
	s.T().Helper()
	current, oxide := s.file("current.db"), s.file("oxide.db")
	if _, err := os.Stat(current); err != nil {
		s.create("current.db")
		s.oxideFile(oxide)
	}
	for _, path := range []string{current, oxide} {
		before, content := everything(s.T(), path), contentOf(s.T(), path)
		_, err := s.tryOpen(path, registry.WithMigrations("notes", set.fs()))
		s.Require().Error(err)
		if sentinel != nil {
			s.Require().ErrorIs(err, sentinel)
		}
		s.Require().Equal(before, everything(s.T(), path))
		s.Require().Equal(content, contentOf(s.T(), path), "byte for byte")
	}
	s.Require().Equal([]string{"current.db", "oxide.db"}, names(s.T(), s.dir))
}

// everything is the schema and the rows of all tables of a database.
func everything(t testing.TB, path string) [][]string {
	t.Helper()
	pool := sqliteOpen(t, path)
	found := rowsOf(t, pool, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
	for _, table := range rowsOf(t, pool, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
		found = append(found, rowsOf(t, pool, "SELECT rowid, * FROM "+table[0])...)
	}
	found = append(found, rowsOf(t, pool, "PRAGMA application_id")...)
	require.NoError(t, pool.Close())
	return found
}

func (s *migrationSuite) TestSetsThatMakeNoSense() {
	const table = "CREATE TABLE notes (id)"
	for name, set := range map[string]struct {
		name  string
		files files
	}{
		"the core's name":   {"core", files{"00001_a.sql": table}},
		"no name":           {"", files{"00001_a.sql": table}},
		"upper case":        {"Notes", files{"00001_a.sql": table}},
		"dash":              {"a-b", files{"00001_a.sql": table}},
		"digit first":       {"1notes", files{"00001_a.sql": table}},
		"underscore first":  {"_notes", files{"00001_a.sql": table}},
		"sqlite's line end": {"notes\n", files{"00001_a.sql": table}},
		"no files":          {"notes", files{}},
		"no migrations":     {"notes", files{"readme.md": "", "queries.sql": "SELECT 1"}},
		"a short number":    {"notes", files{"00001_a.sql": table, "2_b.sql": "SELECT 1"}},
		"a long number":     {"notes", files{"00001_a.sql": table, "000002_b.sql": "SELECT 1"}},
		"a dash in it":      {"notes", files{"00001_a.sql": table, "b/00002-b.sql": "SELECT 1"}},
		"no text":           {"notes", files{"00001_a.sql": table, "00002.sql": "SELECT 1"}},
		"capitals":          {"notes", files{"00001_a.sql": table, "00002_b.SQL": "SELECT 1"}},
		"a NUL":             {"notes", files{"00001_a.sql": table + ";\x00 DROP TABLE notes"}},
		"goose's way back":  {"notes", files{"00001_a.sql": "-- +goose Up\n" + table + ";\n-- +goose Down\nDROP TABLE notes;"}},
		"dbmate's way back": {"notes", files{"00001_a.sql": "-- migrate:up\n" + table + ";\n  --migrate:down\nDROP TABLE notes;"}},
		"number 0":          {"notes", files{"00000_a.sql": table, "00001_b.sql": table}},
		"a number twice":    {"notes", files{"00001_a.sql": table, "00001_b.sql": table}},
		"twice in folders":  {"notes", files{"a/00001_a.sql": table, "b/00001_a.sql": table}},
	} {
		_, err := s.tryOpen(s.file("x.db"), registry.WithMigrations(set.name, set.files.fs()))
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		s.Require().Empty(names(s.T(), s.dir), name)
	}
}

func (s *migrationSuite) TestForeignKeysToModulesAreEnforced() {
	path := s.create("x.db", registry.WithMigrations("notes", notesV1))
	reg := s.open(path, registry.WithMigrations("notes", notesV1))
	exec := func(statement string) error {
		return reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
	}
	s.Require().NoError(exec("INSERT INTO notes (module) VALUES ('echo')"))
	s.Require().Error(exec("INSERT INTO notes (module) VALUES ('none')"))
	_, err := reg.DeleteModule(s.T().Context(), "echo")
	s.Require().Error(err)
	_, err = reg.UpsertModule(s.T().Context(), registry.ModuleMetadata{ID: "echo", Kind: registry.KindWasm}, registry.StateFailed)
	s.Require().NoError(err, "an upsert is no delete")
	s.Require().NoError(exec("DELETE FROM notes"))
	deleted, err := reg.DeleteModule(s.T().Context(), "echo")
	s.Require().NoError(err)
	s.Require().True(deleted)
}
