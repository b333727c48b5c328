package registry

import (
	"context"

	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// Rewrap wraps the registry's keyset under another key-encryption key (KEK): from then on that one opens the registry, and the
// old one does not. No value is touched. This Registry goes on with the new KEK. Others that are open keep the keyset that they have
// until its next rotation, and then get ErrWrongKey.
//
// Rewrap is for moving to another KEK, not for revoking one: the data keys stay, so whoever had the old KEK, and a copy of the file,
// has them. Nor does a RotateKeyset after it: for a while the file holds the old data keys under the new KEK, and whoever sees that
// row can put it back later, with values of their own. [Registry.Rekey] revokes.
//
// It returns ErrInvalid for an unusable KEK; ErrEncrypted, ErrNotEncrypted, ErrWrongKey, ErrReadOnly as RotateKeyset does. On an
// error the old KEK is the one, except on ErrCommitUnknown: then keep both until one of them opened it.
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
	w, err := r.prepareKEK(ctx, newKEK)
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
			_ = r.clearWAL(ctx, sqlite.Wait{}) // if not now, then later
			r.opts.logger.InfoContext(ctx, "registry: keyset rewrapped", "path", r.location.String(),
				"generation", next.generation, "kek", string(w.Kind()))
			return nil
		}
	}
}
