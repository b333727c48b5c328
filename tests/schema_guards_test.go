package tests

import (
	"context"
	"testing"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// A subsystem's statement cannot leave a registry behind that does not open any more.
func TestSchemaGuards(t *testing.T) {
	runInModes(t, func() *schemaGuardSuite { return &schemaGuardSuite{} })
}

type schemaGuardSuite struct{ callSuite }

func (s *schemaGuardSuite) TestTheRegistrysOwnSchemaIsNotForStatements() {
	s.fill(s.reg)
	ctx := s.T().Context()
	for _, statement := range []string{
		"CREATE TRIGGER mine AFTER INSERT ON config BEGIN SELECT 1; END",
		"CREATE TRIGGER IF NOT EXISTS main.mine AFTER DELETE ON Changes BEGIN SELECT 1; END",
		"DROP TRIGGER config_update",
		"ALTER TABLE config ADD COLUMN mine TEXT",
		"ALTER TABLE Modules RENAME TO mine",
		"ALTER TABLE keyset DROP COLUMN kek",
		"CREATE UNIQUE INDEX mine ON modules (name)",
		"CREATE INDEX mine ON config (value)",
		"DROP TABLE changes",
		"DROP TABLE IF EXISTS main.keyset",
		"DROP TABLE registry",
		"DROP TABLE migrations",
		"DELETE FROM migrations",
		"UPDATE migrations SET checksum = 'mine'",
		"INSERT INTO migrations SELECT 'mine', number, name, checksum, applied_at FROM migrations",
		"CREATE TABLE mine (id TEXT); DROP TABLE config",
		"INSERT INTO Keyset VALUES (1, 1, '', '', '', x'', 0)",
		"UPDATE keyset SET generation = generation + 1, marker = ''",
		"UPDATE main.keyset SET scrub = 1",
		"DELETE FROM keyset",
	} {
		err := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			s.Require().ErrorIs(err, registry.ErrInvalid, statement)
			return err
		})
		s.Require().ErrorIs(err, registry.ErrInvalid, statement)
		_, err = s.reg.SetConfig(ctx, "held", 2)
		s.Require().NoError(err)
	}
}

// The process that migrated has run that statement itself, and its connection may have kept it.
func (s *schemaGuardSuite) TestTheRegistrysOwnStatementsAreNotLent() {
	ctx := s.T().Context()
	reg, err := s.mode.open(ctx, s.mode.path(s.T()), registry.WithMigrations("notes", notesV1))
	s.Require().NoError(err)
	defer func() { closeVerified(s.T(), reg) }()
	if s.mode.encrypted() {
		_, err := reg.RotateKeyset(ctx)
		s.Require().NoError(err)
	}
	queries := db.New()
	for name, run := range map[string]func(context.Context, db.DBTX) error{
		"InsertMigration": func(ctx context.Context, q db.DBTX) error {
			return queries.InsertMigration(ctx, q, db.InsertMigrationParams{SetName: "core", Number: 99, AppliedAt: moment})
		},
		"InsertKeyset": func(ctx context.Context, q db.DBTX) error {
			return queries.InsertKeyset(ctx, q, db.InsertKeysetParams{Generation: 1, Wrapped: []byte("x")})
		},
		"UpdateKeyset": func(ctx context.Context, q db.DBTX) error {
			_, err := queries.UpdateKeyset(ctx, q, db.UpdateKeysetParams{Wrapped: []byte("x")})
			return err
		},
		"ReleaseKeyset": queries.ReleaseKeyset,
		"DeleteKeyset":  queries.DeleteKeyset,
	} {
		s.Require().ErrorIs(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error { return run(ctx, tx) }),
			registry.ErrInvalid, name)
	}
}

// What is a subsystem's is its own to change, also beside a migration.
func (s *schemaGuardSuite) TestTablesOfOnesOwnAreForStatements() {
	s.fill(s.reg)
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for _, statement := range []string{
			"CREATE TABLE mine (id TEXT PRIMARY KEY, module TEXT REFERENCES modules (id) ON DELETE CASCADE)",
			"CREATE INDEX mine_module ON mine (module)",
			"CREATE TRIGGER mine_log AFTER INSERT ON mine BEGIN " +
				"INSERT INTO changes (subject, key, op, at) VALUES ('mine', NEW.id, 'put', '2026-01-01T00:00:00Z'); END",
			"CREATE VIEW mine_modules AS SELECT modules.id FROM modules JOIN mine ON mine.module = modules.id",
			"INSERT INTO mine VALUES ('a', 'kernel')",
			"ALTER TABLE mine ADD COLUMN note TEXT",
			"ALTER TABLE mine RENAME TO ours",
			"DROP INDEX mine_module",
			"DROP TRIGGER mine_log",
			"DROP VIEW mine_modules",
			"DROP TABLE ours",
		} {
			_, err := tx.ExecContext(ctx, statement)
			s.Require().NoError(err, statement)
		}
		return nil
	}))
}
