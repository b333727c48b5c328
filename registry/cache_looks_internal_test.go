package registry

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// connection is one that is no registry's.
func (s *readCacheSuite) connection(path string) *sql.Conn {
	pool, err := sql.Open("sqlite3", path)
	s.Require().NoError(err)
	s.T().Cleanup(func() { s.NoError(pool.Close()) })
	conn, err := pool.Conn(s.ctx)
	s.Require().NoError(err)
	s.T().Cleanup(func() { s.NoError(conn.Close()) })
	return conn
}

// An Update that came to nothing may have read what others committed: whoever asks next is not told what was before.
func (s *readCacheSuite) TestWhatAnUpdateReadIsNotDeniedThoughItFailed() {
	s.set(2)
	s.sees(1)
	own := errors.New("own")
	s.Require().Same(own, s.reg.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
		n, err := Get[int](ctx, tx, "k")
		s.Require().NoError(err)
		s.Require().Equal(2, n)
		return own
	}))
	s.sees(2)
}

// A look that noticed commits and could not take them in has noticed them all the same: the observer says so only once.
func (s *readCacheSuite) TestWhatALookNoticedIsNotForgottenWhereItFailed() {
	other := func(n int) {
		_, err := s.other.SetConfig(s.ctx, "l", n)
		s.Require().NoError(err)
	}
	other(1)
	s.now += cacheMaxAge
	n, err := Get[int](s.ctx, s.reg, "l")
	s.Require().NoError(err)
	s.Require().Equal(1, n)
	other(2)
	_, err = s.connection(s.path).ExecContext(s.ctx, "ALTER TABLE keyset RENAME TO elsewhere")
	s.Require().NoError(err)
	s.now += cacheMaxAge
	s.sees(1) // the look that fails: the database has the word
	n, err = Get[int](s.ctx, s.reg, "l")
	s.Require().NoError(err)
	s.Require().Equal(2, n)
}

func (s *readCacheSuite) TestWhatAnUpdateReadIsNotDeniedThoughItPanicked() {
	s.set(2)
	s.sees(1)
	s.Require().PanicsWithValue("cause", func() {
		_ = s.reg.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
			n, err := Get[int](ctx, tx, "k")
			s.Require().NoError(err)
			s.Require().Equal(2, n)
			panic("cause")
		})
	})
	s.sees(2)
}

// Another file may be restored into the one that is open, by SQLite's own means. Its revisions are others, whatever their
// numbers are.
func (s *readCacheSuite) TestAFileThatIsRestoredIntoThisOneMakesItForgetEverything() {
	copied := filepath.Join(s.T().TempDir(), "copy.db")
	s.Require().NoError(s.other.Backup(s.ctx, copied))
	s.set(2)
	s.now += cacheMaxAge
	s.sees(2)
	restored := s.open(copied)
	for n := range 5 {
		_, err := restored.SetConfig(s.ctx, "l", n)
		s.Require().NoError(err)
	}
	from, to := s.connection(copied), s.connection(s.path)
	s.Require().NoError(to.Raw(func(to any) error {
		return from.Raw(func(from any) error {
			restoring, err := to.(*sqlite3.SQLiteConn).Backup("main", from.(*sqlite3.SQLiteConn), "main")
			s.Require().NoError(err)
			done, err := restoring.Step(-1)
			s.Require().NoError(err)
			s.Require().True(done)
			return restoring.Finish()
		})
	}))
	s.now += cacheMaxAge
	s.sees(1)
}
