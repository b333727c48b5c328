package registry

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/oxide-k/stateregistry/db"
)

// The size of a page of entries that are to be re-encrypted: its memory, and how long its writing holds others up, some
// 40 ms. Smaller ones wait more for their turn among other writers than they work.
const (
	stalePageEntries = 4096
	stalePageBytes   = 4 << 20
	staleShortValue  = 1 << 10 // a longer value is read by itself
)

// noMarker is what no value is marked with: it is longer than a marker.
const noMarker = "no value has this"

// staleEntry is a config entry whose value is not under the marker that it should be under.
type staleEntry struct {
	key, text string
}

// staleWalk visits the entries that are not under a marker, page by page, in the order of their keys. Entries that were
// put under it since are not visited.
type staleWalk struct {
	marker string
	first  string // the next page begins here
	ended  bool
}

// next is the next page, empty at the end. On an error the walk stays where it was.
func (w *staleWalk) next(ctx context.Context, q db.DBTX) ([]staleEntry, error) {
	for !w.ended {
		rows, err := queries.ListStaleConfig(ctx, q, db.ListStaleConfigParams{
			MaxValue: staleShortValue, First: w.first, Marker: w.marker, PageSize: stalePageEntries,
		})
		if err != nil {
			return nil, err
		}
		first, ended := w.first, len(rows) < stalePageEntries
		var page []staleEntry
		bytes := int64(0)
		for i, row := range rows {
			if bytes += row.Size; bytes > stalePageBytes && i > 0 {
				ended = false
				break
			}
			first = keyAfter(row.Key)
			text := row.ShortValue
			if row.Size > staleShortValue {
				if text, err = queries.GetConfigValue(ctx, q, row.Key); errors.Is(err, sql.ErrNoRows) {
					continue // deleted meanwhile
				} else if err != nil {
					return nil, err
				}
				if strings.HasPrefix(text, w.marker) { // rewritten meanwhile: another form of it would be a change of it
					continue
				}
			}
			page = append(page, staleEntry{key: row.Key, text: text})
		}
		w.first, w.ended = first, ended
		if len(page) > 0 {
			return page, nil
		}
	}
	return nil, nil
}

// progress tells the caller's function how far a re-encryption is.
type progress struct {
	tell        func(done, total int64)
	done, total int64
}

// newProgress counts the entries, unless nobody wants to know.
func newProgress(q db.DBTX, o *options) (*progress, error) {
	p := &progress{tell: o.progress}
	if p.tell == nil {
		return p, nil
	}
	var err error
	p.total, err = queries.CountConfig(background, q)
	return p, err
}

// add tells of entries more that are done. There may be more than were counted: others write meanwhile.
func (p *progress) add(entries int) {
	if p.tell != nil && entries > 0 {
		p.done += int64(entries)
		p.total = max(p.total, p.done)
		p.tell(p.done, p.total)
	}
}

// end tells that everything is done: some entries may have been done by others.
func (p *progress) end() {
	if p.tell != nil && p.done < p.total {
		p.done = p.total
		p.tell(p.done, p.total)
	}
}
