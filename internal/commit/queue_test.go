package commit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

func (s *queueSuite) TestItSaysWhatWasCommittedOnceEverybodyCanReadIt() {
	s.Require().NoError(s.queue.Do(s.T().Context(), inserting))
	s.Require().NoError(s.queue.DoBulk(s.T().Context(), insert))
	s.Require().NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
		s.Require().NoError(insert(tx.Conn()))
		return tx.Commit(s.T().Context())
	}))
	own := errors.New("own")
	s.Require().ErrorIs(s.queue.Do(s.T().Context(), Write{Change: func(*sql.Conn) error { return own }}), own)
	s.Require().Equal([]int{1, 2, 3}, s.committed)
	s.Require().ErrorIs(s.queue.Exclusive(s.T().Context(), func(*sqlite.Tx) error {
		return fmt.Errorf("%w, as far as is known", sqlite.ErrCommitUnknown)
	}), sqlite.ErrCommitUnknown)
	s.Require().Equal([]int{1, 2, 3, 3}, s.committed, "it may have been")
}

func (s *queueSuite) TestOneWriteAtATime() {
	s.queue.wait.Limit = time.Minute
	var running atomic.Int32
	var group sync.WaitGroup
	alone := func(conn *sql.Conn) error {
		s.EqualValues(1, running.Add(1))
		defer running.Add(-1)
		runtime.Gosched()
		return insert(conn)
	}
	for i := range 64 {
		group.Go(func() {
			if i%4 == 1 {
				s.NoError(s.queue.DoBulk(s.T().Context(), alone))
				return
			}
			if i%2 == 0 {
				s.NoError(s.queue.Do(s.T().Context(), Write{Change: alone}))
				return
			}
			s.NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
				if err := alone(tx.Conn()); err != nil {
					return err
				}
				return tx.Commit(context.Background())
			}))
		})
	}
	group.Wait()
	s.holds(64)
}

func (s *queueSuite) TestAnErrorRollsBackAndIsPassedOn() {
	own := errors.New("own")
	s.Require().Same(own, s.queue.Do(s.T().Context(), Write{Change: func(conn *sql.Conn) error {
		s.Require().NoError(insert(conn))
		return own
	}}))
	s.Require().Same(own, s.queue.DoBulk(s.T().Context(), func(conn *sql.Conn) error {
		s.Require().NoError(insert(conn))
		return own
	}))
	s.Require().Same(own, s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
		s.Require().NoError(insert(tx.Conn()))
		return own
	}))
	s.holds(0)
}

func (s *queueSuite) TestWhatIsNotCommittedIsRolledBack() {
	s.Require().NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error { return insert(tx.Conn()) }))
	s.holds(0)
}

func (s *queueSuite) TestAPanicLeavesTheQueueUsable() {
	s.Require().PanicsWithValue("cause", func() {
		_ = s.queue.Do(s.T().Context(), Write{Change: func(conn *sql.Conn) error {
			s.Require().NoError(insert(conn))
			panic("cause")
		}})
	})
	s.Require().PanicsWithValue("cause", func() {
		_ = s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
			s.Require().NoError(insert(tx.Conn()))
			panic("cause")
		})
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.queue.Exclusive(s.T().Context(), func(*sqlite.Tx) error { runtime.Goexit(); return nil })
	}()
	s.wait(done)
	s.holds(0)
}

func (s *queueSuite) TestAContextThatEndsWhileItWaitsWithdrawsTheWrite() {
	s.queue.wait.Limit = time.Minute
	release := s.hold()
	ctx, cancel := context.WithTimeout(s.T().Context(), 5*time.Millisecond)
	defer cancel()
	s.Require().ErrorIs(s.queue.Do(ctx, inserting), context.DeadlineExceeded)
	s.Require().ErrorIs(s.queue.Do(ctx, inserting), context.DeadlineExceeded, "it has ended before")
	release()
	s.Require().ErrorIs(s.queue.Exclusive(ctx, nil), context.DeadlineExceeded)
	s.holds(0)
}

func (s *queueSuite) TestAContextThatEndsDuringTheWriteIsTooLate() {
	ctx, cancel := context.WithCancel(s.T().Context())
	s.Require().NoError(s.queue.Do(ctx, Write{Change: func(conn *sql.Conn) error {
		cancel()
		return insert(conn)
	}}))
	s.holds(1)
}

func (s *queueSuite) TestTheLimitEndsTheWaitForATurn() {
	release := s.hold()
	s.Require().ErrorIs(s.queue.Do(s.T().Context(), inserting), ErrTimeout)
	release()
	s.holds(0)
}

func (s *queueSuite) TestTheTurnIsTakenWithoutALimitToo() {
	s.queue.wait.Limit = 0
	s.holds(0)
	release := s.hold()
	s.Require().ErrorIs(s.queue.Do(s.T().Context(), inserting), ErrTimeout)
	release()
}

func (s *queueSuite) TestCloseWaitsForTheWriteThatRunsAndRefusesTheOthers() {
	s.queue.wait.Limit = time.Minute
	queue := s.queue
	s.queue = nil
	taken, waiting := make(chan struct{}), make(chan error)
	closed := make(chan struct{})
	var returned atomic.Bool
	s.Require().NoError(queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
		for range 4 {
			go func() { waiting <- queue.Do(s.T().Context(), inserting) }()
		}
		go func() {
			defer close(closed)
			close(taken)
			s.NoError(queue.Close(nil))
			s.True(returned.Load(), "Close came back during a write")
		}()
		s.wait(taken)
		for range 4 {
			s.ErrorIs(<-waiting, ErrClosed)
		}
		s.Require().NoError(insert(tx.Conn()))
		returned.Store(true)
		return tx.Commit(context.Background())
	}))
	s.wait(closed)
	s.Require().ErrorIs(queue.Do(s.T().Context(), inserting), ErrClosed)
	var rows int
	s.Require().NoError(s.readers.QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&rows))
	s.Require().Equal(1, rows)
}

func (s *queueSuite) TestAWriteThatEndsItsTransactionIsNoSuccess() {
	s.Require().ErrorIs(s.queue.Do(s.T().Context(), Write{Change: func(conn *sql.Conn) error {
		s.Require().NoError(insert(conn))
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		return err
	}}), sqlite.ErrGone)
	s.holds(0)
}

// lateContext ends once a transaction has begun, for who asks: nobody is told.
type lateContext struct {
	context.Context
	writer *sql.DB
}

func (c lateContext) Err() error {
	if c.writer.Stats().InUse > 0 {
		return context.Canceled
	}
	return nil
}

// The moment up to which a write can be withdrawn is when its transaction has begun, for which it may have waited long.
func (s *queueSuite) TestAContextThatEndedWhileTheTransactionBeganWithdrawsTheWrite() {
	ctx := lateContext{s.T().Context(), s.queue.writer}
	s.Require().ErrorIs(s.queue.Do(ctx, inserting), context.Canceled)
	s.Require().ErrorIs(s.queue.DoBulk(ctx, insert), context.Canceled)
	s.holds(0)
}
