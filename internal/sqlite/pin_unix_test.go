//go:build unix

package sqlite

import (
	"os"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// A stranger's WAL that comes between the look before a connection and SQLite's own makes that connection fail, and so does
// one that is there before. One of root's is SQLite's own, before it gives it to the file's owner.
func (s *databaseSuite) TestAWALOfAStrangerDuringTheOpeningIsNoticed() {
	if s.memory {
		s.T().Skip("there is no file")
	}
	if os.Geteuid() != 0 {
		s.T().Skip("only root can give a file away")
	}
	l := s.settings.Location
	const alice, mallory = 4001, 4002
	s.Require().NoError(os.Chown(l.path, alice, -1))
	plain := (&connector{settings: s.settings, dsn: l.uri(s.settings.params())}).Driver()
	join := func(during func()) error {
		conn, err := l.join(func() (*sqlite3.SQLiteConn, error) {
			c, err := plain.Open(l.uri(s.settings.params()))
			if err != nil {
				return nil, err
			}
			during()
			return c.(*sqlite3.SQLiteConn), nil
		})
		if err != nil {
			return err
		}
		return conn.Close()
	}
	give := func(uid int) { s.Require().NoError(os.Chown(l.path+"-wal", uid, -1)) }
	s.Require().FileExists(l.path+"-wal", "the writer made it")
	s.Require().NoError(join(func() {}))
	s.Require().ErrorIs(join(func() { give(mallory) }), dbfile.ErrUnfit)
	s.Require().ErrorIs(join(func() { s.Fail("it was opened") }), dbfile.ErrUnfit)
	give(0)
	s.Require().NoError(join(func() { give(alice) }))
	s.Require().NoError(join(func() { give(0) }))
}
