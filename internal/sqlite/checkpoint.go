package sqlite

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"
)

// maxSettle is how long Settle waits for readers, at most.
const maxSettle = 100 * time.Millisecond

// Settle moves all commits from FILE-wal into FILE, so that FILE alone is the whole database once the writer is closed, also
// if connections that only read stay open. It reports false if readers, or another process that writes, held it off for
// 100 ms, or for as long as w allows if that is less. The commits are then safe in FILE-wal.
func Settle(ctx context.Context, writer *sql.DB, l Location, w Wait) (settled bool, err error) {
	if size, err := l.WALSize(); err == nil && size == 0 { // (after privileges were dropped it may not be asked)
		return true, nil
	}
	conn, err := lend(ctx, writer, w)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	w.Limit = min(w.Limit, maxSettle)
	err = w.Retry(ctx, func() error {
		done, err := truncateWAL(conn)
		if err == nil && !done.complete {
			return errHeldOff()
		}
		return err
	})
	if IsBusy(err) {
		return false, nil
	}
	return err == nil, err
}

// Truncate moves all commits from FILE-wal into FILE and cuts FILE-wal to nothing. If readers hold that off for as long as w
// says, IsBusy holds.
func Truncate(ctx context.Context, writer *sql.DB, w Wait) error {
	conn, err := lend(ctx, writer, w)
	if err != nil {
		return err
	}
	defer conn.Close()
	return w.Retry(ctx, func() error {
		done, err := truncateWAL(conn)
		if err == nil && !done.truncated {
			return errHeldOff()
		}
		return err
	})
}

// Limits of a WAL that readers keep from being emptied. SQLite begins it anew only at a moment at which no reader needs what is
// in it, and with readers that overlap there is none. While writes are held back for as long as a reader takes, later readers
// need the file only.
const (
	walLimit    = 48 << 20               // bytes, from which on such a moment is waited for
	walPatience = 300 * time.Millisecond // for how long writes are held back, at most
	walAgain    = time.Second            // after which it is tried again, without waiting
	walAsked    = 2 * time.Millisecond   // for how long its size is not asked again: asking costs a tenth of a small write
)

// WALLimit keeps a WAL from growing for as long as readers overlap.
type WALLimit struct {
	location Location
	patience time.Duration
	grown    func(size int64)
	asked    time.Time
	tried    time.Time
	waited   time.Duration // how much of the patience was used since the WAL reached next
	next     int64         // the size from which on it waits again; it doubles each time that was in vain

	heldOff atomic.Int64
}

// NewWALLimit makes the limit of the WAL at l. It calls grown, with the WAL's size, each time it held writes back in vain.
func NewWALLimit(l Location, w Wait, grown func(size int64)) *WALLimit {
	return &WALLimit{location: l, patience: min(w.Limit, walPatience), grown: grown, next: walLimit}
}

// Tend empties the WAL if it is too large. It is called after a commit, while nobody else uses the writer.
func (l *WALLimit) Tend(ctx context.Context, writer *sql.DB) {
	now := time.Now()
	if now.Sub(l.asked) < walAsked {
		return
	}
	l.asked = now
	size, err := l.location.WALSize()
	if err != nil || size < walLimit {
		l.next, l.waited = walLimit, 0
		return
	}
	var w Wait
	if size >= l.next {
		w.Limit = l.patience - l.waited
	} else if time.Since(l.tried) < walAgain {
		return
	}
	err = Truncate(ctx, writer, w)
	l.tried = time.Now()
	if err == nil {
		l.next, l.waited = walLimit, 0
		return
	}
	if size < l.next {
		return
	}
	// Contexts that end soon use up the patience too, each a part of it. An error of the disk is the next commit's, or Close's, to
	// report: trying again would only be slow.
	l.waited += l.tried.Sub(now)
	if l.waited < l.patience && (IsBusy(err) || ctx.Err() != nil) {
		return
	}
	l.next, l.waited = 2*size, 0
	l.heldOff.Add(1)
	l.grown(size)
}

// HeldOff counts how often it held writes back in vain. It is safe for concurrent use.
func (l *WALLimit) HeldOff() int64 { return l.heldOff.Load() }
