package sqlite

import (
	"context"
	"time"
)

func (s *databaseSuite) observe(readers *Readers) *Observer {
	observer, err := readers.Observe(s.T().Context())
	s.Require().NoError(err)
	s.T().Cleanup(func() { s.Require().NoError(observer.Close()) })
	return observer
}

func (s *databaseSuite) moved(observer *Observer) bool {
	moved, err := observer.Moved()
	s.Require().NoError(err)
	return moved
}

func (s *databaseSuite) TestAnObserverNoticesEachCommitOnce() {
	readers := s.openReaders(short)
	first, second := s.observe(readers), s.observe(readers)
	s.Require().True(s.moved(first), "it does not know what came before")
	s.Require().True(s.moved(second))
	for range 3 {
		s.Require().False(s.moved(first))
		s.exec(s.writer, "INSERT INTO t VALUES (1)")
		s.Require().True(s.moved(first))
		s.Require().True(s.moved(second))
		s.Require().False(s.moved(first))
	}
	tx, err := BeginWrite(s.T().Context(), s.writer, short)
	s.Require().NoError(err)
	_, err = tx.Conn().ExecContext(s.T().Context(), "INSERT INTO t VALUES (2)")
	s.Require().NoError(err)
	if s.memory {
		_, err := first.Moved()
		s.Require().True(err == nil || IsBusy(err), "%v", err)
	} else {
		s.Require().False(s.moved(first), "before the commit")
	}
	tx.Rollback()
	tx.Release()
	s.Require().False(s.moved(first), "it was undone")
}

// Reading does not freeze what it sees.
func (s *databaseSuite) TestAnObserverMayRead() {
	observer := s.observe(s.openReaders(short))
	s.moved(observer)
	for n := range 3 {
		var rows int
		s.Require().NoError(observer.Conn().QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&rows))
		s.Require().Equal(n, rows)
		s.exec(s.writer, "INSERT INTO t VALUES (1)")
		s.Require().True(s.moved(observer))
	}
}

// Those who hold all connections of the pool do not make it blind.
func (s *databaseSuite) TestAnObserverHasAConnectionOfItsOwn() {
	readers := s.openReaders(Wait{Limit: time.Millisecond})
	for {
		tx, err := BeginRead(s.T().Context(), readers.Pool(), Wait{Limit: time.Millisecond})
		if err != nil {
			s.Require().ErrorIs(err, ErrNoConnection)
			break
		}
		defer tx.Release()
		defer tx.Rollback()
	}
	s.Require().True(s.moved(s.observe(readers)))
	ended, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, err := readers.Observe(ended)
	s.Require().ErrorIs(err, context.Canceled)
}
