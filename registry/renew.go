package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// renew opens the keyset that the database has now, for a caller whose keyset, have, did not open a value or whose value was not
// accepted. It returns nil if that is the same, ErrEncrypted if the registry is encrypted and was opened without a key,
// ErrNotEncrypted if it no longer is, ErrWrongKey if its new keyset does not open, or is no newer one.
func (a *access) renew(ctx context.Context, have *keyring) (*keyring, error) {
	row, err := a.keysetRow(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows) && (have == nil || have == locked):
		return nil, nil
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotEncrypted
	case err != nil:
		return nil, err
	case !a.secrets().keyed:
		return nil, errNoKey
	case have.isOf(row):
		return nil, nil
	}
	if err := a.refusal(); err != nil {
		return nil, err
	}
	return a.load(ctx, row)
}

// load opens a keyset that was read, and uses it from now on. If it does not open because this very process stored another
// meanwhile, load opens the one that came after it, or, in a snapshot, takes the one that was there. It returns ErrWrongKey if the
// keyset is older than the one in use, or another registry's.
func (a *access) load(ctx context.Context, row db.GetKeysetRow) (*keyring, error) {
	for {
		k, err := a.follow(ctx, row)
		if err == nil {
			return k, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		again, gone := a.keysetRow(ctx)
		if gone == nil && !sameKeyset(again, row) {
			row = again
			continue
		}
		// The snapshot was taken after the keyring of its beginning: what is older than that was put there.
		if k := a.secrets().former(row); k != nil && a.isSnapshot() && a.ring().follows(row) == nil {
			a.use(k)
			return k, nil
		}
		return nil, err
	}
}

// follow opens a keyset and uses it, unless one that is in use, or came into use while it was opened, is newer.
func (a *access) follow(ctx context.Context, row db.GetKeysetRow) (*keyring, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		have := a.ring()
		if err := have.follows(row); err != nil {
			return nil, err
		}
		k, err := a.secrets().load(ctx, row)
		if errors.Is(err, keyset.ErrWrongKEK) && have != nil && have != locked {
			return nil, fmt.Errorf("%w: the keyset is of generation %d now, and this registry opened generation %d: "+
				"if another process rewrapped or rekeyed it, open the registry anew with the new key-encryption key", err,
				row.Generation, have.generation)
		}
		if err != nil || a.use(k) {
			return k, err
		}
	}
}

func (a *access) keysetRow(ctx context.Context) (row db.GetKeysetRow, err error) {
	err = a.read(ctx, func(q *sql.Conn) (err error) {
		row, err = readKeyset(q)
		return err
	})
	return row, err
}

// readKeyset reads the keyset's row: sql.ErrNoRows where there is none, ErrCorrupt where it holds what no keyset has.
func readKeyset(q db.DBTX) (db.GetKeysetRow, error) {
	row, err := queries.GetKeyset(background, q)
	if err != nil && !errors.Is(err, sql.ErrNoRows) && !sqlite.IsSQLite(err) && !sqlite.IsConnectionGone(err) {
		err = fmt.Errorf("%w: the keyset cannot be read: %w", ErrCorrupt, err) // database/sql met a value of another type
	}
	return row, err
}

// whileRenewing runs try with the scope's keyring. If that lacks a key, as try says, and the database has another keyset, try
// runs again with that one: others rotate whenever they like. try has no effect if it lacks a key. It runs with a context of
// its own, so that all its runs together wait no longer than one call may.
func (a *access) whileRenewing(
	ctx context.Context, try func(ctx context.Context, ring *keyring) (lacks bool, err error),
) error {
	wait := sqlite.Wait{Limit: a.settings().lockTimeout}
	for ring := a.ring(); ; {
		if ring != nil { // or there is no other keyset to expect, and no need to ask for the time
			wait = wait.Start()
		}
		lacks, err := try(ctx, ring)
		if !lacks {
			return err
		}
		wait = wait.Stop()
		ctx = sqlite.WithWait(ctx, wait)
		renewed, why := a.renew(ctx, ring)
		if why != nil {
			return why
		}
		if renewed == nil {
			return err
		}
		ring = renewed
	}
}

// opened is the JSON in what is stored for key, with a newer keyset where that is what it takes.
func (a *access) opened(ctx context.Context, key, text string) (json []byte, err error) {
	err = a.whileRenewing(ctx, func(_ context.Context, ring *keyring) (bool, error) {
		json, err = ring.opened(key, text)
		return err != nil && ring.lacks(text), err
	})
	return json, classify(err)
}
