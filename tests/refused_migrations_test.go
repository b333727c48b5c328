package tests

import (
	"fmt"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// The refusals that are about what was migrated, and by whom.

func (s *refusalSuite) TestNewerSchemas() {
	whole := s.create("whole.db", registry.WithMigrations("notes", notesV1))
	const row = `INSERT INTO migrations VALUES ('%s', %d, '%05[2]d_later.sql', 'abc', '2026-01-01T00:00:00+00:00')`
	for name, statement := range map[string]string{
		"core":      fmt.Sprintf(row, "core", 999),
		"core next": fmt.Sprintf(row, "core", coreMigrations(s.T())+1),
		"subsystem": fmt.Sprintf(row, "notes", 2),
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			sqliteExec(s.T(), path, statement)
			s.requireRefused(path, registry.ErrNewerSchema, registry.WithMigrations("notes", notesV1))
		})
	}
}

// A registry that is open while a newer program migrates it writes nothing more, and is not called damaged. One that another
// subsystem's migrations come to goes on.
func (s *refusalSuite) TestAnOpenRegistryThatIsMigratedByOthers() {
	path := s.create("x.db")
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	other, err := s.tryOpen(path, registry.WithMigrations("notes", notesV1))
	s.Require().NoError(err)
	s.Require().NoError(other.Close())
	_, err = reg.SetConfig(s.T().Context(), "api/endpoint", 0)
	s.Require().NoError(err)
	sqliteExec(s.T(), path, "ALTER TABLE registry ADD COLUMN owner TEXT", fmt.Sprintf(
		"INSERT INTO migrations VALUES ('core', %d, 'later', 'abc', '2026-01-01T00:00:00+00:00')", coreMigrations(s.T())+1))
	_, err = reg.SetConfig(s.T().Context(), "api/endpoint", 1)
	s.Require().ErrorIs(err, registry.ErrNewerSchema)
	value, err := registry.Get[int](s.T().Context(), reg, "api/endpoint")
	s.Require().NoError(err)
	s.Require().Zero(value)
	s.Require().NoError(reg.Close())
}

func (s *refusalSuite) TestMigrationsThatChanged() {
	both := files{"00002_a.sql": "CREATE TABLE notes_a (id)", "00004_b.sql": "CREATE TABLE notes_b (id)"}
	whole := s.create("whole.db", registry.WithMigrations("notes", both.fs()))
	for name, set := range map[string]files{
		"text":           {"00002_a.sql": "CREATE TABLE notes_a (id, more)", "00004_b.sql": both["00004_b.sql"]},
		"white space":    {"00002_a.sql": both["00002_a.sql"] + "\n", "00004_b.sql": both["00004_b.sql"]},
		"removed":        {"00004_b.sql": both["00004_b.sql"]},
		"renumbered":     {"00003_a.sql": both["00002_a.sql"], "00004_b.sql": both["00004_b.sql"]},
		"inserted below": both.with("00003_c.sql", "CREATE TABLE notes_c (id)"),
		"a lone CR":      {"00002_a.sql": both["00002_a.sql"] + "\r", "00004_b.sql": both["00004_b.sql"]},
		"swapped":        {"00002_a.sql": both["00004_b.sql"], "00004_b.sql": both["00002_a.sql"]},
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			copyFile(s.T(), whole, path)
			s.requireRefused(path, registry.ErrMigrationChanged, registry.WithMigrations("notes", set.fs()))
		})
	}
	s.Run("core's own", func() {
		path := s.file("x.db")
		copyFile(s.T(), whole, path)
		sqliteExec(s.T(), path, "UPDATE migrations SET checksum = 'abc' WHERE set_name = 'core' AND number = 1")
		s.requireRefused(path, registry.ErrMigrationChanged)
	})
	s.Run("only a file's name is no change", func() {
		path := s.file("x.db")
		copyFile(s.T(), whole, path)
		renamed := files{"00002_other.sql": both["00002_a.sql"], "00004_b.sql": both["00004_b.sql"]}
		requireFilled(s.T(), s.open(path, registry.WithMigrations("notes", renamed.fs())))
	})
	s.Run("only how its lines end is no change", func() { // git's autocrlf, on the machine that builds
		lines := files{"00001_a.sql": "CREATE TABLE lines (id);\nCREATE TRIGGER lines_t AFTER INSERT ON lines BEGIN\n  SELECT 1;\nEND;\n"}
		crlf := files{"00001_a.sql": strings.ReplaceAll(lines["00001_a.sql"], "\n", "\r\n")}
		path := s.create("lines.db", registry.WithMigrations("lines", crlf.fs()))
		definition := sqliteRows(s.T(), path, "SELECT sql FROM sqlite_schema WHERE name = 'lines_t'")
		s.Require().NotContains(definition[0][0], `\r`)
		requireFilled(s.T(), s.open(path, registry.WithMigrations("lines", lines.fs())))
		requireFilled(s.T(), s.open(path, registry.WithMigrations("lines", crlf.fs())))
	})
	s.Run("a set that is not given is ignored", func() {
		path := s.file("x.db")
		copyFile(s.T(), whole, path)
		requireFilled(s.T(), s.open(path))
	})
}

func (s *refusalSuite) TestReadOnlyDoesNotMigrate() {
	path := s.file("x.db")
	s.oxideFile(path)
	before := folder(s.T(), s.dir)
	_, err := s.tryOpen(path, registry.WithReadOnly())
	s.Require().ErrorIs(err, registry.ErrOldSchema)
	s.Require().Equal(before, folder(s.T(), s.dir))

	path = s.create("current.db")
	hash := folder(s.T(), s.dir)["current.db"]
	_, err = s.tryOpen(path, registry.WithReadOnly(), registry.WithMigrations("notes", notesV1))
	s.Require().ErrorIs(err, registry.ErrOldSchema)
	s.Require().Equal(hash, folder(s.T(), s.dir)["current.db"])
}
