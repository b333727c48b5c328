package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// replace puts a copy of the database in its place, as a careless restore does.
func (s *databaseSuite) replace() (path string) {
	if s.memory {
		s.T().Skip("there is no file to replace")
	}
	if runtime.GOOS == "windows" {
		s.T().Skip("a file that is open cannot be moved here")
	}
	path = s.settings.Location.path
	s.Require().NoError(os.Rename(path, path+".old"))
	other, err := Locate(path)
	s.Require().NoError(err)
	writer, err := OpenWriter(s.T().Context(), Settings{Location: other}, short)
	s.Require().NoError(err)
	s.exec(writer, "CREATE TABLE t (a)")
	s.Require().NoError(writer.Close())
	return path
}

func (s *databaseSuite) TestNoConnectionJoinsOnAnotherFile() {
	path := s.replace()
	ctx := s.T().Context()
	var n int
	err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n)
	s.Require().ErrorIs(err, dbfile.ErrReplaced)
	_, err = OpenReaders(s.settings, short).Observe(ctx)
	s.Require().ErrorIs(err, dbfile.ErrReplaced)
	_, err = OpenWriter(ctx, s.settings, short)
	s.Require().ErrorIs(err, dbfile.ErrReplaced)
	_, err = Look(ctx, s.settings.Location, short, true, inspectNothing)
	s.Require().ErrorIs(err, dbfile.ErrReplaced)
	exists, err := s.settings.Location.Examine()
	s.Require().NoError(err)
	s.Require().True(exists)
	_, err = Look(ctx, s.settings.Location, short, true, inspectNothing)
	s.Require().NoError(err)

	_, err = s.settings.Location.Examine()
	s.Require().NoError(err)
	s.Require().NoError(os.Rename(path, path+".new"))
	_, err = Look(ctx, s.settings.Location, short, true, inspectNothing)
	s.Require().ErrorIs(err, dbfile.ErrReplaced, "nothing is in its place")
}

// What was swapped while SQLite opened it is noticed, also if a symlink was there for that moment only. (By then SQLite has
// looked at the WAL beside the name as if it were the other file's.)
func (s *databaseSuite) TestAFileThatIsSwappedDuringTheOpeningIsNoticed() {
	if s.memory || runtime.GOOS == "windows" {
		s.T().Skip("there is no file, or it cannot be moved")
	}
	l := s.settings.Location
	plain := (&connector{settings: s.settings, dsn: l.uri(s.settings.params())}).Driver()
	open := func() (*sqlite3.SQLiteConn, error) {
		c, err := plain.Open(l.uri(s.settings.params()))
		if err != nil {
			return nil, err
		}
		return c.(*sqlite3.SQLiteConn), nil
	}
	conn, err := l.join(open)
	s.Require().NoError(err)
	s.Require().NoError(conn.Close())

	other := filepath.Join(filepath.Dir(l.path), "other.db")
	location, err := Locate(other)
	s.Require().NoError(err)
	writer, err := OpenWriter(s.T().Context(), Settings{Location: location}, short)
	s.Require().NoError(err)
	s.exec(writer, "CREATE TABLE t (a)")
	s.Require().NoError(writer.Close())
	move := func(from, to string) { s.Require().NoError(os.Rename(from, to)) }
	for name, swap := range map[string]func() (back func()){
		"renamed": func() func() {
			move(l.path, l.path+".old")
			move(other, l.path)
			return func() {}
		},
		"a symlink for a moment": func() func() {
			move(l.path, l.path+".old")
			s.Require().NoError(os.Symlink(other, l.path))
			return func() { move(l.path+".old", l.path) }
		},
	} {
		_, err = l.join(func() (*sqlite3.SQLiteConn, error) {
			back := swap()
			defer back()
			return open()
		})
		s.Require().ErrorIs(err, dbfile.ErrReplaced, name)
		if _, err := os.Stat(l.path + ".old"); err == nil {
			move(l.path, other)
			move(l.path+".old", l.path)
		}
	}
}

func (s *databaseSuite) TestAWriterMakesNoFileInPlaceOfASymlink() {
	if s.memory {
		s.T().Skip("there is no file")
	}
	path := filepath.Join(s.T().TempDir(), "new.db")
	location, err := Locate(path)
	s.Require().NoError(err)
	_, err = location.Examine()
	s.Require().NoError(err)
	if err := os.Symlink("elsewhere.db", path); err != nil {
		s.T().Skipf("no symlinks here: %v", err)
	}
	_, err = OpenWriter(s.T().Context(), Settings{Location: location}, short)
	s.Require().ErrorIs(err, dbfile.ErrReplaced)
	s.Require().NoFileExists(filepath.Join(filepath.Dir(path), "elsewhere.db"))
}

// Some file systems cannot rename without replacing; SQLite makes the file there.
func (s *databaseSuite) TestSQLiteMakesAFileThatIsItsOwnersAlone() {
	if s.memory || runtime.GOOS == "windows" {
		s.T().Skip("there is no file, or there are no such permissions")
	}
	dir := s.T().TempDir()
	location, err := Locate(filepath.Join(dir, "new.db"))
	s.Require().NoError(err)
	template := filepath.Join(dir, "template")
	s.Require().NoError(os.WriteFile(template, nil, 0o600))
	s.Require().NoError(location.createAs(context.Background(), short, template))
	info, err := os.Stat(location.path)
	s.Require().NoError(err)
	s.Require().Equal(os.FileMode(0o600), info.Mode())
	s.Require().NotNil(location.pinned())
}
