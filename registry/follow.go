package registry

import (
	"context"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/feed"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

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
	return &followedLog{Observer: observer, ctx: ctx, wait: sqlite.Wait{Limit: feed.Interval}}, nil
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
