package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/feed"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// Registry is an open registry. It is safe for concurrent use. It implements [Writer]; each method is a transaction of
// its own. Open makes one: the zero value is not usable, and a Registry is not copied. Close it when done.
type Registry struct {
	access
	location sqlite.Location
	opts     options
	wait     sqlite.Wait
	readers  *sqlite.Readers
	queue    *commit.Queue // nil where the registry was opened read-only
	wal      *sqlite.WALLimit
	numbers  numbers
	feed     *feed.Feed
	reads    *readCache // nil without WithReadCache
	keys     secrets
	errands  *errands
	id       string
	rekeying chan struct{} // holds a token while the keyset is rotated, rewrapped or rekeyed
	calls    gate
	closing  sync.Once
	closed   error // what closing did
}

// Close waits for the calls that are running, refuses all later ones (ErrClosed), and closes the database. What watches
// ends with ErrClosed; Close does not wait for the bodies of its loops, and may be called from one. Called again it waits
// for the first and returns what that did. It must not be called from a callback of the registry, which it would wait for.
//
// Of calls that wait for a KMS (keyset.AEAD) it waits for [WithLockTimeout] at most. Then they return ErrClosed, and Close closes
// the database and returns ErrBusy: a call of the AEAD's may be left, unless it ends with its context.
//
// Once every registry that may write the file is closed, FILE alone is all of it: Close moves what is in FILE-wal into FILE. If
// readers of other handles hold that off for 100 ms, or for WithLockTimeout if that is less, Close succeeds all the same and
// logs a warning: keep FILE-wal with FILE then. An error says that the disk failed meanwhile; no commit is lost by that
// either, but FILE-wal holds some. A registry that was opened read-only writes nothing.
func (r *Registry) Close() error {
	r.closing.Do(func() {
		r.feed.Close()
		limit := time.AfterFunc(r.opts.lockTimeout, r.errands.giveUp)
		r.calls.close()
		left := r.errands.settle()
		limit.Stop()
		// The writer goes last: only it can move the WAL into the file and remove it.
		err := errors.Join(r.reads.close(), r.readers.Close())
		if r.queue != nil {
			err = errors.Join(err, r.queue.Close(r.settle))
		}
		r.closed = failed("close", r.location.String(), errors.Join(err, left))
	})
	return r.closed
}

// ID returns the registry's id: 16 random bytes in lowercase hex. All copies of a file share it, and it stays for the registry's life.
// See [WithRegistryID].
func (r *Registry) ID() string { return r.id }

// settle moves what is in the WAL into the file.
func (r *Registry) settle(writer *sql.DB) error {
	settled, err := sqlite.Settle(background, writer, r.location, r.wait)
	if err != nil {
		return fmt.Errorf("commits stay in FILE-wal, keep it with the file: %w", err)
	}
	if !settled {
		r.opts.logger.Warn("registry: closed with commits in FILE-wal, since readers hold it: do not copy the file without it",
			"path", r.location.String())
	}
	return nil
}

// enter begins a call; leave must end it unless there was an error.
func (r *Registry) enter(ctx context.Context) error {
	if err := r.calls.enter(); err != nil {
		return err
	}
	if err := r.admit(ctx); err != nil {
		r.calls.leave()
		return err
	}
	return nil
}

func (r *Registry) leave() { r.calls.leave() }

// admit is what else a call's context must fulfil.
func (r *Registry) admit(ctx context.Context) error {
	if tx, ok := ctx.Value(txKey{r}).(*Tx); ok && !tx.done.Load() {
		return ErrNested
	}
	return ctx.Err()
}

// settings implements scope.
func (r *Registry) settings() *options { return &r.opts }

// secrets implements scope.
func (r *Registry) secrets() *secrets { return &r.keys }

// ring implements scope.
func (r *Registry) ring() *keyring { return r.keys.current.Load() }

// use implements scope: an open registry goes to newer generations only.
func (r *Registry) use(k *keyring) bool { return r.keys.advance(k) }

// refusal implements scope.
func (r *Registry) refusal() error { return nil }

// read implements scope.
func (r *Registry) read(ctx context.Context, f func(*sql.Conn) error) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	return r.readers.Do(ctx, f)
}

// write implements scope.
func (r *Registry) write(ctx context.Context, check, change func(*sql.Conn) error) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	if r.queue == nil {
		return ErrReadOnly
	}
	err := r.queue.Do(ctx, commit.Write{Check: check, Change: func(q *sql.Conn) error {
		return r.numbers.run(q, change)
	}})
	if err != nil {
		r.reads.committed() // a refusal may be about what others committed
	}
	return err
}

// isSnapshot implements scope.
func (r *Registry) isSnapshot() bool { return false }

// cache implements scope.
func (r *Registry) cache() *readCache { return r.reads }

// update implements scope.
func (r *Registry) update(ctx context.Context, f func(context.Context, *Tx) error) error {
	return r.Update(ctx, f)
}

// gate counts the calls that are running, and closes once they have ended.
type gate struct {
	state atomic.Int64 // the number of running calls, plus gateClosed once close was called
	empty chan struct{}
}

const gateClosed = int64(1) << 62

func (g *gate) enter() error {
	if g.state.Add(1) >= gateClosed {
		g.leave()
		return ErrClosed
	}
	return nil
}

// closing reports whether close was called.
func (g *gate) closing() bool { return g.state.Load() >= gateClosed }

func (g *gate) leave() {
	if g.state.Add(-1) == gateClosed {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// close lets no further call in, and returns once none is running. It is called once.
func (g *gate) close() {
	if g.state.Add(gateClosed) > gateClosed {
		<-g.empty
	}
}
