package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// oldFile is what lies where a registry is to be restored.
type oldFile struct {
	file     *dbfile.File // nil: nothing
	journals []string     // the paths of those beside it that hold something
	// alone keeps others out of it; nil if it cannot be read as a database.
	alone     *sqlite.Exclusion
	unread    error // why it cannot be read; nil if it was, or if there is nothing in it
	blank     bool  // there is nothing in it
	id        string
	newest    int64
	encrypted bool
	first     *db.Change // of its log
	left      bool       // an interrupted restore made it, whose marker is there
}

// release gives the file back.
func (f *oldFile) release() {
	if f.alone != nil {
		_ = f.alone.Close()
		f.alone = nil
	}
}

// like returns the file whose owner the new file shall have: the old one, wherever an interrupted restore put it; or nil.
func (f *oldFile) like(left *restoreMarker, dir string) *dbfile.File {
	if f.file != nil || left == nil || len(left.Kept) == 0 || left.Kept[0] == "" {
		return f.file
	}
	file, _, err := dbfile.Find(filepath.Join(dir, string(left.Kept[0])))
	if err != nil {
		return nil
	}
	return file
}

// lookAtTarget finds out what is to be replaced, and keeps others out of it. It reports whether an interrupted restore of the same
// backup had come so far that only its marker is left.
func (r *restoring) lookAtTarget(ctx context.Context, o restoreOptions) (finished bool, err error) {
	file, journals, err := r.target.Find()
	if err != nil {
		return false, err
	}
	r.old = oldFile{file: file, journals: journals}
	if err := r.takeMarker(file); err != nil {
		return false, err
	}
	if file == nil || file.IsEmpty() {
		r.old.blank = true
		if len(journals) > 0 {
			r.old.unread = fmt.Errorf("%w: it is missing or empty, and %s may hold commits", dbfile.ErrTorn, journals[0])
		}
	} else if err := r.readTarget(ctx); err != nil {
		return false, err
	}
	if err := r.checkUnused(ctx); err != nil {
		return false, err
	}
	if err := r.checkID(); err != nil {
		return false, err
	}
	if r.old.left, err = r.isLeft(); err != nil {
		return false, err
	}
	if err := r.checkEncryption(o); err != nil {
		return false, err
	}
	r.floor = max(o.above, r.old.newest)
	if r.left != nil {
		r.floor = max(r.floor, r.left.Above)
	}
	if r.isFinished(o) {
		r.report.Revision = r.old.newest
		r.keeps(r.left.Kept)
		return true, nil
	}
	if r.old.unread != nil && !o.given && r.left == nil {
		return false, fmt.Errorf("it cannot be read, so the newest revision that it gave is unknown: pass WithRevisionAbove with the newest "+
			"that anybody saw of it, or with 0 if it was never restored before: %w", r.old.unread)
	}
	return false, nil
}

// readTarget looks at the old file, locks it, and reads what the restore needs to know. What it cannot read it says in r.old.unread.
func (r *restoring) readTarget(ctx context.Context) error {
	type seen struct {
		migrate.Status
		oldFile // what can be read of one that Inspect refuses
	}
	found, err := sqlite.Look(ctx, r.target, r.wait, true, func(ctx context.Context, file *sqlite.Looking) (seen, error) {
		status, err := migrate.Inspect(ctx, file, nil)
		if errors.Is(err, migrate.ErrNewer) || errors.Is(err, migrate.ErrCorrupt) {
			return seen{status, peek(ctx, file)}, err
		}
		if err == nil {
			err = file.Accept()
		}
		return seen{Status: status}, err
	})
	newer := errors.Is(err, migrate.ErrNewer)
	switch {
	case err == nil:
		r.old.blank = found.New
	case errors.Is(err, migrate.ErrNotRegistry):
		return fmt.Errorf("another program's database is in its place, move the old file away first: %w", err)
	case errors.Is(err, migrate.ErrCorrupt), sqlite.IsDamaged(err), sqlite.IsStatementError(err), newer:
		r.old.unread, r.old.id, r.old.newest, r.old.encrypted = err, found.id, found.newest, found.encrypted
	case sqlite.IsBusy(err):
		return inUse(err.Error())
	default:
		return err
	}
	if err != nil && !newer { // SQLite would read its schema without limits
		return nil
	}
	return r.lockTarget(ctx, found.Status)
}

// peek reads what it can of a registry whose schema this program does not know, or that is damaged. The file counts as unread.
func peek(ctx context.Context, file *sqlite.Looking) (found oldFile) {
	if row, err := queries.GetRegistry(ctx, file); err == nil {
		found.id = row.ID
	}
	if newest, err := queries.GetRevision(ctx, file); err == nil && newest <= maxRestored {
		found.newest = newest
	}
	_, err := queries.GetKeyset(ctx, file)
	found.encrypted = hasKeyset(err)
	return found
}

// hasKeyset reports whether there is a keyset, from what reading it returned: one of another type than the registry's counts too.
func hasKeyset(err error) bool {
	return err == nil || !errors.Is(err, sql.ErrNoRows) && !sqlite.IsSQLite(err) && !sqlite.IsConnectionGone(err) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// lockTarget locks the old file, moves its WAL into it, and reads its id and its newest revision.
func (r *restoring) lockTarget(ctx context.Context, status migrate.Status) (err error) {
	r.old.alone, err = sqlite.Exclude(ctx, r.target, r.wait)
	switch {
	case sqlite.IsBusy(err):
		return inUse("another connection has it open")
	case sqlite.IsDamaged(err):
		r.old.unread = err
		return nil
	case err != nil:
		return err
	}
	err = r.old.alone.Fold()
	if err == nil && r.old.unread == nil {
		err = r.old.read(status)
	}
	if sqlite.IsDamaged(err) || errors.Is(err, ErrCorrupt) {
		r.old.unread, err = err, nil
	}
	return err
}

// read reads a registry that is locked.
func (f *oldFile) read(status migrate.Status) error {
	if status.New {
		return nil
	}
	if status.Version < keysetVersion {
		return invalid("a database of oxide-k's, or one with an older schema, is in its place, move the old file away first")
	}
	conn := f.alone.Conn()
	row, err := queries.GetRegistry(background, conn)
	if err != nil {
		return err
	}
	f.id = row.ID
	_, err = readKeyset(conn) // before what may fail: it decides what may be put in its place
	f.encrypted = hasKeyset(err)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if f.newest, err = newestRevision(conn); err != nil {
		return err
	}
	changes, err := queries.ListChanges(background, conn, db.ListChangesParams{MaxRows: 1})
	if err == nil && len(changes) > 0 {
		f.first = &changes[0]
	} else if sqlite.IsSQLite(err) || sqlite.IsConnectionGone(err) {
		return err
	}
	return nil // a row with values of another type is none that a restore wrote
}

// checkID returns ErrInvalid if the old file is another registry than the backup, as far as that can be told.
func (r *restoring) checkID() error {
	if r.old.id == "" || r.old.id == r.report.ID {
		return nil
	}
	return invalid("another registry is in its place, with the id %.64q where the backup has %.64q: move the old file away first",
		r.old.id, r.report.ID)
}

// checkEncryption returns ErrNotEncrypted if a plaintext backup would take the place of an encrypted file, unless that is allowed.
func (r *restoring) checkEncryption(o restoreOptions) error {
	r.report.WasEncrypted = r.old.encrypted && !r.old.left || r.left != nil && r.left.WasEncrypted
	if r.report.WasEncrypted && !r.report.Encrypted && !o.plaintext {
		return fmt.Errorf("%w: it is the backup that is plaintext, and the file in whose place it would be put is encrypted: if you know who "+
			"made that backup, and want it, pass RestorePlaintext", ErrNotEncrypted)
	}
	return nil
}

// checkUnused returns ErrBusy if anybody is known to have the old file open. It waits a moment for those who only look at it.
func (r *restoring) checkUnused(ctx context.Context) error {
	who := func() (string, error) {
		if r.target.IsOpen() {
			return "this process has it open", nil
		}
		return dbfile.InUse(r.target.Path(), r.old.alone != nil)
	}
	return r.wait.Until(ctx, func() error {
		who, err := who()
		if err == nil && who != "" {
			err = inUse(who)
		}
		return err
	})
}

// inUse returns ErrBusy, and says what to do.
func inUse(who string) error {
	return fmt.Errorf("%w: close the registry everywhere, and restore then: %s", ErrBusy, who)
}
