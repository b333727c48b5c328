package registry

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/oxide-k/stateregistry/db"
)

// The size of a page of a scan: its memory, and how often the database is asked. A longer value is read by itself.
const (
	scanPage       = 128
	scanShortValue = 8 << 10
)

// ScanConfig gives the entries whose key starts with prefix one by one: see [Reader].
func (a *access) ScanConfig(ctx context.Context, prefix string) iter.Seq2[ConfigEntry, error] {
	return func(yield func(ConfigEntry, error) bool) {
		if err := a.scanConfig(ctx, prefix, func(e ConfigEntry) bool { return yield(e, nil) }); err != nil {
			yield(ConfigEntry{}, failed("scan config", prefix, err))
		}
	}
}

// scanConfig calls visit until that says no.
func (a *access) scanConfig(ctx context.Context, prefix string, visit func(ConfigEntry) bool) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	for first := prefix; ; {
		rows, entries, err := a.scanPage(ctx, first, prefix)
		if err != nil {
			return err
		}
		for i, row := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			entry := entries[i]
			if row.Size > scanShortValue {
				if entry, err = a.readEntry(ctx, row.Key); errors.Is(err, ErrConfigNotFound) {
					continue // deleted meanwhile
				} else if err != nil {
					return err
				}
			}
			if !visit(entry) {
				return nil
			}
		}
		if len(rows) < scanPage {
			return nil
		}
		first = keyAfter(rows[len(rows)-1].Key)
	}
}

// scanPage is the page that begins at first. The entries of rows whose value is not in them are not for use.
func (a *access) scanPage(ctx context.Context, first, prefix string) (rows []db.ScanConfigRow, entries []ConfigEntry, err error) {
	err = a.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (lacks bool, err error) {
		err = a.read(ctx, func(q *sql.Conn) (err error) {
			rows, err = queries.ScanConfig(background, q, db.ScanConfigParams{
				MaxValue: scanShortValue, First: first, Before: endOf(prefix), PageSize: scanPage,
			})
			return err
		})
		if err != nil {
			return false, err
		}
		entries = make([]ConfigEntry, len(rows))
		for i, row := range rows {
			entries[i] = newConfigEntry(&db.Config{
				Key: row.Key, Value: row.ShortValue, UpdatedAt: row.UpdatedAt, Revision: row.Revision,
			}, ring)
			lacks = lacks || row.Size <= scanShortValue && ring.lacks(row.ShortValue)
		}
		return lacks, nil
	})
	return rows, entries, aboutValues(err, entries...)
}
