package registry

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/readcache"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// cacheMaxAge is how old the newest look for others' commits may be where a value comes from the cache.
const cacheMaxAge = 10 * time.Millisecond

// maxForgotten is how many changes a look takes in one by one. Where there are more it forgets everything.
const maxForgotten = 1000

// readCache is a Registry's cache of config entries, if WithReadCache asked for one. Package readcache says why what it gives
// is right; this is what finds out that something was committed, and what changed.
type readCache struct {
	registry *Registry
	entries  *readcache.Cache
	flat     sync.Map     // reflect.Type to bool
	revision atomic.Int64 // all changes up to this one are taken out

	mu       sync.Mutex       // held while somebody looks
	observer *sqlite.Observer // nil until it is needed
	moved    bool             // the observer noticed commits that no look took in yet
	newest   db.Change        // the change of that revision, if it was in the log
}

// newReadCache is nil where the options ask for none.
func newReadCache(r *Registry) *readCache {
	if r.opts.readCache == 0 {
		return nil
	}
	base := time.Now()
	c := &readCache{registry: r}
	c.entries = readcache.New(r.opts.readCache, cacheMaxAge, func() time.Duration { return time.Since(base) })
	c.revision.Store(-1)
	return c
}

// entry is what the cache may give for a key now; nil where the database has the word. An error is about the call.
func (c *readCache) entry(ctx context.Context, key string) (*readcache.Entry, error) {
	if c.registry.calls.closing() {
		return nil, ErrClosed
	}
	if err := c.registry.admit(ctx); err != nil {
		return nil, err
	}
	if e, fresh := c.entries.Get(key); fresh {
		return e, nil
	}
	// Only a look needs the database, and so is a call that Close waits for.
	if err := c.registry.calls.enter(); err != nil {
		return nil, err
	}
	defer c.registry.leave()
	c.look()
	e, _ := c.entries.Get(key)
	return e, nil
}

// committed says that this registry committed something, or was told what others had. What is read from now on sees it.
func (c *readCache) committed() {
	if c != nil {
		c.entries.Doubt()
	}
}

// purge forgets what was read under keys that count no more.
func (c *readCache) purge() {
	if c != nil {
		c.entries.Purge()
	}
}

// learn says that somebody was told of a revision: what the cache gives from now on is no older.
func (c *readCache) learn(revision int64) {
	if c != nil && revision > c.revision.Load() {
		c.entries.Doubt()
	}
}

// close is called when nobody reads any more.
func (c *readCache) close() error {
	if c == nil {
		return nil
	}
	c.entries.Close()
	return c.hangUp()
}

func (c *readCache) hangUp() error {
	observer := c.observer
	if c.observer = nil; observer == nil {
		return nil
	}
	return observer.Close()
}

// look looks for commits, if that is due. Where it fails, as in memory while somebody writes, the cache gives nothing out.
func (c *readCache) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	look, due := c.entries.Look()
	if !due { // the one that was waited for is enough
		return
	}
	if sqlite.IsConnectionGone(c.take(look)) {
		_ = c.hangUp()
	}
}

// take takes in what was committed since the last look. Its statements are no transaction, in which the observer would notice
// nothing. What is committed in between, and after the first of them, the next look notices; that some of it is taken in
// already does no harm.
func (c *readCache) take(look readcache.Look) error {
	if c.observer == nil {
		observer, err := c.registry.readers.Observe(background)
		if err != nil {
			return err
		}
		c.observer = observer // one that is new says that it noticed something
	}
	moved, err := c.observer.Moved()
	if err != nil {
		return err
	}
	if c.moved = c.moved || moved; !c.moved {
		c.entries.Same(look)
		return nil
	}
	keys, newest, all, err := c.changed(c.observer.Conn())
	if err != nil {
		return err
	}
	keyset, err := readKeyset(c.observer.Conn())
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	// Re-encryption is no change in the log. A value that was readable may be under a key by now that this registry's KEK does
	// not give it, be it revoked: under the primary key, or in plaintext where there is none any more. As long as the keyring
	// lacks that key, each commit may be one that takes such a value away.
	if all || c.registry.ring().lacks(keyset.Marker) {
		c.entries.ForgetAll(look)
	} else {
		c.entries.Forget(look, keys)
	}
	c.moved, c.newest = false, newest
	c.revision.Store(newest.Revision)
	return nil
}

// changed is which config keys changed since the last look, or all where the log does not say, and the change up to which
// it looked.
func (c *readCache) changed(q db.DBTX) (keys []string, newest db.Change, all bool, err error) {
	known := c.newest
	if c.revision.Load() < 0 {
		newest, err = newestChange(q)
		return nil, newest, true, err
	}
	// It begins with the change that is known: where that is another one now, another file was restored into this one.
	rows, err := queries.ListChanges(background, q, db.ListChangesParams{After: known.Revision - 1, MaxRows: maxForgotten + 2})
	if err != nil {
		return nil, db.Change{}, false, err
	}
	if known.Revision == 0 {
		rows = append([]db.Change{known}, rows...)
	}
	if len(rows) == 0 || rows[0] != known || len(rows) > maxForgotten+1 {
		newest, err = newestChange(q)
		return nil, newest, true, err
	}
	for i, row := range rows[1:] {
		if row.Revision != known.Revision+1+int64(i) { // damaged
			return nil, rows[len(rows)-1], true, nil
		}
		if row.Subject == SubjectConfig {
			keys = append(keys, row.Key)
		}
	}
	return keys, rows[len(rows)-1], false, nil
}

// newestChange is the newest change; one that is compacted meanwhile has its revision only.
func newestChange(q db.DBTX) (db.Change, error) {
	revision, err := queries.GetRevision(background, q)
	if err != nil || revision == 0 {
		return db.Change{}, err
	}
	rows, err := queries.ListChanges(background, q, db.ListChangesParams{After: revision - 1, MaxRows: 1})
	if err != nil || len(rows) == 0 || rows[0].Revision != revision {
		return db.Change{Revision: revision}, err
	}
	return rows[0], nil
}
