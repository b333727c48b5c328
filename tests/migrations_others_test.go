package tests

import "github.com/oxide-k/stateregistry/registry"

func (s *migrationSuite) TestASetLeavesTheTablesOfOthersAlone() {
	path := s.create("x.db", registry.WithMigrations("notes", notesV1))
	_, err := s.tryOpen(path, registry.WithMigrations("tasks", files{"00001_a.sql": "DROP TABLE notes"}.fs()))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().Equal([][]string{{`"0"`}}, sqliteRows(s.T(), path, "SELECT count(*) FROM notes"))
}

// Keys that are no text would be found by no reader.
func (s *migrationSuite) TestAnOxideKFileWithKeysThatAreNoText() {
	if s.mode.encrypted() {
		s.T().Skip("an encrypted opening takes no file with entries: Encrypt is what migrates one")
	}
	for _, key := range []string{"NULL", "x'61'"} {
		path := s.file("x.db")
		copyFile(s.T(), oxidePlain, path)
		sqliteExec(s.T(), path, "INSERT INTO config VALUES ("+key+", '1', '2026-01-01T00:00:00Z')")
		before := contentOf(s.T(), path)
		_, err := s.tryOpen(path)
		s.Require().ErrorIs(err, registry.ErrCorrupt)
		s.Require().Equal(before, contentOf(s.T(), path))
	}
}

// The longest name that a table's starts with says whose it is.
func (s *migrationSuite) TestASetWhoseNameBeginsAnothersLeavesItAlone() {
	decisions := registry.WithMigrations("decisions", files{"00001_a.sql": "CREATE TABLE decisions_log (id)"}.fs())
	path := s.create("x.db", decisions)
	for _, statement := range []string{"DROP TABLE decisions_log", "CREATE TABLE decisions_more (id)"} {
		dec := registry.WithMigrations("dec", files{"00001_a.sql": statement}.fs())
		_, err := s.tryOpen(path, dec)
		s.Require().ErrorIs(err, registry.ErrInvalid, statement)
		_, err = s.tryOpen(path, dec, decisions)
		s.Require().ErrorIs(err, registry.ErrInvalid, statement)
	}
	s.Require().NoError(s.open(path, decisions, registry.WithMigrations("dec",
		files{"00001_a.sql": "CREATE TABLE dec_log (id)", "00002_b.sql": "DROP TABLE dec_log"}.fs())).Close())
}
