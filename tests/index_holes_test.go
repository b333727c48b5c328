package tests

import (
	"database/sql"
	"os"
	"regexp"

	"github.com/oxide-k/stateregistry/registry"
)

// Config's own index, which all walks through the entries follow, may lack rows: then no walk comes to them.

// behindTheIndexes runs write on a file whose config has no index, and gives it back those it had.
func (s *encryptSuite) behindTheIndexes(write func(pool *sql.DB)) {
	pool := sqliteOpen(s.T(), s.path)
	run := func(statements ...string) {
		for _, statement := range statements {
			_, err := pool.Exec(statement)
			s.Require().NoError(err, statement)
		}
	}
	run("CREATE TABLE put_aside AS SELECT * FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'config'",
		"PRAGMA writable_schema = ON", "DELETE FROM sqlite_schema WHERE name IN (SELECT name FROM put_aside)",
		"UPDATE sqlite_schema SET sql = replace(sql, 'PRIMARY KEY', '/*K*/') WHERE name = 'config'", "PRAGMA writable_schema = RESET")
	write(pool)
	run("PRAGMA writable_schema = ON", "INSERT INTO sqlite_schema SELECT * FROM put_aside",
		"UPDATE sqlite_schema SET sql = replace(sql, '/*K*/', 'PRIMARY KEY') WHERE name = 'config'", "PRAGMA writable_schema = RESET",
		"DROP TABLE put_aside")
	s.Require().NoError(pool.Close())
}

// insertHidden adds an entry that no index leads to, to a file of oxide-k's.
func (s *encryptSuite) insertHidden(value string) {
	s.behindTheIndexes(func(pool *sql.DB) {
		_, err := pool.Exec("INSERT INTO config VALUES ('hidden', ?, '2026-01-01T00:00:00.000000000+00:00')", value)
		s.Require().NoError(err)
	})
}

// hide takes an entry out of the indexes. Its row stays in the table, column by column.
func (s *encryptSuite) hide(key string) {
	ofConfig := regexp.MustCompile("^config_")
	sqliteDamage(s.T(), s.path, ofConfig, "CREATE TABLE row AS SELECT * FROM config WHERE key = '"+key+"'",
		"DELETE FROM config WHERE key = '"+key+"'")
	s.behindTheIndexes(func(pool *sql.DB) {
		withoutGuards(s.T(), s.T().Context(), pool, ofConfig, "INSERT INTO config SELECT * FROM row", "DROP TABLE row")
	})
}

func (s *encryptSuite) TestARowThatTheIndexLacksIsNotLeftInPlaintext() {
	s.insertHidden(`"` + canary + `"`)
	s.unchangedFile(func() {
		report, err := s.encrypt()
		s.Require().ErrorIs(err, registry.ErrCorrupt)
		s.Require().ErrorContains(err, "REINDEX config")
		s.Require().NotContains(err.Error(), canary)
		s.Require().Zero(report)
	})
	sqliteExec(s.T(), s.path, "REINDEX config")
	report, err := s.encrypt()
	s.Require().NoError(err)
	s.Require().EqualValues(len(s.expected.Config)+1, report.Entries)
}

func (s *encryptSuite) TestARowThatTheIndexLacksKeepsARegistryFromBeingEmpty() {
	sqliteExec(s.T(), s.path, "DELETE FROM config")
	s.insertHidden("1")
	s.unchangedFile(func() {
		_, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
		s.Require().ErrorIs(err, registry.ErrNotEncrypted)
	})
}

func (s *encryptSuite) TestARowThatTheIndexLacksIsNotLeftEncrypted() {
	_, err := s.encrypt()
	s.Require().NoError(err)
	s.hide("max_threads")
	s.unchangedFile(func() {
		err := registry.Decrypt(s.T().Context(), s.path, kekOf(1))
		s.Require().ErrorIs(err, registry.ErrCorrupt)
		s.Require().ErrorContains(err, "REINDEX config")
	})
	sqliteExec(s.T(), s.path, "REINDEX config")
	s.Require().NoError(registry.Decrypt(s.T().Context(), s.path, kekOf(1)))
}

func (s *encryptSuite) TestARowThatAnIndexLacksKeepsItsKey() {
	for name, stranger := range map[string]string{
		"the table's own":  "",
		"and a stranger's": "CREATE INDEX of_values ON config (value)",
	} {
		s.Run(name, func() {
			s.path = s.copyOfPlain()
			if stranger != "" {
				sqliteExec(s.T(), s.path, stranger)
			}
			_, err := s.encrypt()
			s.Require().NoError(err)
			s.hide("max_threads")
			reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
			s.Require().NoError(err)
			for range 2 { // neither the first key goes, nor in the next rotation
				report, err := reg.RotateKeyset(s.T().Context())
				s.Require().ErrorIs(err, registry.ErrCorrupt)
				s.Require().ErrorContains(err, "REINDEX config")
				s.Require().Len(report.Kept, 1)
				s.Require().Empty(report.Unopened)
			}
			s.Require().NoError(reg.Close())
			sqliteExec(s.T(), s.path, "REINDEX config")
			reg = s.openEncrypted(kekOf(1))
			s.readsAsExpected(reg)
			report, err := reg.RotateKeyset(s.T().Context())
			s.Require().NoError(err)
			s.Require().Empty(report.Kept)
		})
	}
}

// A damaged index may also have what the table lacks.
func (s *encryptSuite) TestPlaintextThatOnlyAnIndexHasIsRemoved() {
	for name, empty := range map[string]bool{"with entries": false, "emptied": true} {
		s.Run(name, func() {
			s.path = s.copyOfPlain()
			if empty {
				sqliteExec(s.T(), s.path, "DELETE FROM config")
			}
			sqliteExec(s.T(), s.path, "CREATE INDEX of_values ON config (value)",
				`INSERT INTO config VALUES ('gone', '"`+canary+`"', '2026-01-01T00:00:00.000000000+00:00')`)
			sqliteExec(s.T(), s.path, "CREATE TABLE put_aside AS SELECT * FROM sqlite_schema WHERE name = 'of_values'",
				"PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'of_values'")
			sqliteExec(s.T(), s.path, "DELETE FROM config WHERE key = 'gone'",
				"PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM put_aside")
			sqliteExec(s.T(), s.path, "DROP TABLE put_aside")
			if !empty {
				_, err := s.encrypt()
				s.Require().NoError(err)
			}
			s.openEncrypted(kekOf(1))
			data, err := os.ReadFile(s.path)
			s.Require().NoError(err)
			s.Require().NotContains(string(data), canary)
		})
	}
}
