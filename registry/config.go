package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// ConfigEntry is a config entry as one read found it. An encrypted value is decrypted by Decode only. Printing an entry
// does not show its value.
type ConfigEntry struct {
	Key       string
	Revision  int64     // of the newest change of this entry
	UpdatedAt time.Time // in UTC; zero where the file holds no readable time, which Verify reports
	Encrypted bool      // whether the value is encrypted in the file

	// Behind a pointer to a pointer: fmt prints what a field holds, or points to, where the entry is itself a field.
	value **storedValue
}

// storedValue is a value as the row holds it, and what opens it.
type storedValue struct {
	text    string
	ring    *keyring
	refusal error // why the ring is not the one that it takes, if that is known
}

// String is the entry without its value, which may be a secret.
func (e ConfigEntry) String() string {
	return fmt.Sprintf("config %q at revision %d", e.Key, e.Revision)
}

// GoString is String: %#v shows no value either.
func (e ConfigEntry) GoString() string { return e.String() }

// Decode decodes the value into dst, as json.Unmarshal does: ErrDecode where it does not fit, after which dst may be half
// filled; ErrInvalid if dst is not a pointer; ErrEncrypted, ErrTampered where it cannot be decrypted.
func (e ConfigEntry) Decode(dst any) error {
	return failed("decode config", e.Key, e.decode(dst))
}

func (e ConfigEntry) decode(dst any) error {
	if err := checkDestination(dst); err != nil {
		return err
	}
	if e.value == nil {
		return fmt.Errorf("%w: the entry is none that was read", ErrDecode)
	}
	value := *e.value
	if value.refusal != nil {
		return value.refusal
	}
	json, err := value.ring.opened(e.Key, value.text)
	if err != nil {
		return err
	}
	return decode(json, dst)
}

// GetConfig decodes a value into dst, or gives ErrConfigNotFound: see [Reader].
func (a *access) GetConfig(ctx context.Context, key string, dst any) error {
	return failed("get config", key, a.getConfig(ctx, key, dst))
}

func (a *access) getConfig(ctx context.Context, key string, dst any) error {
	if err := checkStoredKey(key); err != nil {
		return err
	}
	if err := checkDestination(dst); err != nil {
		return err
	}
	if c := a.cache(); c != nil {
		return a.getCached(ctx, c, key, dst)
	}
	json, found, err := a.readConfig(ctx, key)
	if err != nil {
		return err
	}
	if !found {
		return ErrConfigNotFound
	}
	return decode(json, dst)
}

// readConfig is the JSON that the database holds for a key, if there is any.
func (a *access) readConfig(ctx context.Context, key string) (json []byte, found bool, err error) {
	err = a.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (bool, error) {
		var text string
		err := a.read(ctx, func(q *sql.Conn) (err error) {
			direct := sqlite.NewDirect(q)
			_, _ = queries.GetConfigValue(background, direct, key)
			text, err = direct.Text()
			return err
		})
		if found = !errors.Is(err, sql.ErrNoRows); !found {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		json, err = ring.opened(key, text)
		return err != nil && ring.lacks(text), err
	})
	return json, found, err
}

// GetConfigEntry returns an entry with its revision and time, or ErrConfigNotFound: see [Reader].
func (a *access) GetConfigEntry(ctx context.Context, key string) (ConfigEntry, error) {
	entry, err := a.getConfigEntry(ctx, key)
	return entry, failed("get config", key, err)
}

func (a *access) getConfigEntry(ctx context.Context, key string) (ConfigEntry, error) {
	if err := checkStoredKey(key); err != nil {
		return ConfigEntry{}, err
	}
	return a.readEntry(ctx, key)
}

// readEntry returns an entry, whatever its key.
func (a *access) readEntry(ctx context.Context, key string) (ConfigEntry, error) {
	var entry ConfigEntry
	err := a.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (bool, error) {
		err := a.read(ctx, func(q *sql.Conn) error {
			row, err := queries.GetConfigEntry(background, q, key)
			entry = newConfigEntry(&row, ring)
			return err
		})
		return err == nil && ring.lacks((*entry.value).text), configNotFound(err)
	})
	if err := aboutValues(err, entry); err != nil {
		return ConfigEntry{}, err
	}
	return entry, nil
}

// ListConfig returns the entries whose key starts with prefix, by key: see [Reader].
func (a *access) ListConfig(ctx context.Context, prefix string) ([]ConfigEntry, error) {
	entries, err := a.listConfig(ctx, prefix)
	return entries, failed("list config", prefix, err)
}

func (a *access) listConfig(ctx context.Context, prefix string) ([]ConfigEntry, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	var entries []ConfigEntry
	err := a.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (lacks bool, err error) {
		var rows []db.Config
		err = a.read(ctx, func(q *sql.Conn) (err error) {
			rows, err = queries.ListConfig(ctx, q, db.ListConfigParams{First: prefix, Before: endOf(prefix)})
			return err
		})
		if err != nil {
			return false, ended(ctx, err)
		}
		entries = make([]ConfigEntry, len(rows))
		for i := range rows {
			entries[i] = newConfigEntry(&rows[i], ring)
			lacks = lacks || ring.lacks(rows[i].Value)
		}
		return lacks, nil
	})
	if err := aboutValues(err, entries...); err != nil {
		return nil, err
	}
	return entries, nil
}

// endOf is above all keys that start with prefix: no UTF-8 holds the byte 0xff.
func endOf(prefix string) string { return prefix + "\xff" }

// keyAfter is the next key that there can be.
func keyAfter(key string) string { return key + "\x00" }

// SetConfig stores value as JSON, and returns the revision of that: see [Writer].
func (a *access) SetConfig(ctx context.Context, key string, value any, opts ...WriteOption) (int64, error) {
	revision, err := a.setConfig(ctx, key, value, opts)
	return revision, failed("set config", key, err)
}

func (a *access) setConfig(ctx context.Context, key string, value any, opts []WriteOption) (revision int64, err error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	cond, err := newCondition(opts)
	if err != nil {
		return 0, err
	}
	json, err := encode(value, a.settings().maxValue)
	if err != nil {
		return 0, err
	}
	at, err := a.settings().now()
	if err != nil {
		return 0, err
	}
	err = a.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (bool, error) {
		text, err := ring.sealed(key, json)
		if err != nil {
			return false, err
		}
		check := cond.onRow("set config", key, queries.GetConfigRevision)
		err = a.write(ctx, check, func(q *sql.Conn) (err error) {
			if revision, err = a.nextRevision(q); err != nil {
				return err
			}
			row := db.UpsertConfigParams{Key: key, Value: text, UpdatedAt: at, Revision: revision}
			return queries.UpsertConfig(background, sqlite.NewDirect(q), row)
		})
		return sqlite.IsRefusedByTrigger(err), err // a value that is not under the key of now
	})
	return revisionOf(revision, err)
}

// DeleteConfig removes an entry, and reports whether there was one: see [Writer].
func (a *access) DeleteConfig(ctx context.Context, key string, opts ...WriteOption) (bool, error) {
	allowed := func(q *sql.Conn) error { return checkEncrypted(q, a.secrets().keyed) }
	deleted, err := a.deleteRow(
		ctx, "delete config", key, checkStoredKey, opts, queries.GetConfigRevision, allowed, queries.DeleteConfig,
	)
	return deleted, failed("delete config", key, err)
}

// checkEncrypted refuses writes that bring no value, which the database itself would refuse: the entries of an encrypted
// registry are for who has its key, and who has one does not take a plaintext registry for an encrypted one.
func checkEncrypted(q db.DBTX, keyed bool) error {
	_, err := readKeyset(q)
	switch missing := errors.Is(err, sql.ErrNoRows); {
	case err == nil && !keyed:
		return errNoKey
	case missing && keyed:
		return ErrNotEncrypted
	case missing:
		return nil
	}
	return err
}

func newConfigEntry(row *db.Config, ring *keyring) ConfigEntry {
	held := &struct { // both in one piece of memory
		pointer *storedValue
		value   storedValue
	}{value: storedValue{text: row.Value, ring: ring}}
	held.pointer = &held.value
	return ConfigEntry{
		Key: row.Key, Revision: row.Revision, UpdatedAt: row.UpdatedAt.Time, Encrypted: envelope.IsEncrypted(row.Value),
		value: &held.pointer,
	}
}

// isAboutValues reports whether err, which was classified, says why no value can be opened.
func isAboutValues(err error) bool {
	return errors.Is(err, ErrEncrypted) || errors.Is(err, ErrNotEncrypted) || errors.Is(err, ErrWrongKey)
}

// aboutValues is nil where err says only that values cannot be opened. The entries are there all the same, and Decode gives
// err for those that it concerns.
func aboutValues(err error, entries ...ConfigEntry) error {
	if err == nil {
		return nil
	}
	if err = classify(err); !isAboutValues(err) {
		return err
	}
	for _, e := range entries {
		if value := *e.value; value.ring.lacks(value.text) {
			value.refusal = err
		}
	}
	return nil
}

func configNotFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrConfigNotFound
	}
	return err
}
