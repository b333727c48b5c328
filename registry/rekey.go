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

// KeysetInfo is what may be known of the registry's keyset: ids, algorithms, what wraps it; no key. ErrEncrypted where the
// registry was opened without a key, ErrNotEncrypted where it is not encrypted, ErrWrongKey where another process has
// rewrapped it.
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

// Rewrap wraps the registry's keyset under another key-encryption key: from then on that one opens the registry, and the
// old one does not. No value is touched. This Registry goes on with the new one. Others that are open keep the keyset that
// they have until its next rotation, and then get ErrWrongKey: to revoke a key-encryption key, Rewrap and then
// RotateKeyset. (Who has an old copy of the file and the old key can still open that copy.)
//
// ErrInvalid for an unusable KEK; ErrEncrypted, ErrNotEncrypted, ErrWrongKey, ErrReadOnly as RotateKeyset has them. On an
// error the old key-encryption key is the one, except on ErrCommitUnknown: then keep both until one of them opened it.
func (r *Registry) Rewrap(ctx context.Context, newKEK keyset.KEK) error {
	return failed("rewrap keyset", "", ended(ctx, r.rewrap(ctx, newKEK)))
}

func (r *Registry) rewrap(ctx context.Context, newKEK keyset.KEK) error {
	newKEK, err := newKEK.Resolve()
	if err != nil {
		return err
	}
	leave, err := r.enterRekeying(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, err := r.newest(ctx); err != nil { // before the cost of deriving
		return err
	}
	w, err := newKEK.Prepare()
	if err != nil {
		return err
	}
	for {
		ring, err := r.newest(ctx)
		if err != nil {
			return err
		}
		next, err := r.store(ctx, ring, ring.handle, w, newKEK, nil)
		if err != nil {
			return err
		}
		if next != nil {
			r.opts.logger.InfoContext(ctx, "registry: keyset rewrapped", "path", r.location.String(),
				"generation", next.generation, "kek", string(w.Kind()))
			return nil
		}
	}
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

// newest is the keyset that the database has now, opened with the registry's own key-encryption key.
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
// that would write.
func (r *Registry) store(
	ctx context.Context, ring *keyring, handle *keyset.Handle, w *keyset.Wrapper, kek keyset.KEK, onlyIf func(*sql.Conn) (bool, error),
) (*keyring, error) {
	next, err := newKeyring(ring.registryID, ring.generation+1, handle, w)
	if err != nil {
		return nil, err
	}
	stored := false
	r.keys.storing(next)
	err = r.queue.Do(ctx, commit.Write{Change: func(conn *sql.Conn) error { // no change of the log: numbers stays right
		stored = false
		if onlyIf != nil {
			if yes, err := onlyIf(conn); err != nil || !yes {
				return err
			}
		}
		rows, err := queries.UpdateKeyset(background, sqlite.Privileged(conn, sqlite.Update("keyset")), db.UpdateKeysetParams{
			Marker: next.marker, KEK: string(w.Kind()), KEKParams: w.Params(), Wrapped: next.wrapped,
			Generation: ring.generation, OldWrapped: ring.wrapped,
		})
		if stored = rows > 0; stored || err != nil {
			return err
		}
		switch row, err := readKeyset(conn); {
		case errors.Is(err, sql.ErrNoRows): // it was decrypted
			return nil
		case err == nil && ring.isOf(row):
			return fmt.Errorf("%w: a trigger that is not the registry's let the new keyset come to nothing", ErrCorrupt)
		default: // another process was faster
			return err
		}
	}})
	if errors.Is(err, sqlite.ErrCommitUnknown) {
		return nil, err // and pending: it may have been stored
	}
	if err != nil || !stored {
		r.keys.storing(nil)
		return nil, err
	}
	r.keys.adopt(ring, next, kek)
	return next, nil
}
