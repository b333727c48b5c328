package commit

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

func (s *queueSuite) TestThoseThatWaitShareOneTransaction() {
	var members []*member
	for i := range 10 {
		members = append(members, &member{write: insertion(i)})
	}
	s.inOneBatch(members...)
	for _, m := range members {
		s.Require().NoError(m.err)
	}
	s.Require().Equal([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, s.values())
	s.Require().Equal([]int{0, 10}, s.committed, "one commit, said before any of them returned")
}

func (s *queueSuite) TestABatchHasAnEnd() {
	var members []*member
	for i := range maxBatch + 1 {
		members = append(members, &member{write: insertion(i)})
	}
	slow := members[10]
	change := slow.write.Change
	slow.write.Change = func(conn *sql.Conn) error {
		s.clock += 2 * batchTime
		return change(conn)
	}
	s.inOneBatch(members...)
	s.Require().Len(s.values(), maxBatch+1)
	s.Require().Equal([]int{0, 11}, s.committed[:2], "after its time")
	s.Require().LessOrEqual(s.committed[2], 11+maxBatch)
}

func (s *queueSuite) TestARefusalIsNobodyElses() {
	own := errors.New("own")
	refused := &member{write: Write{
		Check:  func(*sql.Conn) error { return own },
		Change: func(*sql.Conn) error { s.Fail("it was refused"); return nil },
	}}
	first, last := &member{write: insertion(1)}, &member{write: insertion(2)}
	s.inOneBatch(first, refused, last)
	s.Require().NoError(first.err)
	s.Require().Same(own, refused.err)
	s.Require().NoError(last.err)
	s.Require().Equal([]int{0, 2}, s.committed)
	s.committed = nil
	again := &member{write: refused.write}
	s.inOneBatch(refused, again)
	s.Require().Same(own, refused.err)
	s.Require().Same(own, again.err)
	s.Require().Equal([]int{2}, s.committed, "the one that held them up; nothing else was written")
	s.holds(2)
}

func (s *queueSuite) TestAStatementThatFailsUndoesItselfAlone() {
	s.exec("CREATE UNIQUE INDEX u ON t (a)")
	// FAIL keeps what the statement did before it failed, unless somebody undoes it.
	s.exec("CREATE TRIGGER half AFTER INSERT ON t WHEN NEW.a = 50 BEGIN SELECT RAISE(FAIL, 'half'); END")
	s.exec("CREATE TRIGGER whole AFTER INSERT ON t WHEN NEW.a = 60 BEGIN SELECT RAISE(ROLLBACK, 'whole'); END")
	var members []*member
	for _, value := range []int{1, 2, 1, 3, 50, 4, 60, 5} {
		members = append(members, &member{write: insertion(value)})
	}
	s.inOneBatch(members...)
	for i, m := range members {
		switch i {
		case 2, 4, 6:
			s.Require().True(sqlite.IsStatementError(m.err), "%v", m.err)
		default:
			s.Require().NoError(m.err)
		}
	}
	s.Require().Equal([]int{1, 2, 3, 4, 5}, s.values())
}

func (s *queueSuite) TestAWriteThatEndsTheTransactionOfOthersEndsNobodysWrite() {
	ends := &member{write: Write{Change: func(conn *sql.Conn) error {
		s.Require().NoError(insert(conn))
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		return err
	}}}
	first, last := &member{write: insertion(1)}, &member{write: insertion(2)}
	s.inOneBatch(first, ends, last)
	s.Require().NoError(first.err)
	s.Require().ErrorIs(ends.err, sqlite.ErrGone)
	s.Require().NoError(last.err)
	s.Require().Equal([]int{1, 2}, s.values())
}

func (s *queueSuite) TestACommitThatIsRefusedIsOneWritesFault() {
	s.exec("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	s.exec("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
	orphan := &member{write: Write{Change: func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.Background(), "INSERT INTO child VALUES (1)")
		return err
	}}}
	first, last := &member{write: insertion(1)}, &member{write: insertion(2)}
	s.inOneBatch(first, orphan, last)
	s.Require().NoError(first.err)
	s.Require().True(sqlite.IsReferenced(orphan.err), "%v", orphan.err)
	s.Require().NoError(last.err)
	s.Require().Equal([]int{1, 2}, s.values())
}

// That the commit is unknown is told to all that took part in it, and not to who was refused before.
func (s *queueSuite) TestARefusalStaysOneWhateverTheOthersMeet() {
	own := errors.New("own")
	refused := &member{write: Write{
		Check:  func(*sql.Conn) error { return own },
		Change: func(*sql.Conn) error { s.Fail("it was refused"); return nil },
	}}
	first := &member{write: insertion(1)}
	meets := &member{write: Write{Change: func(*sql.Conn) error { return sqlite.ErrCommitUnknown }}}
	s.inOneBatch(first, refused, meets)
	s.Require().ErrorIs(first.err, sqlite.ErrCommitUnknown)
	s.Require().Same(own, refused.err)
	s.Require().ErrorIs(meets.err, sqlite.ErrCommitUnknown)
	s.holds(0)
}

// A lock that the shared commit meets is met again by those that run alone, or is gone by then.
func (s *queueSuite) TestALockIsToldToWhoMeetsItAlone() {
	own, busy := errors.New("own"), sqlite3.Error{Code: sqlite3.ErrBusy}
	refused := &member{write: Write{
		Check:  func(*sql.Conn) error { return own },
		Change: func(*sql.Conn) error { s.Fail("it was refused"); return nil },
	}}
	first, meets := &member{write: insertion(1)}, &member{write: Write{Change: func(*sql.Conn) error { return busy }}}
	s.inOneBatch(first, refused, meets)
	s.Require().NoError(first.err)
	s.Require().Same(own, refused.err)
	s.Require().ErrorIs(meets.err, busy)
	s.Require().Equal([]int{1}, s.values())
}

// A refusal was judged by what others of the batch had written. Where that is undone it is judged again.
func (s *queueSuite) TestARefusalIsNotAboutWhatWasUndone() {
	s.exec("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	s.exec("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
	undone := &member{write: Write{Change: func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.Background(), "INSERT INTO child VALUES (1)")
		return err
	}}}
	onlyFirst := &member{write: Write{
		Check: func(conn *sql.Conn) error {
			var children int
			err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM child").Scan(&children)
			if err == nil && children > 0 {
				err = errors.New("there is one")
			}
			return err
		},
		Change: insertion(1).Change,
	}}
	s.inOneBatch(undone, onlyFirst)
	s.Require().Error(undone.err)
	s.Require().NoError(onlyFirst.err)
	s.Require().Equal([]int{1}, s.values())
}

// A disk that fails under a Check ends the transaction: that is no refusal, and the reason is passed on.
func (s *queueSuite) TestACheckThatEndsTheTransactionIsNoRefusal() {
	own := errors.New("own")
	fails := &member{write: Write{
		Check: func(conn *sql.Conn) error {
			_, err := conn.ExecContext(context.Background(), "ROLLBACK")
			s.Require().NoError(err)
			return own
		},
		Change: func(*sql.Conn) error { s.Fail("its check failed"); return nil },
	}}
	s.Require().Same(own, s.queue.Do(s.T().Context(), fails.write))
	first, last := &member{write: insertion(1)}, &member{write: insertion(2)}
	s.inOneBatch(first, fails, last)
	s.Require().NoError(first.err)
	s.Require().Same(own, fails.err)
	s.Require().NoError(last.err)
	s.Require().Equal([]int{1, 2}, s.values())
}

// Those that run again alone do not wait one after another for a lock that somebody else took in between.
func (s *queueSuite) TestALockThatIsTakenBeforeTheyRunAgainMeetsAllAtOnce() {
	writer, err := sqlite.OpenWriter(s.T().Context(), s.settings, s.queue.wait)
	s.Require().NoError(err)
	defer func() { s.Require().NoError(writer.Close()) }()
	other, err := writer.Conn(s.T().Context())
	s.Require().NoError(err)
	defer other.Close()
	own := errors.New("own")
	ends := &member{write: Write{Change: func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			return err
		}
		_, err := other.ExecContext(context.Background(), "BEGIN IMMEDIATE")
		s.Require().NoError(err)
		return own
	}}}
	var members []*member
	for i := range 30 {
		members = append(members, &member{write: insertion(i)})
	}
	members = append(members, ends)
	const limit = 3 * time.Second // in which all of them are in the line
	began := time.Now()
	s.inOneBatchWithin(limit, members...)
	s.Require().Less(time.Since(began), limit*time.Duration(len(members))/2)
	for _, m := range members {
		s.Require().True(sqlite.IsBusy(m.err), "%v", m.err)
	}
	_, err = other.ExecContext(context.Background(), "ROLLBACK")
	s.Require().NoError(err)
	s.Require().Empty(s.values())
}

func (s *queueSuite) TestAPanicIsWhoseWriteItWas() {
	panics := &member{write: Write{Change: func(conn *sql.Conn) error {
		s.Require().NoError(insert(conn))
		panic("cause")
	}}}
	first, last := &member{write: insertion(1)}, &member{write: insertion(2)}
	s.inOneBatch(first, panics, last)
	s.Require().NoError(first.err)
	s.Require().Nil(first.panic)
	s.Require().Equal("cause", panics.panic)
	s.Require().NoError(last.err)
	s.Require().Equal([]int{1, 2}, s.values())
}

func (s *queueSuite) TestAContextThatEndsBeforeTheClaimWithdrawsTheWriteAndLaterItIsTooLate() {
	withdrawn, cancelWithdrawn := context.WithCancel(s.T().Context())
	late, cancelLate := context.WithCancel(s.T().Context())
	first := &member{write: Write{Change: func(conn *sql.Conn) error {
		cancelWithdrawn() // which waits for its claim
		cancelLate()      // that of this very write
		return insertion(1).Change(conn)
	}}, ctx: late}
	second := &member{write: insertion(2), ctx: withdrawn}
	third := &member{write: insertion(3)}
	s.inOneBatch(first, second, third)
	s.Require().NoError(first.err)
	s.Require().ErrorIs(second.err, context.Canceled)
	s.Require().NoError(third.err)
	s.Require().Equal([]int{1, 3}, s.values())
}

func (s *queueSuite) TestAGoroutineThatEndsLeavesNobodyWithoutAnAnswer() {
	ends := &member{write: Write{Change: func(*sql.Conn) error { runtime.Goexit(); return nil }}}
	last := &member{write: insertion(2)}
	first := &member{write: insertion(1)} // it leads
	s.queue.wait.Limit = patience
	s.inOneBatch(first, ends, last)
	s.Require().ErrorIs(ends.err, errAbandoned)
	s.Require().NoError(last.err)
	s.Require().NotContains(s.values(), 1)
}
