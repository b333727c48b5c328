package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/oxide-k/stateregistry/db"
)

func (s *databaseSuite) openReaders(w Wait) *Readers {
	readers := OpenReaders(s.settings, w)
	s.T().Cleanup(func() { s.Require().NoError(readers.Close()) })
	return readers
}

func (s *databaseSuite) TestReadersKeepTheirConnections() {
	readers := s.openReaders(short)
	var first, second *sql.Conn
	s.Require().NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error { first = c; return nil }))
	own := errors.New("own")
	s.Require().Same(own, readers.Do(s.T().Context(), func(c *sql.Conn) error { second = c; return own }))
	s.Require().Same(first, second)
}

func (s *databaseSuite) TestReadersGiveUpAConnectionThatFailed() {
	readers := s.openReaders(short)
	s.Require().ErrorIs(readers.Do(s.T().Context(), func(c *sql.Conn) error {
		return c.Raw(func(any) error { return driver.ErrBadConn })
	}), driver.ErrBadConn)
	s.Require().NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error { return c.PingContext(s.T().Context()) }))
}

// One connection has the large page cache, whoever was first; it serves whenever it is free, and has a successor.
func (s *databaseSuite) TestReadersUseTheRoomyConnectionFirst() {
	readers := s.openReaders(short)
	cache := func(c *sql.Conn) (kibibytes int) {
		s.Require().NoError(c.QueryRowContext(s.T().Context(), "PRAGMA cache_size").Scan(&kibibytes))
		return -kibibytes
	}
	var roomy *sql.Conn
	s.Require().NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error {
		roomy = c
		s.Require().Equal(roomyCacheKiB, cache(c))
		return readers.Do(s.T().Context(), func(c *sql.Conn) error { // comes back first, and is the one that was used last
			s.Require().NotSame(roomy, c)
			s.Require().Equal(pageCacheKiB, cache(c))
			return nil
		})
	}))
	s.Require().NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error {
		s.Require().Same(roomy, c)
		return readers.Do(s.T().Context(), func(*sql.Conn) error { return nil })
	}))
	err := readers.Do(s.T().Context(), func(c *sql.Conn) error {
		s.Require().Same(roomy, c)
		return c.Raw(func(any) error { return driver.ErrBadConn })
	})
	s.Require().ErrorIs(err, driver.ErrBadConn)
	s.Require().NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error { // the other one, which is open
		s.Require().Equal(pageCacheKiB, cache(c))
		return readers.Do(s.T().Context(), func(c *sql.Conn) error {
			s.Require().Equal(roomyCacheKiB, cache(c))
			return nil
		})
	}))
}

// Whoever holds them, a reader waits no longer than it may.
func (s *databaseSuite) TestReadersDoNotWaitForEverForAConnection() {
	readers := s.openReaders(Wait{Limit: time.Millisecond})
	var held []*Tx
	for {
		tx, err := BeginRead(s.T().Context(), readers.Pool(), Wait{Limit: time.Millisecond})
		if err != nil {
			s.Require().ErrorIs(err, ErrNoConnection)
			break
		}
		held = append(held, tx)
	}
	s.Require().GreaterOrEqual(len(held), 16)
	lent := func(q db.DBTX) error { return q.QueryRowContext(s.T().Context(), "SELECT 1").Scan(new(int)) }
	s.Require().ErrorIs(readers.Lend(s.T().Context(), lent), ErrNoConnection)
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	s.Require().ErrorIs(readers.Lend(ctx, lent), context.Canceled)
	s.Require().NoError(readers.Do(s.T().Context(), func(*sql.Conn) error { return nil }), "it has connections of its own")
	for _, tx := range held {
		tx.Rollback()
		tx.Release()
	}
	s.Require().NoError(readers.Lend(s.T().Context(), lent))
}

func (s *databaseSuite) TestReadersThatHoldAllOfTheirOwnConnectionsAreWaitedFor() {
	readers := s.openReaders(Wait{Limit: time.Millisecond})
	depth := 0
	var all func(*sql.Conn) error
	all = func(*sql.Conn) error {
		depth++
		return readers.Do(s.T().Context(), all)
	}
	s.Require().ErrorIs(readers.Do(s.T().Context(), all), ErrNoConnection)
	s.Require().GreaterOrEqual(depth, 4)
	ctx, cancel := context.WithCancel(s.T().Context())
	s.Require().ErrorIs(readers.Do(s.T().Context(), func(*sql.Conn) error {
		cancel()
		return readers.Do(ctx, all)
	}), context.Canceled)
	s.Require().NoError(readers.Do(s.T().Context(), func(*sql.Conn) error { return nil }))
}

// A reader that has waited as long as it may waits for nothing more, whatever the connections' own limit is.
func (s *databaseSuite) TestReadersThatHaveWaitedDoNotWaitAgain() {
	readers := s.openReaders(Wait{Limit: time.Hour})
	readers.pool.SetMaxOpenConns(1)
	ctx := WithWait(s.T().Context(), spent())
	nothing := func(*sql.Conn) error { return nil }
	busy := func(*sql.Conn) error { return errBusy }
	s.Require().NoError(readers.Do(ctx, nothing), "there is nothing to wait for")
	s.Require().True(IsBusy(readers.Do(ctx, busy)))
	for range cap(readers.free) {
		<-readers.free
	}
	s.Require().ErrorIs(readers.Do(ctx, nothing), ErrNoConnection)
	for range cap(readers.free) {
		readers.free <- struct{}{}
	}
	s.Require().True(IsBusy(readers.Lend(ctx, func(db.DBTX) error { return errBusy })))
	held, err := readers.pool.QueryContext(ctx, "SELECT 1 UNION SELECT 2")
	s.Require().NoError(err)
	s.Require().ErrorIs(readers.Lend(ctx, func(db.DBTX) error { return nil }), ErrNoConnection)
	_, err = readers.Prepare(ctx, "SELECT 1")
	s.Require().ErrorIs(err, ErrNoConnection)
	s.Require().NoError(held.Close())
}

// The one that was waited for goes back once its rows are closed, and not before.
func (s *databaseSuite) TestALentConnectionComesBackWithItsRows() {
	readers := s.openReaders(Wait{Limit: 2 * time.Minute})
	readers.pool.SetMaxOpenConns(1)
	query := func() (rows *sql.Rows, err error) {
		err = readers.Lend(s.T().Context(), func(q db.DBTX) error {
			rows, err = q.QueryContext(s.T().Context(), "SELECT 1 UNION SELECT 2")
			return err
		})
		return rows, err
	}
	rows, err := query()
	s.Require().NoError(err)
	for range 5 {
		second, waited := make(chan *sql.Rows), readers.pool.Stats().WaitCount
		go func() {
			rows, err := query()
			s.NoError(err)
			second <- rows
		}()
		for readers.pool.Stats().WaitCount == waited {
			runtime.Gosched()
		}
		s.Require().True(rows.Next())
		s.Require().NoError(rows.Close())
		rows = <-second
		s.Require().True(rows.Next())
	}
	s.Require().NoError(rows.Close())
}

func (s *databaseSuite) TestReadersServeManyAtOnce() {
	readers := s.openReaders(Wait{Limit: 2 * time.Minute})
	s.exec(s.writer, "INSERT INTO t VALUES (1)")
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				var n int
				s.NoError(readers.Do(s.T().Context(), func(c *sql.Conn) error {
					return c.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n)
				}))
				s.Equal(1, n)
			}
		})
	}
	all.Wait()
}

func (s *databaseSuite) TestNobodyWaitsForEverForALentConnection() {
	const limit = 20 * time.Millisecond
	readers := s.openReaders(Wait{Limit: limit})
	readers.pool.SetMaxOpenConns(1)
	ctx := s.T().Context()
	for range 3 {
		held, err := readers.pool.QueryContext(ctx, "SELECT 1 UNION SELECT 2")
		s.Require().NoError(err)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s.ErrorIs(readers.Lend(ctx, func(db.DBTX) error { return nil }), ErrNoConnection)
			})
			all.Go(func() {
				_, err := readers.Prepare(ctx, "SELECT 1")
				s.ErrorIs(err, ErrNoConnection)
			})
		}
		all.Wait()
		s.Require().NoError(held.Close())
		stmt, err := readers.Prepare(ctx, "SELECT 1")
		s.Require().NoError(err)
		var one int
		s.Require().NoError(stmt.QueryRowContext(ctx).Scan(&one))
		s.Require().NoError(stmt.Close())
	}
}
