package registry

import (
	"context"
	"database/sql"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// reencrypt puts every value that can be opened under the primary key. Where another process rotates too, it goes on with
// that one's key. It returns the keyring that it ended with.
func (r *rotation) reencrypt(ctx context.Context, ring *keyring) (*keyring, error) {
	for {
		err := r.pass(ctx, ring)
		if !sqlite.IsRefusedByTrigger(err) {
			return ring, err
		}
		newest, why := r.newest(ctx)
		if why != nil {
			return nil, why
		}
		if newest == ring {
			return nil, err
		}
		ring = newest
	}
}

// page is a page of entries that is ready to be written.
type page struct {
	entries int
	swaps   []db.ReencryptConfigParams // of those that can be opened
}

// pass walks through all values once. While one page is written the next is read, opened and encrypted, outside of any
// transaction.
func (r *rotation) pass(ctx context.Context, ring *keyring) error {
	ctx, cancel := context.WithCancel(ctx)
	pages, ended := make(chan page), make(chan error, 1)
	go func() {
		defer close(pages)
		ended <- r.prepare(ctx, ring, pages)
	}()
	defer func() {
		cancel()
		for range pages { // until the goroutine has ended
		}
	}()
	for p := range pages {
		if r.calls.closing() {
			return ErrClosed
		}
		if err := r.swap(ctx, p.swaps); err != nil {
			return err
		}
		r.progress.add(p.entries)
		sqlite.GiveWay(ctx)
	}
	return <-ended
}

// prepare makes the pages.
func (r *rotation) prepare(ctx context.Context, ring *keyring, pages chan<- page) error {
	walk := staleWalk{marker: ring.marker}
	for {
		var entries []staleEntry
		err := r.readers.Do(ctx, func(conn *sql.Conn) (err error) {
			entries, err = walk.next(ctx, conn)
			return err
		})
		if err != nil || len(entries) == 0 {
			return err
		}
		p := page{entries: len(entries)}
		for _, e := range entries {
			json, err := ring.opened(e.key, e.text)
			if err != nil {
				continue // it keeps its key, and is named at the end
			}
			text, err := ring.sealed(e.key, json)
			if err != nil {
				return err
			}
			p.swaps = append(p.swaps, db.ReencryptConfigParams{Value: text, Key: e.key, OldValue: e.text})
		}
		select {
		case pages <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// swap writes a page in one transaction. An entry that somebody wrote meanwhile is under the primary key already.
func (r *rotation) swap(ctx context.Context, swaps []db.ReencryptConfigParams) error {
	if len(swaps) == 0 {
		return nil
	}
	var swapped int64
	err := r.queue.DoBulk(ctx, func(conn *sql.Conn) error {
		swapped = 0
		direct := sqlite.NewDirect(conn)
		for _, s := range swaps {
			rows, err := queries.ReencryptConfig(background, direct, s)
			if err != nil {
				return err
			}
			swapped += rows
		}
		return nil
	})
	if err == nil {
		r.report.Reencrypted += swapped
	}
	return err
}
