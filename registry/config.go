package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/db"
)

// ConfigEntry is a config entry as one read found it. Printing it does not show its value.
type ConfigEntry struct {
	Key       string
	Revision  int64     // of the newest change of this entry
	UpdatedAt time.Time // in UTC; zero where the file holds no readable time, which Verify reports
	Encrypted bool      // whether the value is encrypted in the file

	value *string // JSON; behind a pointer, since fmt prints what a field holds wherever the entry is a field itself
}

// String is the entry without its value, which may be a secret.
func (e ConfigEntry) String() string {
	return fmt.Sprintf("config %q at revision %d", e.Key, e.Revision)
}

// GoString is String: %#v shows no value either.
func (e ConfigEntry) GoString() string { return e.String() }

// Decode decodes the value into dst, as json.Unmarshal does: ErrDecode where it does not fit, after which dst may be half
// filled; ErrInvalid if dst is not a pointer.
func (e ConfigEntry) Decode(dst any) error {
	err := checkDestination(dst)
	if err == nil && e.value == nil {
		err = fmt.Errorf("%w: the entry is none that was read", ErrDecode)
	}
	if err == nil {
		err = decode(*e.value, dst)
	}
	return failed("decode config", e.Key, err)
}

// GetConfig implements [Reader].
func (a access) GetConfig(ctx context.Context, key string, dst any) error {
	return failed("get config", key, a.getConfig(ctx, key, dst))
}

func (a access) getConfig(ctx context.Context, key string, dst any) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := checkDestination(dst); err != nil {
		return err
	}
	var value string
	err := a.read(ctx, func(q db.DBTX) (err error) {
		value, err = queries.GetConfigValue(background, q, key)
		return err
	})
	if err != nil {
		return configNotFound(err)
	}
	return decode(value, dst)
}

// GetConfigEntry implements [Reader].
func (a access) GetConfigEntry(ctx context.Context, key string) (ConfigEntry, error) {
	entry, err := a.getConfigEntry(ctx, key)
	return entry, failed("get config", key, err)
}

func (a access) getConfigEntry(ctx context.Context, key string) (ConfigEntry, error) {
	if err := checkKey(key); err != nil {
		return ConfigEntry{}, err
	}
	var row db.Config
	err := a.read(ctx, func(q db.DBTX) (err error) {
		row, err = queries.GetConfigEntry(background, q, key)
		return err
	})
	if err != nil {
		return ConfigEntry{}, configNotFound(err)
	}
	return newConfigEntry(&row), nil
}

// ListConfig implements [Reader].
func (a access) ListConfig(ctx context.Context, prefix string) ([]ConfigEntry, error) {
	entries, err := a.listConfig(ctx, prefix)
	return entries, failed("list config", prefix, err)
}

func (a access) listConfig(ctx context.Context, prefix string) ([]ConfigEntry, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	var rows []db.Config
	err := a.read(ctx, func(q db.DBTX) (err error) {
		// No UTF-8 holds the byte 0xff: after the prefix it is above all that may follow.
		rows, err = queries.ListConfig(ctx, q, db.ListConfigParams{First: prefix, Before: prefix + "\xff"})
		return err
	})
	if err != nil {
		return nil, ended(ctx, err)
	}
	entries := make([]ConfigEntry, len(rows))
	for i := range rows {
		entries[i] = newConfigEntry(&rows[i])
	}
	return entries, nil
}

// SetConfig implements [Writer].
func (a access) SetConfig(ctx context.Context, key string, value any, opts ...WriteOption) (int64, error) {
	revision, err := a.setConfig(ctx, key, value, opts)
	return revision, failed("set config", key, err)
}

func (a access) setConfig(ctx context.Context, key string, value any, opts []WriteOption) (revision int64, err error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	cond, err := newCondition(opts)
	if err != nil {
		return 0, err
	}
	text, err := encode(value, a.settings().maxValue)
	if err != nil {
		return 0, err
	}
	at, err := a.settings().now()
	if err != nil {
		return 0, err
	}
	err = a.write(ctx, func(q db.DBTX) (err error) {
		if err := cond.checkRow(q, "set config", key, queries.GetConfigRevision); err != nil {
			return err
		}
		revision, err = queries.UpsertConfig(background, q, db.UpsertConfigParams{Key: key, Value: text, UpdatedAt: at})
		return err
	})
	return revisionOf(revision, err)
}

// DeleteConfig implements [Writer].
func (a access) DeleteConfig(ctx context.Context, key string, opts ...WriteOption) (bool, error) {
	deleted, err := a.deleteRow(ctx, "delete config", key, checkKey, opts, queries.GetConfigRevision, queries.DeleteConfig)
	return deleted, failed("delete config", key, err)
}

// newConfigEntry shares the row's value.
func newConfigEntry(row *db.Config) ConfigEntry {
	return ConfigEntry{Key: row.Key, Revision: row.Revision, UpdatedAt: row.UpdatedAt.Time, value: &row.Value}
}

func configNotFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrConfigNotFound
	}
	return err
}
