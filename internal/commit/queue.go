package commit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// ErrClosed is what a closed queue answers.
var ErrClosed = errors.New("the queue is closed")

// ErrTimeout is what Do, DoBulk and Exclusive return where no turn came within the wait's limit.
var ErrTimeout = errors.New("other writes of this process took too long")

// Write is a single write.
type Write struct {
	// Check, if there is one, reads, and returns an error where the write must not happen. It changes nothing.
	Check func(*sql.Conn) error
	// Change makes the change.
	Change func(*sql.Conn) error
}

// Queue lets writes through. It is safe for concurrent use.
type Queue struct {
	writer    *sql.DB
	wait      sqlite.Wait
	committed func()
	begun     func(*sqlite.Tx) error                    // or nil
	tend      func(ctx context.Context, writer *sql.DB) // or nil
	now       func() time.Time                          // by which a batch ends
	closed    chan struct{}

	mu     sync.Mutex
	busy   bool          // somebody has the turn
	ended  bool          // closed is closed
	line   []*request    // who waits for the turn, in the order of arrival
	rested chan struct{} // closed when the turn comes back after Close
}

// NewQueue is a queue in front of writer, which it owns from now on. A write waits for its turn, and then for the locks of
// other processes, as wait says for all of it: what it does itself once it has both does not count. committed is called after
// each transaction that was, or may have been, committed, before the writes that made it return.
func NewQueue(writer *sql.DB, wait sqlite.Wait, committed func()) *Queue {
	return &Queue{
		writer: writer, wait: wait, committed: committed, now: time.Now, closed: make(chan struct{}), rested: make(chan struct{}),
	}
}

// Tend makes the queue call f after each transaction, once the writes that shared it have their answers, but for the one whose
// goroutine calls f. The next write waits for f, which must soon return, and at once if ctx ends. It is called before the
// first write.
func (q *Queue) Tend(f func(ctx context.Context, writer *sql.DB)) { q.tend = f }

// Begin makes the queue call f at the beginning of each transaction. An error of f ends the transaction, and is that of the writes
// that would have shared it. It is called while nothing is written.
func (q *Queue) Begin(f func(*sqlite.Tx) error) { q.begun = f }

// Alone runs f, which uses the connection as it likes but leaves no transaction open, while no write runs.
func (q *Queue) Alone(ctx context.Context, f func(writer *sql.DB) error) error {
	if err := q.take(&request{ctx: ctx, wait: q.wait.In(ctx).Start()}); err != nil {
		return err
	}
	defer q.pass()
	return f(q.writer)
}

// Do runs a single write, in a transaction that it may share with others that came at the same time. Until it is claimed,
// in a transaction that has begun, a context that ends withdraws the write; then it runs to its end whatever its context
// says, since SQLite would roll back everything that shares the transaction with a statement it interrupts. (What is undone
// because of another one is unclaimed again.)
//
// On an error nothing was written, except for sqlite.ErrCommitUnknown. Check and Change may run several times, on another
// goroutine too: of what they did only the last time counts. An error of Check refuses this write alone. One of Change, or
// of the commit, undoes the others too, and then each runs again in a transaction of its own, so that nobody gets an error
// that is another's.
func (q *Queue) Do(ctx context.Context, write Write) error {
	r := &request{ctx: ctx, write: &write, wait: q.wait.In(ctx).Start()}
	if err := q.take(r); err != nil || r.answered {
		return r.answer(err)
	}
	defer q.pass()
	q.lead(r)
	q.tendTo(ctx)
	return r.answer(nil)
}

// DoBulk runs one of many large writes in a row, in a transaction of its own. It is eager for the locks of other processes,
// which otherwise would write dozens of times between two of them. The caller gives way in between.
func (q *Queue) DoBulk(ctx context.Context, write func(*sql.Conn) error) error {
	wait := q.wait
	wait.Eager = true
	return q.exclusive(ctx, wait, func(tx *sqlite.Tx) error {
		if err := write(tx.Conn()); err != nil {
			return err
		}
		return tx.Commit(context.WithoutCancel(ctx))
	})
}

// Exclusive runs f in a transaction that holds nothing else. f commits, or does not: a transaction that still stands
// when f returns or panics is rolled back.
func (q *Queue) Exclusive(ctx context.Context, f func(*sqlite.Tx) error) error {
	return q.exclusive(ctx, q.wait, f)
}

func (q *Queue) exclusive(ctx context.Context, wait sqlite.Wait, f func(*sqlite.Tx) error) error {
	r := &request{ctx: ctx, wait: wait.In(ctx).Start()}
	if err := q.take(r); err != nil {
		return err
	}
	defer q.pass()
	err := q.transact(ctx, r.wait, f)
	q.tendTo(ctx)
	return err
}

func (q *Queue) tendTo(ctx context.Context) {
	if q.tend != nil {
		q.tend(ctx, q.writer)
	}
}

// Close waits for the writes that are running, refuses all others, calls last, if it is not nil, with the connection, and closes
// that. It is called once.
func (q *Queue) Close(last func(writer *sql.DB) error) error {
	q.mu.Lock()
	q.ended = true
	close(q.closed)
	if !q.busy {
		close(q.rested)
	}
	q.mu.Unlock()
	<-q.rested
	var err error
	if last != nil {
		err = last(q.writer)
	}
	return errors.Join(err, q.writer.Close())
}

// transact is for who has the turn.
func (q *Queue) transact(ctx context.Context, wait sqlite.Wait, f func(*sqlite.Tx) error) error {
	tx, err := sqlite.BeginWrite(ctx, q.writer, wait)
	if err != nil {
		return err
	}
	defer tx.Release()
	defer tx.Rollback() // of what f left open, by an error, a panic or runtime.Goexit
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.begun != nil {
		if err := q.begun(tx); err != nil {
			return err
		}
	}
	err = f(tx)
	if err == nil || errors.Is(err, sqlite.ErrCommitUnknown) {
		q.committed()
	}
	return err
}

// take waits until r has the turn, or its answer.
func (q *Queue) take(r *request) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return ErrClosed
	}
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		return nil
	}
	r.called = make(chan struct{})
	q.line = append(q.line, r)
	q.mu.Unlock()

	timeout := time.NewTimer(r.wait.Left())
	defer timeout.Stop()
	var err error
	select {
	case <-r.called:
		return nil
	case <-q.closed:
		err = ErrClosed
	case <-r.ctx.Done():
		err = r.ctx.Err()
	case <-timeout.C:
		err = fmt.Errorf("%w: waited %s", ErrTimeout, r.wait.Limit)
	}
	if q.withdraw(r) {
		return err
	}
	<-r.called // too late
	if r.answered {
		return nil
	}
	q.pass()
	return err
}

// pass gives the turn to the next in line.
func (q *Queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		q.busy = false
		close(q.rested)
	case len(q.line) == 0:
		q.busy = false
	default:
		next := q.line[0]
		q.line = slices.Delete(q.line, 0, 1)
		next.leads = true
		close(next.called)
	}
}
