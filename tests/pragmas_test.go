package tests

import (
	"context"
	"fmt"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// connectionSettings are what statements must not change, since the connection serves others next, or the file everybody.
var connectionSettings = []string{
	"application_id", "auto_vacuum", "busy_timeout", "cache_size", "cache_spill", "encoding", "foreign_keys", "ignore_check_constraints",
	"journal_mode", "journal_size_limit", "locking_mode", "max_page_count", "page_size", "query_only", "recursive_triggers",
	"secure_delete", "synchronous", "temp_store", "trusted_schema", "wal_autocheckpoint", "writable_schema",
}

func (s *schemaGuardSuite) settings(q db.DBTX) string {
	var all strings.Builder
	for _, name := range connectionSettings {
		value := ""
		s.Require().NoError(q.QueryRowContext(s.T().Context(), "PRAGMA "+name).Scan(&value), name)
		fmt.Fprintln(&all, name, value)
	}
	return all.String()
}

// Whatever the form, no statement sets anything: neither with a value nor with an empty one, which SQLite takes for 0 or OFF.
func (s *schemaGuardSuite) TestSettingsAreRead() {
	ctx := s.T().Context()
	inUpdate := func(run func(db.DBTX)) {
		_ = s.reg.Update(ctx, func(_ context.Context, tx *registry.Tx) error { run(tx); return nil })
	}
	inView := func(run func(db.DBTX)) {
		s.Require().NoError(s.reg.View(ctx, func(_ context.Context, tx *registry.Tx) error { run(tx); return nil }))
	}
	inReadDB := func(run func(db.DBTX)) { run(s.reg.ReadDB()) }
	for name, within := range map[string]func(func(db.DBTX)){"Update": inUpdate, "View": inView, "ReadDB": inReadDB} {
		var before, after string
		within(func(q db.DBTX) { before = s.settings(q) })
		for _, setting := range append(connectionSettings, "schema_version", "optimize", "wal_checkpoint", "no_such_thing") {
			for _, form := range []string{
				"PRAGMA %s = ''", "PRAGMA %s('')", `PRAGMA main.%s = ""`, "PRAGMA %s/**/=/**/''", "PRAGMA %s = 0", "PRAGMA %s = ON",
				"pragma main . %s ( x'' )", "ROLLBACK; PRAGMA %s = ''", "ROLLBACK; PRAGMA %s; PRAGMA %[1]s = ''",
				"\ufeffPRAGMA %s = ''", "SELECT $a('); PRAGMA %s = ''; --')", "SELECT 1;\u00a0PRAGMA %s = ''",
			} {
				statement := fmt.Sprintf(form, setting)
				within(func(q db.DBTX) {
					_, err := q.ExecContext(ctx, statement)
					s.Require().Error(err, "%s: %s", name, statement)
				})
			}
		}
		within(func(q db.DBTX) { after = s.settings(q) })
		s.Require().Equal(before, after, name)
	}
	_, err := s.reg.SetConfig(ctx, "held", 3)
	s.Require().NoError(err)
}

// What SQLite tells of tables is for everybody.
func (s *schemaGuardSuite) TestPragmasThatTellOfTablesAreAllowed() {
	for _, statement := range []string{
		"PRAGMA table_info(config)", "PRAGMA main.table_xinfo('config')", "PRAGMA index_list = config", "PRAGMA foreign_key_check",
		"PRAGMA integrity_check(1)", "PRAGMA data_version", "SELECT * FROM pragma_table_info('config')", "PRAGMA user_version",
	} {
		rows, err := s.reg.ReadDB().QueryContext(s.T().Context(), statement)
		s.Require().NoError(err, statement)
		s.Require().NoError(rows.Close())
	}
}

// What a statement leaves behind must open: a schema that no registry has is undone.
func (s *schemaGuardSuite) TestNoUpdateLeavesASchemaThatDoesNotOpen() {
	ctx := s.T().Context()
	for _, statement := range []string{
		"CREATE TABLE mine (k TEXT REFERENCES config (key) ON DELETE CASCADE)",
		"CREATE TABLE mine (one INTEGER REFERENCES keyset (one) ON DELETE CASCADE)",
		"CREATE TABLE mine (r INTEGER REFERENCES changes (revision))",
		"CREATE TABLE mine (n TEXT REFERENCES modules (name))",
		"CREATE TABLE mine (a); ALTER TABLE mine ADD COLUMN k REFERENCES config (key)",
		"CREATE TABLE pragma_foreign_key_list (a)",
		"CREATE VIEW mine AS SELECT '" + strings.Repeat("x", 70<<10) + "'",
		"CREATE TABLE mine (a DEFAULT '" + strings.Repeat("x", 2<<20) + "')",
	} {
		for range 2 { // the second time the driver may have kept the statement
			err := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.ExecContext(ctx, statement)
				return err
			})
			s.Require().ErrorIs(err, registry.ErrInvalid, statement)
		}
	}
	s.Require().NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE mine (m TEXT REFERENCES modules (id)); INSERT INTO mine VALUES (NULL)")
		return err
	}))
}
