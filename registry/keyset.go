package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// KeysetInfo returns what may be known of the registry's keyset: ids, algorithms, what wraps it; no key. It returns ErrEncrypted
// if the registry was opened without a key, ErrNotEncrypted if it is not encrypted, ErrWrongKey if another process has rewrapped
// or rekeyed it.
func (r *Registry) KeysetInfo(ctx context.Context) (keyset.Info, error) {
	info, err := r.keysetInfo(ctx)
	return info, failed("keyset info", "", err)
}

func (r *Registry) keysetInfo(ctx context.Context) (keyset.Info, error) {
	if err := r.enter(ctx); err != nil {
		return keyset.Info{}, err
	}
	defer r.leave()
	ring, err := r.newest(ctx)
	if err != nil {
		return keyset.Info{}, err
	}
	return keyset.Info{
		Generation: ring.generation,
		KEK:        ring.wrapper.Kind(),
		KEKParams:  ring.wrapper.Params(),
		Primary:    ring.handle.Primary(),
		Keys:       ring.handle.Keys(),
	}, nil
}

// enterRekeying begins a call that changes the keyset, of which there is one at a time; leave ends it.
func (r *Registry) enterRekeying(ctx context.Context) (leave func(), err error) {
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	if r.queue == nil {
		r.leave()
		return nil, ErrReadOnly
	}
	select {
	case r.rekeying <- struct{}{}:
	case <-ctx.Done():
		r.leave()
		return nil, ctx.Err()
	}
	return func() {
		<-r.rekeying
		r.leave()
	}, nil
}

// newest opens the keyset that the database has now, with the registry's own key-encryption key.
func (r *Registry) newest(ctx context.Context) (*keyring, error) {
	row, err := r.keysetRow(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotEncrypted
	case err != nil:
		return nil, err
	case !r.keys.keyed:
		return nil, errNoKey
	}
	return r.load(ctx, row)
}

// store saves handle, wrapped by w, as generation ring.generation+1, and makes it this registry's current keyring; kek is what w is
// made of. It stores nothing, and returns nil, if the database has another generation by then, or if onlyIf says no in the transaction
// that would write. The KEK is asked before that transaction.
func (r *Registry) store(
	ctx context.Context, ring *keyring, handle *keyset.Handle, w *keyset.Wrapper, kek keyset.KEK, onlyIf func(*sql.Conn) (bool, error),
) (*keyring, error) {
	next, err := r.wrap(ctx, ring, handle, w, kek)
	if err != nil {
		return nil, err
	}
	stored := false
	r.keys.store(storing{ring: next, former: ring})
	err = r.queue.Do(ctx, commit.Write{Change: func(conn *sql.Conn) (err error) { // no change of the log: numbers stays right
		stored = false
		if onlyIf != nil {
			if yes, err := onlyIf(conn); err != nil || !yes {
				return err
			}
		}
		stored, err = replaceKeyset(conn, ring, next)
		return err
	}})
	if errors.Is(err, sqlite.ErrCommitUnknown) {
		return nil, err // and pending: it may have been stored
	}
	stored = stored && err == nil
	r.keys.settle(stored)
	if !stored {
		return nil, err
	}
	return next, nil
}

// wrap makes the generation after ring's.
func (r *Registry) wrap(ctx context.Context, ring *keyring, handle *keyset.Handle, w *keyset.Wrapper, kek keyset.KEK) (*keyring, error) {
	return run(ctx, r.errands, func(ctx context.Context) (*keyring, error) {
		return newKeyring(ctx, ring.registryID, ring.generation+1, handle, w, kek)
	})
}

// replaceKeyset puts the row of next into the place of ring's, and reports whether that one was there.
func replaceKeyset(conn *sql.Conn, ring, next *keyring) (bool, error) {
	rows, err := queries.UpdateKeyset(background, sqlite.Privileged(conn, sqlite.Update("keyset")), db.UpdateKeysetParams{
		Marker: next.marker, KEK: string(next.wrapper.Kind()), KEKParams: next.wrapper.Params(), Wrapped: next.wrapped,
		Generation: ring.generation, OldWrapped: ring.wrapped,
	})
	if err != nil || rows > 0 {
		return rows > 0, err
	}
	switch row, err := readKeyset(conn); {
	case errors.Is(err, sql.ErrNoRows): // it was decrypted
		return false, nil
	case err == nil && ring.isOf(row):
		return false, fmt.Errorf("%w: a trigger that is not the registry's let the new keyset come to nothing", ErrCorrupt)
	default: // another process was faster
		return false, err
	}
}

// clearWAL empties FILE-wal, which holds former rows of the keyset and former values, if no reader is in the way right now.
func (r *Registry) clearWAL(ctx context.Context, wait sqlite.Wait) error {
	if r.location.IsMemory() {
		return nil
	}
	return r.truncate(ctx, wait)
}
