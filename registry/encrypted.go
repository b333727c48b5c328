package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// OpenEncrypted opens the encrypted registry at path, as [Open] does, with the key-encryption key (KEK) that opens its
// keyset. A registry that is new, or has no config entries yet, becomes encrypted: its values are from then on
// encrypted in the file, each bound to its key, and the database itself refuses any other. Modules, the names of keys,
// times and subsystems' tables are not encrypted.
//
// Beside Open's errors it returns
//
//   - ErrWrongKey if the KEK does not open the keyset, or what is stored of that was tampered with, before anything else is read;
//   - ErrNotEncrypted if the registry is not encrypted and has config entries: [Encrypt] is how to make it so;
//   - ErrInvalid, which wraps keyset.ErrKEK, for an unusable KEK.
//
// A refused file stays as it was, and no file is made if the KEK wraps no keyset. While the KEK is asked no lock is held, and ctx
// ends the wait. If an Encrypt was interrupted before it had removed the last of the plaintext from the file, OpenEncrypted does
// that first, and returns ErrBusy if other connections hold it off; read-only it leaves that to a writer.
func OpenEncrypted(ctx context.Context, path string, kek keyset.KEK, opts ...Option) (*Registry, error) {
	r, err := openEncrypted(ctx, path, kek, opts)
	if err != nil {
		return nil, failed("open encrypted", path, err)
	}
	return r, nil
}

func openEncrypted(ctx context.Context, path string, kek keyset.KEK, opts []Option) (*Registry, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if kek, err = kek.Resolve(); err != nil {
		return nil, err
	}
	var fresh *keyset.Wrapper
	return open(ctx, path, o, kek, func(ctx context.Context, o *opening, found keysetFound) (err error) {
		switch {
		case found.row != nil:
			_, err := o.follow(ctx, *found.row)
			return err
		case found.encrypted:
			return fmt.Errorf("%w: %w: it has encrypted values, and no keyset that opens them", ErrWrongKey, ErrCorrupt)
		case found.entries:
			return fmt.Errorf("%w and has config entries, which Encrypt would encrypt", ErrNotEncrypted)
		case o.opts.readOnly:
			return ErrNotEncrypted
		}
		if fresh == nil {
			if fresh, err = o.prepareKEK(ctx, kek); err != nil {
				return err
			}
		}
		ring, err := o.makeKeyring(ctx, fresh)
		if err != nil {
			return err
		}
		o.convert = func(_ context.Context, tx *sqlite.Tx, found migrate.Status) error {
			return o.encryptEmpty(tx.Conn(), ring, found.New)
		}
		return nil
	})
}

// keysetFound is what a look at a file says of its encryption.
type keysetFound struct {
	row       *db.GetKeysetRow // nil: it has no keyset
	entries   bool             // it has config entries
	encrypted bool             // and no keyset, but encrypted values; looked for only where a key was given
}

// keysetVersion is that of the core's migration that brings the keyset.
const keysetVersion = 3

func findKeyset(ctx context.Context, q db.DBTX, status migrate.Status, keyed bool) (found keysetFound, err error) {
	if status.New {
		return found, nil
	}
	if status.Version >= keysetVersion {
		row, err := readKeyset(q)
		if err == nil {
			found.row = &row
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return found, err
		}
	}
	entries, err := queries.HasConfig(background, q)
	if status.Version == 0 && sqlite.IsStatementError(err) { // an oxide-k kernel that was interrupted before it made the table
		return found, nil
	}
	if err != nil || entries == 0 || !keyed {
		return keysetFound{entries: entries != 0}, err // the next statement reads all values, which must not delay an opening
	}
	encrypted, err := queries.HasEncryptedConfig(ctx, q)
	return keysetFound{entries: true, encrypted: encrypted != 0}, err
}

// prepareKEK makes a KEK ready for a new wrapping, which takes a passphrase some time.
func (r *Registry) prepareKEK(ctx context.Context, kek keyset.KEK) (*keyset.Wrapper, error) {
	return run(ctx, r.errands, kek.PrepareWithContext)
}

// makeKeyring makes the first keyset of the registry that is there, or is yet to be made, and wraps it. No lock is held meanwhile.
func (r *opening) makeKeyring(ctx context.Context, w *keyset.Wrapper) (*keyring, error) {
	template := keyset.XChaCha20Poly1305
	if r.opts.template != nil {
		template = *r.opts.template
	}
	handle, err := keyset.New(template)
	if err != nil {
		return nil, err
	}
	return run(ctx, r.errands, func(ctx context.Context) (*keyring, error) { return newKeyring(ctx, r.id, 1, handle, w, r.keys.kek) })
}

// encryptEmpty gives a registry without entries its keyset, unless another process did. What was deleted from one that is
// not new may still be in the file.
func (r *opening) encryptEmpty(q *sql.Conn, ring *keyring, isNew bool) error {
	if _, err := readKeyset(q); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if entries, err := queries.HasConfig(background, q); err != nil {
		return err
	} else if entries != 0 {
		return ErrNotEncrypted
	}
	return r.createKeyset(q, ring, !isNew)
}

// createKeyset stores a new keyset. With scrub the file may hold plaintext beside the values: what is in tables goes at once, the
// rest when the file is rewritten.
func (r *opening) createKeyset(q *sql.Conn, ring *keyring, scrub bool) error {
	r.keys.store(storing{ring: ring}) // which then opens without asking the KEK again
	params := db.InsertKeysetParams{
		Generation: ring.generation, Marker: ring.marker, KEK: string(ring.wrapper.Kind()), KEKParams: ring.wrapper.Params(),
		Wrapped: ring.wrapped,
	}
	if scrub {
		params.Scrub = 1
		if err := deleteSamples(q); err != nil {
			return err
		}
	}
	return queries.InsertKeyset(background, sqlite.Privileged(q, sqlite.Insert("keyset")), params)
}

// unlock opens the keyset that there is now, and finishes a scrub that is due.
func (r *opening) unlock(ctx context.Context, writer *sql.DB) error {
	var row db.GetKeysetRow
	err := r.wait.Retry(ctx, func() (err error) {
		row, err = readKeyset(writer)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		if r.released {
			return nil
		}
		return ErrNotEncrypted // it was decrypted since the look
	}
	if err != nil {
		return err
	}
	if _, err := r.follow(ctx, row); err != nil || row.Scrub == 0 {
		return err
	}
	return r.scrub(ctx, writer, row.Wrapped)
}

// scrub removes what is left of plaintext from the file, and then the mark that says so, unless it is another keyset's by
// then.
func (r *opening) scrub(ctx context.Context, writer *sql.DB, wrapped []byte) error {
	if err := sqlite.Scrub(ctx, writer, r.location, r.wait); err != nil {
		return fmt.Errorf("the values are encrypted, but plaintext may be left in the file until it can be rewritten: %w", err)
	}
	return r.queue.Do(ctx, commit.Write{Change: func(conn *sql.Conn) error {
		return queries.ClearScrub(background, sqlite.Privileged(conn, sqlite.Update("keyset")), wrapped)
	}})
}
