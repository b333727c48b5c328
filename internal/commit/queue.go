package commit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// ErrClosed is what a closed queue answers.
var ErrClosed = errors.New("the queue is closed")

// ErrTimeout is what Do and Exclusive return where no turn came within the wait's limit.
var ErrTimeout = errors.New("other writes of this process took too long")

// Queue lets writes through one after another. It is safe for concurrent use.
type Queue struct {
	writer    *sql.DB
	wait      sqlite.Wait
	committed func()
	turn      chan struct{} // holds a token while nobody writes
	closed    chan struct{}
}

// NewQueue is a queue in front of writer, which it owns from now on. A write waits for its turn, and then for the locks
// of other processes, wait at most for each. committed is called after each transaction that was, or may have been,
// committed, before the write that made it returns.
func NewQueue(writer *sql.DB, wait sqlite.Wait, committed func()) *Queue {
	q := &Queue{
		writer: writer, wait: wait, committed: committed, turn: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	q.turn <- struct{}{}
	return q
}

// Do runs one write in a transaction. Until the transaction has begun, a context that ends withdraws the write; then
// write is claimed: it runs to its end whatever its context says, since SQLite would roll back everything that shares
// the transaction with a statement it interrupts. On an error nothing was written, except for sqlite.ErrCommitUnknown.
func (q *Queue) Do(ctx context.Context, write func(*sql.Conn) error) error {
	return q.transact(ctx, q.wait, single(ctx, write))
}

// DoBulk is Do for one of many large writes in a row: it is eager for the locks of other processes, which otherwise would
// write dozens of times between two of them. The caller gives way in between.
func (q *Queue) DoBulk(ctx context.Context, write func(*sql.Conn) error) error {
	wait := q.wait
	wait.Eager = true
	return q.transact(ctx, wait, single(ctx, write))
}

func single(ctx context.Context, write func(*sql.Conn) error) func(*sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		if err := write(tx.Conn()); err != nil {
			return err
		}
		return tx.Commit(context.WithoutCancel(ctx))
	}
}

// Exclusive runs f in a transaction that holds nothing else. f commits, or does not: a transaction that still stands
// when f returns or panics is rolled back.
func (q *Queue) Exclusive(ctx context.Context, f func(*sqlite.Tx) error) error {
	return q.transact(ctx, q.wait, f)
}

// Close waits for the write that is running, refuses all others, and closes the connection. It is called once.
func (q *Queue) Close() error {
	close(q.closed)
	<-q.turn
	return q.writer.Close()
}

func (q *Queue) transact(ctx context.Context, wait sqlite.Wait, f func(*sqlite.Tx) error) error {
	if err := q.take(ctx); err != nil {
		return err
	}
	defer func() { q.turn <- struct{}{} }()
	tx, err := sqlite.BeginWrite(ctx, q.writer, wait)
	if err != nil {
		return err
	}
	defer tx.Release()
	defer tx.Rollback() // of what f left open, by an error, a panic or runtime.Goexit
	if err := ctx.Err(); err != nil {
		return err
	}
	err = f(tx)
	if err == nil || errors.Is(err, sqlite.ErrCommitUnknown) {
		q.committed()
	}
	return err
}

// take waits for the turn.
func (q *Queue) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-q.closed:
		return ErrClosed
	default:
	}
	select {
	case <-q.turn:
		return nil
	default:
	}
	timeout := time.NewTimer(q.wait.Limit)
	defer timeout.Stop()
	select {
	case <-q.turn:
		return nil
	case <-q.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("%w: waited %s", ErrTimeout, q.wait.Limit)
	}
}
