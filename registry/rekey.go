package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// RekeyOption changes what Rekey does.
type RekeyOption func(*rekeying) error

// RekeyTo sets the algorithm of the new key. By default it is the one that [WithKeyTemplate] said, or else that of the key it
// replaces.
func RekeyTo(t keyset.Template) RekeyOption {
	return func(r *rekeying) error {
		if !t.Valid() {
			return invalid("%w: %s", keyset.ErrTemplate, t)
		}
		r.template = &t
		return nil
	}
}

// RekeyReport is what Rekey did.
type RekeyReport struct {
	Generation int64  // of the keyset that the registry has now
	Primary    uint32 // the id of its only key
	Entries    int64  // config entries that were sealed anew: all
	// Scrubbed says that FILE-wal was emptied, which held the former keyset and the former values; in FILE they were overwritten with
	// zeros. If readers hold that off, FILE-wal keeps some until the last registry that may write is closed. Either way single former
	// values may lie in gaps between the rows of FILE's pages, where SQLite leaves copies of rows that it moved: [Registry.Compact]
	// removes these, and what FILE-wal has.
	Scrubbed bool
}

// scrubPatience is how long Rekey waits for readers to let it empty the WAL.
const scrubPatience = time.Second

// Rekey revokes: it gives the registry a fresh keyset under a fresh key-encryption key (KEK), and seals every value anew, in one
// transaction. Use it if the KEK or a key may be known to somebody else, with a KEK that this registry never had. Nothing that was
// encrypted under the former keys or a former KEK is stored under newKEK, so what somebody puts back is ErrWrongKey or ErrTampered.
// Then what is left of the former keyset and values is removed from the file (see [RekeyReport]).
//
// It cannot take back what was copied: whoever has the old KEK and a copy of the file reads that copy. Change the secrets that
// were in it. Nor does it know what somebody with a key put into the file before: that is sealed with the rest. If somebody could
// write the file, compare the values with what they should be, or restore a backup from before and rekey that.
//
// Revisions stay, and no watcher is woken. Readers go on meanwhile; other writers wait, some 10 microseconds an entry. This Registry
// goes on with newKEK. Others that are open trust the old KEK until they are closed: close them all, and open them with newKEK. They
// get ErrWrongKey as soon as they meet a new value, or write one. [WithProgress] tells how far it is, inside the transaction. Killed
// at any point, the registry is as before, under the former KEK, or done, under newKEK.
//
//   - ErrInvalid: newKEK is unusable, or it opens the present keyset: it is the same one.
//   - ErrTampered, with an error for each value that cannot be opened, naming its key: overwrite or delete these first.
//     ErrCorrupt if the table's index lacks a row.
//   - ErrEncrypted, ErrNotEncrypted, ErrWrongKey, ErrReadOnly, ErrBusy as RotateKeyset.
//
// After any error nothing changed, except on ErrCommitUnknown: then keep both KEKs until one of them opened it. If ctx ends while
// the file is scrubbed, Rekey succeeds.
func (r *Registry) Rekey(ctx context.Context, newKEK keyset.KEK, opts ...RekeyOption) (RekeyReport, error) {
	report, err := r.rekey(ctx, newKEK, opts)
	return report, failed("rekey", "", ended(ctx, err))
}

func (r *Registry) rekey(ctx context.Context, newKEK keyset.KEK, opts []RekeyOption) (RekeyReport, error) {
	job := rekeying{Registry: r, template: r.opts.template}
	if err := apply(&job, opts); err != nil {
		return RekeyReport{}, err
	}
	var err error
	if job.kek, err = newKEK.Resolve(); err != nil {
		return RekeyReport{}, err
	}
	leave, err := r.enterRekeying(ctx)
	if err != nil {
		return RekeyReport{}, err
	}
	defer leave()
	if err := job.run(ctx); err != nil {
		return RekeyReport{}, err
	}
	report := job.report
	report.Scrubbed = r.clearWAL(ctx, sqlite.Wait{Limit: min(r.opts.lockTimeout, scrubPatience)}) == nil
	r.opts.logger.InfoContext(ctx, "registry: rekeyed", "path", r.location.String(), "generation", report.Generation,
		"primary", fmt.Sprintf("%08x", report.Primary), "kek", string(job.kek.Kind()), "entries", report.Entries,
		"scrubbed", report.Scrubbed)
	return report, nil
}

// rekeying is a Rekey that is running.
type rekeying struct {
	*Registry
	kek      keyset.KEK
	template *keyset.Template // nil: as it is
	report   RekeyReport
}

// run rekeys. If another process changes the keyset before its transaction has begun, it begins again.
func (r *rekeying) run(ctx context.Context) error {
	var w *keyset.Wrapper
	for {
		ring, err := r.newest(ctx)
		if err != nil {
			return err
		}
		if w == nil {
			if w, err = r.prepareKEK(ctx, r.kek); err != nil {
				return err
			}
		}
		handle, err := r.newHandle(ring)
		if err != nil {
			return err
		}
		next, err := r.wrap(ctx, ring, handle, w, r.kek)
		if err != nil {
			return err
		}
		if err := r.checkFresh(ctx, ring, next); err != nil {
			return err
		}
		if done, err := r.replace(ctx, ring, next); done || err != nil {
			return err
		}
	}
}

// checkFresh returns ErrInvalid if the new KEK opens the keyset that there is: then its former holder would not be locked out. A
// service that is down for a moment opens nothing either, so what it wrapped itself is its witness.
func (r *rekeying) checkFresh(ctx context.Context, ring, next *keyring) error {
	for range 2 {
		switch err := r.opens(ctx, ring.row()); {
		case err == nil:
			return invalid("the new key-encryption key is the one that the registry has: whoever had it would still open the registry")
		case !errors.Is(err, keyset.ErrWrongKEK): // it was not asked
			return err
		case r.kek.Kind() != keyset.KindAEAD: // which is sure of it
			return nil
		}
		if err := r.opens(ctx, next.row()); err != nil {
			return err
		}
	}
	return nil
}

// opens returns an error unless the new KEK opens a keyset.
func (r *rekeying) opens(ctx context.Context, row db.GetKeysetRow) error {
	_, err := run(ctx, r.errands, func(ctx context.Context) (*keyring, error) {
		w, err := r.kek.PrepareStoredWithContext(ctx, keyset.Kind(row.KEK), row.KEKParams)
		if err != nil {
			return nil, err
		}
		return openKeyring(ctx, row, w, r.kek)
	})
	return err
}

// newHandle makes a keyset with one key, whose id none of ring's has: values are told apart by it.
func (r *rekeying) newHandle(ring *keyring) (*keyset.Handle, error) {
	template := ring.handle.Template()
	if r.template != nil {
		template = *r.template
	}
	for {
		handle, err := keyset.New(template)
		if err != nil || !ring.handle.Has(handle.Primary()) {
			return handle, err
		}
	}
}

// replace puts next into the place of ring, and all values under its key, in one transaction. It reports false if the database has
// another keyset than ring's.
func (r *rekeying) replace(ctx context.Context, ring, next *keyring) (done bool, err error) {
	r.keys.store(storing{ring: next, former: ring})
	settled := false
	defer func() { // a callback of the caller's may panic
		if !settled {
			r.keys.settle(false)
		}
	}()
	r.report = RekeyReport{Generation: next.generation, Primary: next.handle.Primary()}
	err = r.queue.Exclusive(ctx, func(tx *sqlite.Tx) (err error) {
		if done, err = replaceKeyset(tx.Conn(), ring, next); err != nil || !done {
			return err
		}
		if err := r.reseal(ctx, tx.Conn(), ring, next); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	settled = true
	if errors.Is(err, sqlite.ErrCommitUnknown) {
		return false, err // and pending: it may have been stored
	}
	done = done && err == nil
	r.keys.settle(done)
	if done {
		r.reads.purge()
	}
	return done, err
}

func (r *rekeying) reseal(ctx context.Context, conn *sql.Conn, ring, next *keyring) error {
	err := r.rewriteAll(ctx, conn, "rekey config", next.marker, func(key, text string) (string, error) {
		json, err := ring.opened(key, text)
		if err != nil {
			return "", err
		}
		r.report.Entries++
		return next.sealed(key, json)
	})
	if err != nil {
		return err
	}
	return checkNoneStale(conn, next.marker)
}
