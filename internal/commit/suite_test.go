package commit

import (
	"context"
	"database/sql"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

func TestQueue(t *testing.T) { suite.Run(t, &queueSuite{}) }

type queueSuite struct {
	suite.Suite
	queue     *Queue
	settings  sqlite.Settings
	readers   *sql.DB
	clock     time.Duration // since some moment, by which a batch ends: it stands still
	committed []int         // how many rows there were each time that the queue said so
}

// patience is when a call that should have returned is taken for one that hangs.
const patience = 2 * time.Minute

func (s *queueSuite) SetupTest() {
	s.committed = nil
	location, err := sqlite.Locate(filepath.Join(s.T().TempDir(), "a.db"))
	s.Require().NoError(err)
	s.settings = sqlite.Settings{Location: location}
	wait := sqlite.Wait{Limit: 50 * time.Millisecond}
	writer, err := sqlite.OpenWriter(s.T().Context(), s.settings, wait)
	s.Require().NoError(err)
	err = sqlite.UseWAL(s.T().Context(), writer, location, wait)
	s.Require().NoError(err)
	_, err = writer.ExecContext(s.T().Context(), "CREATE TABLE t (a)")
	s.Require().NoError(err)
	s.queue = NewQueue(writer, wait, func() { s.committed = append(s.committed, s.count()) })
	s.clock = 0
	s.queue.now = func() time.Time { return time.Time{}.Add(s.clock) }
	s.readers = sqlite.OpenReaders(s.settings, wait).Pool()
}

func (s *queueSuite) TearDownTest() {
	s.Require().NoError(s.readers.Close())
	if s.queue != nil {
		s.Require().NoError(s.queue.Close(nil))
	}
}

func insert(conn *sql.Conn) error {
	_, err := conn.ExecContext(context.Background(), "INSERT INTO t VALUES (1)")
	return err
}

var inserting = Write{Change: insert}

func (s *queueSuite) count() (rows int) {
	s.Require().NoError(s.readers.QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&rows))
	return rows
}

// holds requires that n rows were committed, and that the queue takes another write.
func (s *queueSuite) holds(n int) {
	s.Require().Equal(n, s.count())
	s.Require().NoError(s.queue.Do(s.T().Context(), inserting))
	s.Require().Equal(n+1, s.count())
}

func (s *queueSuite) wait(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(patience):
		s.Require().FailNow("it hangs")
	}
}

// hold takes the turn until release is called.
func (s *queueSuite) hold() (release func()) {
	taken, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
			close(taken)
			<-leave
			return tx.Commit(context.Background())
		}))
	}()
	s.wait(taken)
	return func() {
		close(leave)
		s.wait(done)
	}
}

// member is a write of a batch, and what became of it.
type member struct {
	write Write
	ctx   context.Context // the test's, if nil
	err   error
	panic any
}

// insertion inserts a value.
func insertion(value int) Write {
	return Write{Change: func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.Background(), "INSERT INTO t VALUES (?)", value)
		return err
	}}
}

// inOneBatch lets the members wait, in their order, until one transaction can take them all, and waits for their answers.
func (s *queueSuite) inOneBatch(members ...*member) { s.inOneBatchWithin(patience, members...) }

// inOneBatchWithin is inOneBatch where nobody waits longer than limit for the turn, or for a lock.
func (s *queueSuite) inOneBatchWithin(limit time.Duration, members ...*member) {
	s.queue.wait.Limit = limit
	release := s.hold()
	var group sync.WaitGroup
	for i, m := range members {
		if m.ctx == nil {
			m.ctx = s.T().Context()
		}
		group.Go(func() {
			defer func() { m.panic = recover() }()
			m.err = s.queue.Do(m.ctx, m.write)
		})
		s.waiting(i + 1)
	}
	release()
	group.Wait()
}

// waiting returns once n requests are in the line.
func (s *queueSuite) waiting(n int) {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		s.queue.mu.Lock()
		length := len(s.queue.line)
		s.queue.mu.Unlock()
		if length == n {
			return
		}
		s.Require().Less(time.Now(), deadline, "%d wait instead of %d", length, n)
	}
}

// values are what was inserted, in order.
func (s *queueSuite) values() (values []int) {
	rows, err := s.readers.QueryContext(s.T().Context(), "SELECT a FROM t ORDER BY a")
	s.Require().NoError(err)
	defer rows.Close()
	for rows.Next() {
		var value int
		s.Require().NoError(rows.Scan(&value))
		values = append(values, value)
	}
	s.Require().NoError(rows.Err())
	return values
}

func (s *queueSuite) exec(statement string) {
	s.Require().NoError(s.queue.Do(s.T().Context(), Write{Change: func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.Background(), statement)
		return err
	}}))
	s.committed = nil
}
