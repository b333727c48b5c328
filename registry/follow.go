package registry

import (
	"context"
	"errors"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/feed"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// watchInterval is how often others' commits are asked for while anybody watches. Watchers are promised them within 100 ms.
const watchInterval = 25 * time.Millisecond

// followedLog is the change log as the feed follows it, while anybody watches.
type followedLog struct {
	*sqlite.Observer
	ctx  context.Context // ends when nobody watches any more
	wait sqlite.Wait
}

// followLog opens the log for the feed.
func (r *Registry) followLog(ctx context.Context) (feed.Log, error) {
	observer, err := r.readers.Observe(ctx)
	if err != nil {
		return nil, err
	}
	return &followedLog{Observer: observer, ctx: ctx, wait: sqlite.Wait{Limit: watchInterval}}, nil
}

// Bounds implements feed.Log.
func (l *followedLog) Bounds() (oldest, newest int64, err error) {
	err = l.wait.Retry(l.ctx, func() error {
		if newest, err = queries.GetRevision(background, l.Conn()); err != nil {
			return err
		}
		oldest, err = queries.GetOldestRevision(background, l.Conn())
		return err
	})
	return oldest, newest, err
}

// Changes implements feed.Log.
func (l *followedLog) Changes(after int64, limit int) (rows []db.Change, err error) {
	err = l.wait.Retry(l.ctx, func() error {
		rows, err = queries.ListChanges(background, l.Conn(), db.ListChangesParams{After: after, MaxRows: int64(limit)})
		return err
	})
	return rows, err
}

// untilFree runs try again and again while the locks of others, or those who hold all connections, are in its way: whoever
// watches has all the time there is.
func untilFree(ctx context.Context, try func() error) error {
	for {
		err := classify(try())
		if !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-time.After(watchInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
