package tests

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/registry"
)

// The database itself refuses what is not encrypted as it must be, whoever writes it: there is no statement that a careless
// program could use instead.

// writesOf are the statements that would put a value, which is a literal, into config. %[1]s is the literal, %[2]s one of
// a value that is there now.
var writesOf = map[string]string{
	"insert":              "INSERT INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026')",
	"insert in order":     "INSERT INTO config VALUES ('new', %[1]s, '2026', 0)",
	"insert a revision":   "INSERT INTO config (key, value, updated_at, revision) SELECT 'new', %[1]s, '2026', max(revision) + 1 FROM changes",
	"insert or replace":   "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('m/victim', %[1]s, '2026')",
	"insert or ignore":    "INSERT OR IGNORE INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026')",
	"insert or fail":      "INSERT OR FAIL INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026')",
	"insert or rollback":  "INSERT OR ROLLBACK INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026')",
	"replace":             "REPLACE INTO config (key, value, updated_at) VALUES ('m/victim', %[1]s, '2026')",
	"upsert a new one":    "INSERT INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026') ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	"upsert":              "INSERT INTO config (key, value, updated_at) VALUES ('m/victim', %[1]s, '2026') ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	"upsert another":      "INSERT INTO config (key, value, updated_at) VALUES ('m/victim', %[2]s, '2026') ON CONFLICT (key) DO UPDATE SET value = %[1]s",
	"upsert all":          "INSERT INTO config (key, value, updated_at) SELECT key, value, '2026' FROM config WHERE true ON CONFLICT (key) DO UPDATE SET value = %[1]s",
	"do nothing":          "INSERT INTO config (key, value, updated_at) VALUES ('new', %[1]s, '2026') ON CONFLICT DO NOTHING",
	"update":              "UPDATE config SET value = %[1]s WHERE key = 'm/victim'",
	"update all":          "UPDATE config SET value = %[1]s, updated_at = '2026'",
	"update or replace":   "UPDATE OR REPLACE config SET value = %[1]s WHERE key = 'm/victim'",
	"update or ignore":    "UPDATE OR IGNORE config SET value = %[1]s WHERE key = 'm/victim'",
	"update or fail":      "UPDATE OR FAIL config SET value = %[1]s WHERE key LIKE '%%/%%'",
	"update from":         "UPDATE config SET value = new.value FROM (SELECT %[1]s AS value) AS new WHERE key = 'm/victim'",
	"update a revision":   "UPDATE config SET value = %[1]s, revision = (SELECT max(revision) + 1 FROM changes) WHERE key = 'm/victim'",
	"update of rows":      "UPDATE config SET (value, updated_at) = (SELECT %[1]s, '2026') WHERE key = 'm/victim'",
	"rows, the last one":  "INSERT INTO config (key, value, updated_at) SELECT 'new1', %[2]s, '2026' UNION ALL SELECT 'new2', %[2]s, '2026' UNION ALL SELECT 'new3', %[1]s, '2026'",
	"rows, or ignore":     "INSERT OR IGNORE INTO config (key, value, updated_at) VALUES ('new1', %[2]s, '2026'), ('new2', %[1]s, '2026')",
	"rows, or replace":    "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('m/victim', %[2]s, '2026'), ('a/neighbour', %[1]s, '2026')",
	"with":                "WITH new (value) AS (SELECT %[1]s) INSERT INTO config (key, value, updated_at) SELECT 'new', value, '2026' FROM new",
	"returning":           "UPDATE config SET value = %[1]s WHERE key = 'm/victim' RETURNING value",
	"by rowid":            "UPDATE config SET value = %[1]s WHERE rowid = 1",
	"in place, by a part": "UPDATE config SET value = coalesce(%[1]s, 1 / 0) WHERE key = 'm/victim'",
	"through a view":      "INSERT INTO attack_view (value) VALUES (%[1]s)",
	"through a table":     "INSERT INTO attack_table (value) VALUES (%[1]s)",
}

// A subsystem's trigger is a writer like any other.
var writesOfOthers = []string{
	"CREATE TABLE attack_table (value)",
	"CREATE VIEW attack_view AS SELECT value FROM config",
	`CREATE TRIGGER attack_insert AFTER INSERT ON attack_table BEGIN
		INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('m/victim', NEW.value, '2026'); END`,
	`CREATE TRIGGER attack_view INSTEAD OF INSERT ON attack_view BEGIN
		UPDATE OR IGNORE config SET value = NEW.value WHERE key = 'm/victim'; END`,
}

func (s *attackSuite) TestNoStatementStoresPlaintextOrStaleValues() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	retired := s.storedIn(reg, victim)
	_, err := reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	now := s.storedIn(reg, victim)
	values := map[string]string{
		"JSON":             `'"plain"'`,
		"JSON that poses":  `'"` + now[:16] + `"'`,
		"a number":         "7",
		"a retired key's":  "'" + retired + "'",
		"another version":  "'enc:v2" + now[6:] + "'",
		"an unknown key's": "'enc:v1:00000001:" + now[16:] + "'",
		"a blob":           fmt.Sprintf("x'%x'", now),
		"empty":            "''",
		"a space before":   "' " + now + "'",
		"a NUL before":     "char(0) || '" + now + "'",
		"upper case":       "upper('" + now[:16] + "') || '" + now[16:] + "'",
		"a short marker":   "'" + now[:15] + "'",
		"oxide-k's":        "'IBqAsPY3HGcDlHFhbu_WvXEk3VdHt3Usrpo6EXV3fSmxu5zVxs9TYhzjbw=='",
	}
	s.allRefused(path, reg, values, now)
	s.opensWholeWhileOpen(reg)
}

func (s *attackSuite) TestNoStatementStoresEncryptedValuesInAPlaintextRegistry() {
	path := s.plain("x.db")
	reg := s.openLocked(path)
	encrypted := s.create("other.db", rawKEK32())
	s.allRefused(path, reg, map[string]string{
		"an encrypted one": "'" + s.stored(encrypted, victim) + "'",
		"one of oxreg's":   "'enc:'",
		"another version":  "'enc:v2:x'",
		"a blob":           "x'37'",
	}, "7")
	s.opensWholeWhileOpen(reg)
}

// allRefused fails unless no statement stores any of these values, from a connection of its own or from a transaction of
// the registry's, and none leaves anything.
func (s *attackSuite) allRefused(path string, reg *registry.Registry, values map[string]string, now string) {
	s.T().Helper()
	raw := s.raw(path)
	s.exec(raw, writesOfOthers...)
	before := s.dump(raw)
	for form, statement := range writesOf {
		for name, literal := range values {
			statement, what := fmt.Sprintf(statement, literal, "'"+now+"'"), form+", "+name
			_, err := raw.Exec(statement)
			s.refusedByTrigger(err, what)
			err = reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.ExecContext(ctx, statement)
				s.refusedByTrigger(err, what)
				s.keepsSecrets(err)
				return nil // what the statement may have done is committed
			})
			s.Require().NoError(err, what)
		}
		s.Require().Equal(before, s.dump(raw), form)
	}
	for name, literal := range values { // oxide-k's own statement
		var value any
		s.Require().NoError(raw.QueryRow("SELECT " + literal).Scan(&value))
		_, err := raw.Exec(`INSERT INTO config (key, value, updated_at) VALUES (?1, ?2, ?3)
			ON CONFLICT(key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
			victim, value, "2026-06-01T00:00:00.123456789+00:00")
		s.refusedByTrigger(err, "oxide-k, "+name)
		if text, ok := value.(string); ok {
			s.refusedByTrigger(kernel{raw}.setConfig(victim, text), "oxide-k, "+name)
		}
	}
	s.Require().Equal(before, s.dump(raw))
}

func (s *attackSuite) refusedByTrigger(err error, what string) {
	s.T().Helper()
	var e sqlite3.Error
	s.Require().ErrorAs(err, &e, what)
	s.Require().Equal(sqlite3.ErrConstraintTrigger, e.ExtendedCode, "%s: %v", what, err)
	s.Require().EqualValues(1811, e.ExtendedCode)
}

// NULL meets the column's own NOT NULL, before any trigger: some statements then skip the row, and none stores one.
func (s *attackSuite) TestNoStatementStoresNULL() {
	path := s.create("x.db", rawKEK32())
	now := s.stored(path, neighbour1)
	raw := s.raw(path)
	s.exec(raw, writesOfOthers...)
	for form, statement := range writesOf {
		_, _ = raw.Exec(fmt.Sprintf(statement, "NULL", "'"+now+"'"))
		var others int
		s.Require().NoError(raw.QueryRow("SELECT count(*) FROM config WHERE typeof(value) <> 'text'").Scan(&others))
		s.Require().Zero(others, form)
	}
}

// dump is all that the registry's tables hold.
func (s *attackSuite) dump(raw *sql.DB) string {
	s.T().Helper()
	var all strings.Builder
	for _, query := range []string{
		"SELECT key || ' ' || quote(value) || ' ' || updated_at || ' ' || revision FROM config ORDER BY key",
		"SELECT revision || ' ' || subject || ' ' || key || ' ' || op || ' ' || at FROM changes ORDER BY revision",
		"SELECT quote(one) || quote(generation) || quote(marker) || quote(kek) || quote(kek_params) || quote(wrapped) FROM keyset",
		"SELECT id FROM registry",
	} {
		rows, err := raw.Query(query)
		s.Require().NoError(err)
		for rows.Next() {
			var line string
			s.Require().NoError(rows.Scan(&line))
			fmt.Fprintln(&all, line)
		}
		s.Require().NoError(rows.Err())
		s.Require().NoError(rows.Close())
	}
	return all.String()
}

// opensWholeWhileOpen fails unless an open registry holds what fill wrote.
func (s *attackSuite) opensWholeWhileOpen(reg *registry.Registry) {
	s.T().Helper()
	s.neighboursRead(reg)
	value, err := registry.Get[string](s.T().Context(), reg, victim)
	s.Require().NoError(err)
	s.Require().Equal(canary, value)
	report, err := reg.Verify(s.T().Context())
	s.Require().NoError(err, "%v", report.Problems)
}

// The keyset's row changes in one way only: into the next generation.
func (s *attackSuite) TestNoStatementLosesTheKeyset() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	raw := s.raw(path)
	before := s.dump(raw)
	const row = "INTO keyset (one, generation, marker, kek, kek_params, wrapped) VALUES (%s, 2, 'enc:v1:00000001:', 'rawkey', '', x'00')"
	for _, statement := range []string{
		fmt.Sprintf("INSERT "+row, "1"), fmt.Sprintf("INSERT "+row, "2"), fmt.Sprintf("INSERT "+row, "NULL"),
		fmt.Sprintf("INSERT OR REPLACE "+row, "1"), fmt.Sprintf("INSERT OR IGNORE "+row, "1"), fmt.Sprintf("REPLACE "+row, "1"),
		fmt.Sprintf("INSERT "+row, "1") + " ON CONFLICT (one) DO UPDATE SET wrapped = excluded.wrapped",
		fmt.Sprintf("INSERT "+row, "1") + " ON CONFLICT DO NOTHING",
		"INSERT INTO keyset SELECT * FROM keyset",
		"DELETE FROM keyset", "DELETE FROM keyset WHERE one = 1",
		"UPDATE keyset SET wrapped = x''", "UPDATE keyset SET marker = ''", "UPDATE keyset SET kek = 'aead'",
		"UPDATE keyset SET kek_params = 'x'", "UPDATE keyset SET generation = generation", "UPDATE keyset SET generation = 3",
		"UPDATE keyset SET generation = generation - 1", "UPDATE keyset SET generation = generation + 2, wrapped = x''",
		"UPDATE OR REPLACE keyset SET wrapped = x''", "UPDATE OR IGNORE keyset SET wrapped = x''", "UPDATE keyset SET one = 2",
		"UPDATE registry SET id = lower(hex(randomblob(16)))", "DELETE FROM registry", "REPLACE INTO registry (one, id) VALUES (1, 'x')",
	} {
		_, err := raw.Exec(statement)
		s.refusedByTrigger(err, statement)
		err = reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			s.Require().ErrorIs(err, registry.ErrInvalid, statement)
			return nil
		})
		s.Require().NoError(err)
	}
	// These meet a CHECK instead.
	for _, statement := range []string{
		"UPDATE keyset SET rowid = 2", "UPDATE keyset SET generation = generation + 1, wrapped = 'text'",
		"UPDATE keyset SET generation = generation + 1, marker = x'00'", "UPDATE keyset SET generation = generation + 1, kek = x'00'",
		"UPDATE keyset SET generation = generation + 1, kek_params = x'00'",
	} {
		_, err := raw.Exec(statement)
		s.refusedByConstraint(err, statement)
	}
	s.Require().Equal(before, s.dump(raw))
	s.opensWholeWhileOpen(reg)
}

// Whoever writes nonsense there, no guard lifted, must not keep everybody from opening the file.
func (s *attackSuite) TestTheScrubMarkIsNothingElse() {
	path := s.create("x.db", rawKEK32())
	raw := s.raw(path)
	for _, value := range []string{"'text'", "1.5", "x'01'", "2", "-1", "NULL"} {
		_, err := raw.Exec("UPDATE keyset SET scrub = " + value)
		s.refusedByConstraint(err, value)
	}
	s.Require().NoError(raw.Close())
	s.opensWhole(path, rawKEK32())
}

func (s *attackSuite) refusedByConstraint(err error, what string) {
	s.T().Helper()
	var e sqlite3.Error
	s.Require().ErrorAs(err, &e, what)
	s.Require().Equal(sqlite3.ErrConstraint, e.Code, "%s: %v", what, err)
}
