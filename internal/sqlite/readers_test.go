package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
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
	nothing := func(*sql.Conn) error { return nil }
	s.Require().ErrorIs(readers.Do(s.T().Context(), nothing), ErrNoConnection)
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	s.Require().ErrorIs(readers.Do(ctx, nothing), context.Canceled)
	for _, tx := range held {
		tx.Rollback()
		tx.Release()
	}
	s.Require().NoError(readers.Do(s.T().Context(), nothing))
}

func (s *databaseSuite) TestReadersServeManyAtOnce() {
	readers := s.openReaders(Wait{Limit: 10 * time.Second})
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
