package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// renew looks whether the database has another keyset than have, which did not open or was not accepted, and reports
// whether it is worth to try again. ErrEncrypted where the registry is encrypted and was opened without a key,
// ErrNotEncrypted where it no longer is, ErrWrongKey where its new keyset does not open.
func (a access) renew(ctx context.Context, have *keyring) (bool, error) {
	row, err := a.keysetRow(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows) && (have == nil || have == locked):
		return false, nil
	case errors.Is(err, sql.ErrNoRows):
		return false, ErrNotEncrypted
	case err != nil:
		return false, err
	case !a.secrets().keyed:
		return false, ErrEncrypted
	case have.isOf(row):
		return false, nil
	}
	k, err := a.secrets().load(row)
	if err != nil {
		return false, err
	}
	a.use(k)
	return a.ring() != have, nil
}

func (a access) keysetRow(ctx context.Context) (row db.GetKeysetRow, err error) {
	err = a.read(ctx, func(q db.DBTX) (err error) {
		row, err = readKeyset(q)
		return err
	})
	return row, err
}

// readKeyset reads the keyset's row: sql.ErrNoRows where there is none, ErrCorrupt where it holds what no keyset has.
func readKeyset(q db.DBTX) (db.GetKeysetRow, error) {
	row, err := queries.GetKeyset(background, q)
	if err != nil && !errors.Is(err, sql.ErrNoRows) && !sqlite.IsSQLite(err) && !errors.Is(err, sql.ErrConnDone) {
		err = fmt.Errorf("%w: the keyset cannot be read: %w", ErrCorrupt, err) // database/sql met a value of another type
	}
	return row, err
}

// whileRenewing runs try with the scope's keyring. Where that lacks a key, as try says, and the database has a newer
// keyset, try runs again with that one: others rotate whenever they like. try has no effect where it lacks a key.
func (a access) whileRenewing(ctx context.Context, try func(*keyring) (lacks bool, err error)) error {
	for {
		ring := a.ring()
		lacks, err := try(ring)
		if !lacks {
			return err
		}
		if renewed, why := a.renew(ctx, ring); why != nil {
			return why
		} else if !renewed {
			return err
		}
	}
}

// opened is the JSON in what is stored for key, with a newer keyset where that is what it takes.
func (a access) opened(ctx context.Context, key, text string) (json []byte, err error) {
	err = a.whileRenewing(ctx, func(ring *keyring) (bool, error) {
		json, err = ring.opened(key, text)
		return err != nil && ring.lacks(text), err
	})
	return json, classify(err)
}
