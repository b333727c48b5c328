package tests

import (
	"context"
	"errors"
	"strings"
	"testing/fstest"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// pets has tables that refer to each other, in each way that there is.
var pets = files{"00001_pets.sql": `CREATE TABLE pets_owner (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE pets_cascade (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES pets_owner (id) ON DELETE CASCADE);
CREATE TABLE pets_null (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES pets_owner (id) ON DELETE SET NULL);
CREATE TABLE pets_restrict (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES pets_owner (id) ON DELETE RESTRICT);
CREATE TABLE pets_both (p INTEGER REFERENCES pets_owner (id), q INTEGER REFERENCES pets_owner (id));
CREATE TABLE pets_plain (owner INTEGER PRIMARY KEY REFERENCES pets_owner (id)) WITHOUT ROWID;
INSERT INTO pets_owner VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO pets_cascade VALUES (1, 1), (2, 1);
INSERT INTO pets_null VALUES (1, 1);
INSERT INTO pets_restrict VALUES (1, 2);
INSERT INTO pets_plain VALUES (2);
INSERT INTO pets_both VALUES (1, 2);
`}

const petsRebuilt = `CREATE TABLE pets_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO pets_new SELECT id, name FROM pets_owner;
DROP TABLE pets_owner;
ALTER TABLE pets_new RENAME TO pets_owner;
`

func petsRows(s *migrationSuite, path string) (rows [][]string) {
	for _, table := range []string{"pets_owner", "pets_cascade", "pets_null", "pets_restrict", "pets_plain", "pets_both"} {
		rows = append(rows, sqliteRows(s.T(), path, "SELECT '"+table+"', * FROM "+table+" ORDER BY 2")...)
	}
	return rows
}

// The usual way to change a column in SQLite is a new table, copied, in the place of the old one (sqlite.org/lang_altertable.html).
func (s *migrationSuite) TestATableThatIsRebuiltKeepsTheRowsThatReferToIt() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	before := petsRows(s, path)
	rebuilt := registry.WithMigrations("pets", pets.with("00002_names.sql", petsRebuilt).fs())
	reg := s.open(path, rebuilt)
	s.Require().Equal(before, petsRows(s, path))
	err := reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO pets_cascade VALUES (3, 99)")
		return err
	})
	s.Require().Error(err, "foreign keys are enforced again")
}

// A migration's DELETE takes nothing along, and what it leaves dangling is named.
func (s *migrationSuite) TestRowsThatAMigrationLeavesDanglingAreRefused() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	before := petsRows(s, path)
	for statement, tables := range map[string][]string{
		"DELETE FROM pets_owner WHERE id = 1":                                                 {"pets_cascade", "pets_null", "pets_both"},
		"DELETE FROM pets_owner WHERE id = 2":                                                 {"pets_restrict", "pets_plain", "pets_both"},
		"UPDATE pets_owner SET id = 3 WHERE id = 2":                                           {"pets_restrict", "pets_plain", "pets_both"},
		"INSERT INTO pets_cascade VALUES (9, 9)":                                              {"pets_cascade"},
		"DROP TABLE pets_owner":                                                               {"pets_cascade", "pets_null", "pets_restrict", "pets_plain", "pets_both"},
		"CREATE TABLE pets_x (n REFERENCES pets_owner (name)); INSERT INTO pets_x VALUES (1)": {"pets_x"},
	} {
		_, err := s.tryOpen(path, registry.WithMigrations("pets", pets.with("00002_x.sql", statement).fs()))
		s.Require().ErrorIs(err, registry.ErrInvalid, statement)
		for _, table := range tables {
			s.Require().ErrorContains(err, table, statement)
		}
		s.Require().Equal(before, petsRows(s, path), statement)
	}
	requireFilled(s.T(), s.open(path, registry.WithMigrations("pets", pets.fs())))
}

// Rows that another program left dangling are no migration's fault.
func (s *migrationSuite) TestRowsThatDangledBeforeAreNoMigrationsFault() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "INSERT INTO pets_cascade VALUES (7, 77)", "INSERT INTO pets_plain VALUES (77)",
		"CREATE TABLE broken (n REFERENCES pets_owner (name))", "INSERT INTO broken VALUES (1)")
	before := petsRows(s, path)
	reg, err := s.tryOpen(path, registry.WithMigrations("pets", pets.with("00002_names.sql", petsRebuilt).fs()))
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	s.Require().Equal(before, petsRows(s, path))
	// One foreign key of a row that was mended, and another that was broken.
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "UPDATE pets_both SET p = 77")
	_, err = s.tryOpen(path, registry.WithMigrations("pets", pets.with("00002_names.sql", petsRebuilt).
		with("00003_x.sql", "UPDATE pets_both SET p = 1, q = 88").fs()))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "pets_both")
	_, err = s.tryOpen(path, registry.WithMigrations("pets", pets.with("00002_names.sql", petsRebuilt).
		with("00003_x.sql", "INSERT INTO pets_cascade VALUES (8, 88)").fs()))
	s.Require().ErrorIs(err, registry.ErrInvalid)
}

// Making a table anew gives its rows other numbers.
func (s *migrationSuite) TestRowsThatDangledBeforeInATableThatIsRebuiltAreNoMigrationsFault() {
	set := files{"00001_a.sql": "CREATE TABLE notes_p (p TEXT PRIMARY KEY); CREATE TABLE notes (p TEXT REFERENCES notes_p (p))"}
	path := s.create("x.db", registry.WithMigrations("notes", set.fs()))
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "INSERT INTO notes VALUES (NULL), ('none')", "DELETE FROM notes WHERE p IS NULL")
	rebuilt := set.with("00002_b.sql", "CREATE TABLE notes_n (p TEXT REFERENCES notes_p (p), more); INSERT INTO notes_n SELECT p, 1 FROM notes; "+
		"DROP TABLE notes; ALTER TABLE notes_n RENAME TO notes")
	reg, err := s.tryOpen(path, registry.WithMigrations("notes", rebuilt.fs()))
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	_, err = s.tryOpen(path, registry.WithMigrations("notes", rebuilt.with("00003_c.sql", strings.ReplaceAll(
		rebuilt["00002_b.sql"], "SELECT p, 1 FROM notes;", "SELECT p, 1 FROM notes; INSERT INTO notes_n VALUES ('neither', 2);")).fs()))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "1 in")
}

// Whichever way a table gets its new form or name: what dangled before is no fault, and what is new is.
func (s *migrationSuite) TestATableThatGetsANewFormOrNameKeepsWhatDangledAndGetsNoMore() {
	set := files{"00001_a.sql": "CREATE TABLE notes_p (p TEXT PRIMARY KEY); CREATE TABLE notes_c (p TEXT REFERENCES notes_p (p)); " +
		"INSERT INTO notes_p VALUES ('a')"}
	path := s.create("x.db", registry.WithMigrations("notes", set.fs()))
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "INSERT INTO notes_c VALUES (NULL), ('a'), ('none')", "DELETE FROM notes_c WHERE p IS NULL")
	for name, c := range map[string]struct{ text, child string }{
		"renamed last": {"CREATE TABLE notes_n (p TEXT REFERENCES notes_p (p), more); INSERT INTO notes_n SELECT p, 1 FROM notes_c; " +
			"DROP TABLE notes_c; ALTER TABLE notes_n RENAME TO notes_c", "notes_c"},
		"copied back": {"CREATE TABLE notes_n AS SELECT p FROM notes_c; DROP TABLE notes_c; " +
			"CREATE TABLE notes_c (p TEXT REFERENCES notes_p (p)); INSERT INTO notes_c SELECT p FROM notes_n; DROP TABLE notes_n", "notes_c"},
		"parent copied back": {"CREATE TABLE notes_n AS SELECT p FROM notes_p; DROP TABLE notes_p; " +
			"CREATE TABLE notes_p (p TEXT PRIMARY KEY); INSERT INTO notes_p SELECT p FROM notes_n; DROP TABLE notes_n", "notes_c"},
		"child renamed":  {"ALTER TABLE notes_c RENAME TO notes_d", "notes_d"},
		"parent renamed": {"ALTER TABLE notes_p RENAME TO notes_q", "notes_c"},
		"both renamed":   {"ALTER TABLE notes_p RENAME TO notes_q; ALTER TABLE notes_c RENAME TO notes_d", "notes_d"},
	} {
		copied := s.file(strings.ReplaceAll(name, " ", "_") + ".db")
		copyFile(s.T(), path, copied)
		_, err := s.tryOpen(copied, registry.WithMigrations("notes",
			set.with("00002_b.sql", c.text+"; INSERT INTO "+c.child+" (p) VALUES ('neither')").fs()))
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		s.Require().ErrorContains(err, "1 in \""+c.child+"\"", name)
		reg, err := s.tryOpen(copied, registry.WithMigrations("notes", set.with("00002_b.sql", c.text).fs()))
		s.Require().NoError(err, name)
		s.Require().NoError(reg.Close())
		s.Require().Len(sqliteRows(s.T(), copied, "SELECT p FROM "+c.child), 2, name)
	}
}

// Rows of tables that a migration alters do not make up for rows of others.
func (s *migrationSuite) TestRowsOfAnAlteredTableDoNotHideThoseOfOthers() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "INSERT INTO pets_null VALUES (7, 77)", "INSERT INTO pets_cascade VALUES (7, 77)")
	_, err := s.tryOpen(path, registry.WithMigrations("pets", pets.with("00002_x.sql", "ALTER TABLE pets_null RENAME TO pets_nil; "+
		"DELETE FROM pets_nil WHERE id = 7; DELETE FROM pets_cascade WHERE id = 7; INSERT INTO pets_cascade VALUES (8, 88)").fs()))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "1 in \"pets_cascade\"")
}

// A report holds no more than a person reads, however much is wrong.
func (s *migrationSuite) TestVerifyCountsTheProblemsBeyondAThousand() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	reg := s.open(path, registry.WithMigrations("pets", pets.fs()))
	sqliteExec(s.T(), path, "PRAGMA foreign_keys = OFF", "INSERT INTO pets_cascade WITH RECURSIVE c (x) AS "+
		"(SELECT 100 UNION ALL SELECT x + 1 FROM c WHERE x < 1349) SELECT x, 99 FROM c")
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().ErrorContains(err, "1250 problems")
	s.Require().Len(report.Problems, 1001)
	s.Require().Equal(registry.Problem{Subject: "database", Text: "and 250 more"}, report.Problems[1000])
	sqliteExec(s.T(), path, "DELETE FROM pets_cascade WHERE owner = 99") // the suite verifies it once more
}

// Foreign keys are enforced after a migration however it ended.
func (s *migrationSuite) TestForeignKeysAreEnforcedAfterAMigrationThatFailed() {
	path := s.create("x.db", registry.WithMigrations("pets", pets.fs()))
	bad := registry.WithMigrations("pets", pets.with("00002_x.sql", "DELETE FROM pets_owner").fs())
	_, err := s.tryOpen(path, bad)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	reg := s.open(path, registry.WithMigrations("pets", pets.fs()))
	on := ""
	s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		return tx.QueryRowContext(ctx, "PRAGMA foreign_keys").Scan(&on)
	}))
	s.Require().Equal("1", on)
}

// Migrations of a set leave the registry's own tables alone, also if they put everything back to the letter.
func (s *migrationSuite) TestMigrationsThatPutEverythingBackAreRefused() {
	if s.mode.origin {
		s.T().Skip("the schema is that of the mode encrypted")
	}
	whole := s.create("whole.db")
	for _, table := range []string{"keyset", "registry", "changes", "migrations", "config", "modules"} {
		drop := ""
		for _, row := range sqliteRows(s.T(), whole, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%"+table+"%'") {
			drop += "DROP TRIGGER " + row[0] + ";\n"
		}
		for what, text := range map[string]string{
			"triggers": drop + "DROP TABLE " + table,
			"renamed":  "ALTER TABLE " + table + " RENAME TO notes_x; DELETE FROM notes_x; ALTER TABLE notes_x RENAME TO " + table,
			"replaced": "CREATE TABLE notes_x AS SELECT * FROM " + table + "; DROP TABLE " + table + "; ALTER TABLE notes_x RENAME TO " + table,
			"a column": "ALTER TABLE " + table + " ADD COLUMN notes_x",
			"an index": "CREATE INDEX notes_i ON " + table + " (rowid)",
			"a key":    "CREATE TABLE notes_x (a REFERENCES " + table + " (revision))",
		} {
			s.Run(table+"/"+what, func() { s.requireNothingLeft(files{"00001_a.sql": text}, registry.ErrInvalid) })
		}
	}
	for _, text := range []string{
		"UPDATE registry SET id = lower(hex(randomblob(16)))", "UPDATE registry SET log_limit = 1", "DELETE FROM registry",
		"REPLACE INTO registry (one, id) VALUES (1, 'x')", "DROP TRIGGER registry_update; UPDATE registry SET id = 'x'",
		"CREATE TABLE notes_x (a REFERENCES keyset ON DELETE CASCADE)", "CREATE TABLE notes_x (a REFERENCES config (key))",
		"CREATE TABLE pragma_foreign_key_list (a)", "CREATE VIEW notes_v AS SELECT '" + strings.Repeat("x", 70<<10) + "'",
	} {
		s.Run(text[:min(len(text), 60)], func() { s.requireNothingLeft(files{"00001_a.sql": text}, registry.ErrInvalid) })
	}
}

// The context of Open bounds its migrations, and what they did is undone.
func (s *migrationSuite) TestTheContextOfOpenBoundsItsMigrations() {
	path := s.create("x.db")
	ctx, cancel := context.WithCancel(s.T().Context())
	endless := fstest.MapFS{"00001_a.sql": {Data: []byte("CREATE TABLE notes (n); INSERT INTO notes " +
		"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c")}}
	time.AfterFunc(50*time.Millisecond, cancel) // in the middle of it, or before: it must end either way
	_, err := s.mode.open(ctx, path, registry.WithMigrations("notes", endless))
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().False(errors.Is(err, registry.ErrInvalid) || errors.Is(err, registry.ErrCorrupt))
	requireFilled(s.T(), s.open(path))
	s.Require().Empty(sqliteRows(s.T(), path, "SELECT name FROM sqlite_schema WHERE name = 'notes'"))
}
