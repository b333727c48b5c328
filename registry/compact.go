package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// CompactReport is what Compact did. In memory all is zero.
type CompactReport struct {
	Before, After int64 // bytes of FILE and FILE-wal together
	// WALTruncated says that FILE-wal is empty. If readers hold that off it holds the new pages, and the space is given back
	// later: when the last registry that may write is closed, or by another Compact.
	WALTruncated bool
}

// compactTurn is how long Compact holds writes back at a time while it waits for readers.
const compactTurn = 300 * time.Millisecond

// Compact gives the space of what was deleted back to the file system: it rewrites the file without its free pages, and
// empties FILE-wal. It needs room for two copies of the file meanwhile, one in FILE-wal and one in a temporary file in the
// same folder. Readers go on, of this process and of others; writers wait for their turn.
//
// It returns ErrBusy if other processes that write, or a View that does not end, hold it off for WithLockTimeout, in the
// second case with a report that says how far it came; ErrReadOnly; ErrClosed; ErrCorrupt and ErrNewerSchema as writes do. If ctx ends, or the disk is full, it stops.
// Whatever it returns, nothing is lost. In memory it does nothing.
func (r *Registry) Compact(ctx context.Context) (CompactReport, error) {
	report, err := r.compact(ctx)
	return report, failed("compact", r.location.String(), ended(ctx, err))
}

func (r *Registry) compact(ctx context.Context) (report CompactReport, err error) {
	if err := r.enter(ctx); err != nil {
		return report, err
	}
	defer r.leave()
	if r.queue == nil {
		return report, ErrReadOnly
	}
	if r.location.IsMemory() {
		return report, nil
	}
	before := r.Stats()
	report.Before = before.FileBytes + before.WALBytes
	report.After = report.Before
	wait := r.wait.Start()
	// The rewriting keeps what SQLite takes for tables, so a schema that was tampered with is looked at first.
	err = r.queue.Exclusive(sqlite.WithWait(ctx, wait), func(*sqlite.Tx) error { return nil })
	if err != nil {
		return report, err
	}
	var left sqlite.Wait
	err = r.queue.Alone(sqlite.WithWait(ctx, wait), func(writer *sql.DB) (err error) {
		left, err = sqlite.Vacuum(ctx, writer, r.location, wait)
		return err
	})
	if err != nil {
		return report, err
	}
	err = r.truncate(ctx, left)
	report.WALTruncated = err == nil
	after := r.Stats()
	report.After = after.FileBytes + after.WALBytes
	if err != nil {
		return report, fmt.Errorf("the file is rewritten, but FILE-wal is not empty: %w", err)
	}
	return report, nil
}

// truncate empties the WAL. While readers hold that off, other writes get their turn in between.
func (r *Registry) truncate(ctx context.Context, wait sqlite.Wait) error {
	wait = wait.Start()
	for {
		turn := sqlite.Wait{Limit: min(wait.Left(), compactTurn)}
		err := r.queue.Alone(sqlite.WithWait(ctx, wait), func(writer *sql.DB) error { return sqlite.Truncate(ctx, writer, turn) })
		if !errors.Is(classify(err), ErrBusy) || wait.Left() == 0 {
			return err
		}
		sqlite.GiveWay(ctx)
	}
}
