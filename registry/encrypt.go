package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/jsonvalue"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/oxide"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// EncryptReport is what Encrypt did.
type EncryptReport struct {
	Entries   int64 // config entries that this call encrypted; 0 where it finished an earlier one
	FromOxide int64 // those of them that oxide-k had encrypted
}

// Encrypt makes the registry at path, which must exist, an encrypted one: a plaintext registry, or a database of
// oxide-k's. Each value must be JSON, or what oxide-k encrypted under one of the strings that [WithOxideKey] gives. All values
// are encrypted in one transaction, or none ([WithProgress] tells how far it is): where some are neither, each is an
// error of its own that names the key (ErrDecode; where the text looks like oxide-k's also ErrWrongKey, or ErrEncrypted
// without WithOxideKey), and the file stays as it was; so it does where the table's index lacks a row (ErrCorrupt). Samples
// that an ANALYZE took of values are deleted. Revisions stay; no watcher is woken. Other writers wait
// meanwhile. Registries that were opened before, by whatever process, are without the key from then on: ErrEncrypted.
//
// Then no plaintext is left in the file, its free pages or its WAL: the file is rewritten. Where other connections hold
// that off for longer than WithLockTimeout it returns ErrBusy, the report, and a registry that is encrypted; calling it
// again, or OpenEncrypted, finishes. Encrypting a registry that is encrypted already is ErrEncrypted, or ErrWrongKey
// with another KEK. A file system may keep what it overwrites, and backups what they hold: docs/threat-model.md.
func Encrypt(ctx context.Context, path string, kek keyset.KEK, opts ...Option) (EncryptReport, error) {
	var report EncryptReport
	var opened *opening
	var w *keyset.Wrapper
	err := convert(ctx, path, kek, opts, func(ctx context.Context, o *opening, found keysetFound) (err error) {
		opened = o
		if found.row != nil {
			if _, err := o.follow(ctx, *found.row); err != nil || found.row.Scrub != 0 {
				return err // the scrub is all that is left to do, and opening does it
			}
			return fmt.Errorf("%w already", ErrEncrypted)
		}
		if w == nil {
			if w, err = o.prepareKEK(ctx, o.keys.kek); err != nil {
				return err
			}
		}
		ring, err := o.makeKeyring(ctx, w)
		if err != nil {
			return err
		}
		o.convert = func(ctx context.Context, tx *sqlite.Tx, _ migrate.Status) error {
			return o.encryptAll(ctx, tx.Conn(), ring, &report)
		}
		return nil
	})
	if opened == nil || !opened.converted {
		report = EncryptReport{}
	}
	return report, failed("encrypt", path, err)
}

// Decrypt makes the encrypted registry at path a plaintext one again, in one transaction: all values, or none. Where some
// cannot be opened, each is an error of its own that names the key (ErrTampered), and the file stays as it was: overwrite
// or delete those first. So it does where the table's index lacks a row (ErrCorrupt). ErrNotEncrypted, ErrWrongKey. Revisions stay. Other writers wait meanwhile. Registries that were
// opened with the key before give ErrNotEncrypted from then on, those without have to be opened again.
func Decrypt(ctx context.Context, path string, kek keyset.KEK, opts ...Option) error {
	err := convert(ctx, path, kek, opts, func(ctx context.Context, o *opening, found keysetFound) error {
		if found.row == nil {
			return ErrNotEncrypted
		}
		ring, err := o.follow(ctx, *found.row)
		if err != nil {
			return err
		}
		o.released = true
		o.convert = func(ctx context.Context, tx *sqlite.Tx, _ migrate.Status) error {
			return o.decryptAll(ctx, tx.Conn(), ring)
		}
		return nil
	})
	return failed("decrypt", path, err)
}

// convert opens a registry that exists, does what the plan says, and closes it.
func convert(ctx context.Context, path string, kek keyset.KEK, opts []Option, plan plan) error {
	o, err := newOptions(opts)
	if err != nil {
		return err
	}
	if o.readOnly {
		return invalid("a read-only registry cannot be encrypted or decrypted")
	}
	if kek, err = kek.Resolve(); err != nil {
		return err
	}
	o.mustExist = true
	r, err := open(ctx, path, o, kek, plan)
	if err != nil {
		return err
	}
	return r.Close()
}

// encryptAll gives the registry a keyset and encrypts every value.
func (r *opening) encryptAll(ctx context.Context, q *sql.Conn, ring *keyring, report *EncryptReport) error {
	if _, err := readKeyset(q); err == nil {
		return fmt.Errorf("%w already", ErrEncrypted)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := r.createKeyset(q, ring, true); err != nil {
		return err
	}
	keys, err := r.opts.newOxideKeys()
	if err != nil {
		return err
	}
	err = r.rewriteAll(ctx, q, "encrypt config", ring.marker, func(name, text string) (string, error) {
		plain, fromOxide, err := plaintext(text, keys)
		if err != nil {
			return "", err
		}
		report.Entries++
		if fromOxide {
			report.FromOxide++
		}
		return ring.sealed(name, plain)
	})
	if err != nil {
		return err
	}
	if err := checkNoneStale(q, ring.marker); err != nil {
		return err
	}
	return rebuildIndexes(q)
}

// newOxideKeys returns the keys of WithOxideKey.
func (o *options) newOxideKeys() (keys []*oxide.Key, err error) {
	if o.oxideKeys == nil {
		return nil, nil
	}
	for _, text := range o.oxideKeys() {
		key, err := oxide.NewKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// plaintext returns the JSON in a value of a plaintext registry, or of oxide-k's. What reads as JSON stays as it is written, also where
// SetConfig would refuse it: readers take it the same before and after.
func plaintext(text string, keys []*oxide.Key) (plain []byte, fromOxide bool, err error) {
	for _, key := range keys {
		if plain, err := key.Open(text); err == nil {
			if !jsonvalue.Valid(plain) {
				return nil, false, fmt.Errorf("%w: what oxide-k encrypted is not JSON", ErrDecode)
			}
			return plain, true, nil
		}
	}
	switch plain := []byte(text); {
	case jsonvalue.Valid(plain):
		return plain, false, nil
	case envelope.IsEncrypted(text):
		return nil, false, fmt.Errorf("%w: %w: it was encrypted by another registry", ErrDecode, ErrEncrypted)
	case oxide.LooksEncrypted(text) && len(keys) == 0:
		return nil, false, fmt.Errorf("%w: %w, as oxide-k does it: WithOxideKey is needed", ErrDecode, ErrEncrypted)
	case oxide.LooksEncrypted(text):
		return nil, false, fmt.Errorf("%w: %w: no WithOxideKey opens it", ErrDecode, ErrWrongKey)
	}
	return nil, false, fmt.Errorf("%w: it is not JSON", ErrDecode)
}

// decryptAll decrypts every value and removes the keyset, which must be ring's: otherwise it returns dbfile.ErrReplaced, for another
// look.
func (r *opening) decryptAll(ctx context.Context, q *sql.Conn, ring *keyring) error {
	row, err := readKeyset(q)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotEncrypted
	} else if err != nil {
		return err
	}
	if !ring.isOf(row) { // another process rotated it meanwhile
		return dbfile.ErrReplaced
	}
	if err := queries.ReleaseKeyset(background, sqlite.Privileged(q, sqlite.Update("keyset"))); err != nil {
		return err
	}
	err = r.rewriteAll(ctx, q, "decrypt config", noMarker, func(key, text string) (string, error) {
		plain, err := ring.opened(key, text)
		return string(plain), err
	})
	if err != nil {
		return err
	}
	if err := checkNoneEncrypted(q); err != nil {
		return err
	}
	return queries.DeleteKeyset(background, sqlite.Privileged(q, sqlite.Delete("keyset")))
}
