package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// RotateOption changes a rotation.
type RotateOption func(*rotation) error

// RotateTo is the algorithm of the new primary key. Without it that is the one that [WithKeyTemplate] said, and without that
// the one of the key it replaces.
func RotateTo(t keyset.Template) RotateOption {
	return func(r *rotation) error {
		if !t.Valid() {
			return invalid("%w: %s", keyset.ErrTemplate, t)
		}
		r.template = &t
		return nil
	}
}

// RotateReport is what a rotation did.
type RotateReport struct {
	Generation  int64    // of the keyset that the registry has now
	Primary     uint32   // the id of its primary key
	Reencrypted int64    // config entries that were encrypted anew; what others wrote meanwhile needed it no more
	Retired     []uint32 // the ids of the keys that were removed
	Kept        []uint32 // the ids of the keys that had to stay, for values that could not be opened
	Unopened    []string // the keys of such entries, the first 100
}

const maxUnopened = 100

// RotateKeyset gives the registry a new primary key, encrypts every value under it anew, and removes the other keys, while
// readers and writers go on, in this process and in others: they notice, and follow without an error. It works in small
// transactions, some 40 ms each where the machine has nothing else to do, lets other writers in between them, and needs the
// memory of a few pages. No revision and no change comes of it. A context that ends, an error, or a crash leaves a registry
// in which everything reads, with a key more; the next RotateKeyset removes that too. It does not go on with the
// interrupted one's primary key, but makes one of its own: a key that was there before RotateKeyset was called is gone when it
// returns nil. It is for routine: if a key may be known to somebody who can write the file, use [Registry.Rekey]. An older row of the
// keyset could be put back before the registry is opened the next time, and opens under the same KEK.
//
// [WithProgress], given when the registry is opened, tells how far it is.
//
// A value that cannot be opened stays as it is and keeps the key alive that it names: the rotation goes on, and returns
// the report and ErrTampered. Overwrite or delete such values, and rotate again. A row that the table's index lacks keeps its
// key alive too, and gives the report and ErrCorrupt.
//
// ErrEncrypted and ErrNotEncrypted where there is no keyset to rotate, ErrWrongKey where another process has rewrapped it,
// ErrReadOnly. Rotations and rewraps of one Registry wait for each other; those of several processes may meet, and then
// end under the same key.
func (r *Registry) RotateKeyset(ctx context.Context, opts ...RotateOption) (RotateReport, error) {
	report, err := r.rotateKeyset(ctx, opts)
	return report, failed("rotate keyset", "", ended(ctx, err))
}

func (r *Registry) rotateKeyset(ctx context.Context, opts []RotateOption) (RotateReport, error) {
	rot := rotation{Registry: r, template: r.opts.template}
	if err := apply(&rot, opts); err != nil {
		return RotateReport{}, err
	}
	leave, err := r.enterRekeying(ctx)
	if err != nil {
		return RotateReport{}, err
	}
	defer leave()
	err = rot.run(ctx)
	return rot.report, err
}

// rotation is one that is running.
type rotation struct {
	*Registry
	template *keyset.Template // nil: as it is
	report   RotateReport
	progress *progress
	hidden   int64 // rows that are not under the primary key and that no walk comes to
}

func (r *rotation) run(ctx context.Context) error {
	ring, err := r.newest(ctx)
	if err != nil {
		return err
	}
	err = r.readers.Do(ctx, func(conn *sql.Conn) (err error) {
		r.progress, err = newProgress(conn, &r.opts)
		return err
	})
	if err != nil {
		return err
	}
	if ring, err = r.begin(ctx, ring); err != nil {
		return err
	}
	for done := false; !done; {
		if ring, err = r.reencrypt(ctx, ring); err != nil {
			return err
		}
		if ring, done, err = r.retire(ctx, ring); err != nil {
			return err
		}
	}
	r.progress.end()
	_ = r.clearWAL(ctx, sqlite.Wait{}) // of the keys that are gone; if readers are in the way, then later
	r.report.Generation, r.report.Primary = ring.generation, ring.handle.Primary()
	r.opts.logger.InfoContext(ctx, "registry: keyset rotated", "path", r.location.String(),
		"generation", r.report.Generation, "primary", fmt.Sprintf("%08x", r.report.Primary),
		"reencrypted", r.report.Reencrypted, "unopened", len(r.report.Unopened))
	var hidden error
	if r.hidden > 0 {
		hidden = &Error{Op: "rotate keyset", Err: hiddenRows(r.hidden)}
	}
	switch n := len(r.report.Unopened); {
	case n == 0:
		return hidden
	case n == maxUnopened:
		err = fmt.Errorf("%w: the first of %d values or more that could not be opened", ErrTampered, n)
	default:
		err = fmt.Errorf("%w: the first of %d values that could not be opened", ErrTampered, n)
	}
	return errors.Join(&Error{Op: "rotate keyset", Key: r.report.Unopened[0], Err: err}, hidden)
}

// begin stores the keyset with a new primary key more. Where another process is faster this rotation adds its key to that
// one's, and both end under the last.
func (r *rotation) begin(ctx context.Context, ring *keyring) (*keyring, error) {
	for {
		template := ring.handle.Template()
		if r.template != nil {
			template = *r.template
		}
		handle, err := ring.handle.WithPrimary(template)
		if err != nil {
			return nil, err
		}
		next, err := r.store(ctx, ring, handle, ring.wrapper, ring.kek, nil)
		if err != nil || next != nil {
			return next, err
		}
		if ring, err = r.newest(ctx); err != nil {
			return nil, err
		}
	}
}

// retire removes the keys under which no value is. It is not done where another process changed the keyset meanwhile, or
// where there are values again that have to be re-encrypted.
func (r *rotation) retire(ctx context.Context, ring *keyring) (_ *keyring, done bool, err error) {
	// The whole table is looked at on a snapshot, and then, in the transaction that removes keys, what changed since.
	var revision int64
	var markers, unopened []string
	var hidden int64
	same := false // the keyset is the one that the values were re-encrypted with
	err = r.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
		if revision, err = tx.Revision(ctx); err != nil {
			return err
		}
		return tx.read(ctx, func(q *sql.Conn) (err error) {
			row, err := readKeyset(q)
			if same = ring.isOf(row); err != nil || !same {
				return err
			}
			if markers, err = queries.ListStaleMarkers(ctx, q, ring.marker); err != nil || len(markers) == 0 {
				return err
			}
			unopened, err = queries.ListStaleKeys(ctx, q, db.ListStaleKeysParams{Marker: ring.marker, MaxRows: maxUnopened})
			if err == nil && len(unopened) < maxUnopened { // with as many as that there may be more that can be found
				hidden, err = countHidden(q, ring.marker, len(unopened))
			}
			return err
		})
	})
	if errors.Is(err, ErrClosed) {
		return nil, false, ErrClosed // not that of a View
	}
	if err == nil && !same {
		ring, err = r.newest(ctx)
	}
	if err != nil || !same {
		return ring, false, err
	}
	inUse := map[uint32]bool{ring.handle.Primary(): true}
	for _, marker := range markers {
		if id, err := envelope.KeyID(marker); err == nil {
			inUse[id] = true
		}
	}
	var retired, kept []uint32
	for _, k := range ring.handle.Keys() {
		switch {
		case !inUse[k.ID]:
			retired = append(retired, k.ID)
		case !k.Primary:
			kept = append(kept, k.ID)
		}
	}
	next := ring
	if len(retired) > 0 {
		handle, err := ring.handle.Without(retired...)
		if err != nil {
			return nil, false, err
		}
		next, err = r.store(ctx, ring, handle, ring.wrapper, ring.kek, func(q *sql.Conn) (bool, error) {
			return noStaleSince(q, revision, ring.marker, markers)
		})
		if err != nil {
			return nil, false, err
		}
	}
	if next == nil {
		ring, err = r.newest(ctx)
		return ring, false, err
	}
	r.report.Retired, r.report.Kept, r.report.Unopened = append(r.report.Retired, retired...), kept, unopened
	r.hidden = hidden
	return next, true, nil
}

// noStaleSince reports whether no value came under another marker than that since a revision, at which there were some
// under known ones.
func noStaleSince(q db.DBTX, revision int64, marker string, known []string) (bool, error) {
	oldest, err := queries.GetOldestRevision(background, q)
	if err != nil {
		return false, err
	}
	if oldest <= revision+1 {
		found, err := queries.HasStaleConfigSince(background, q, db.HasStaleConfigSinceParams{After: revision, Marker: marker})
		return found == 0, err
	}
	// A log that is so short that it no longer reaches back cannot tell; the table can.
	markers, err := queries.ListStaleMarkers(background, q, marker)
	return !slices.ContainsFunc(markers, func(m string) bool { return !slices.Contains(known, m) }), err
}
