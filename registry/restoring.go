package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/schema"
)

const (
	// restoredAbove is how far the revisions of a restored registry are above all that are known. The file that was lost may have
	// gone on after everything that is known of it.
	restoredAbove = int64(1) << 32
	// maxRestored is the highest revision that a restore may leave out numbers before (the trigger changes_insert).
	maxRestored = int64(1)<<62 - restoredAbove
)

// restorePatience is how long Restore waits for others who have the file open for a moment, such as an opening that looks at it.
const restorePatience = 200 * time.Millisecond

// restoring is a restore that is running.
type restoring struct {
	source *Registry   // the backup
	from   string      // its path
	info   os.FileInfo // of it, when it was opened
	target sqlite.Location
	wait   sqlite.Wait
	old    oldFile
	marker *dbfile.Marker   // nil: there is none yet
	left   *restoreMarker   // what the marker of an interrupted restore says; nil if there was none
	floor  int64            // the highest revision that is known besides the backup's
	at     schema.Timestamp // when the change was made that records the restore
	report RestoreReport
}

func restore(ctx context.Context, backup, path string, o restoreOptions) (_ RestoreReport, err error) {
	r := &restoring{wait: sqlite.Wait{Limit: restorePatience}}
	if err := r.locate(backup, path); err != nil {
		return RestoreReport{}, err
	}
	if err := r.openBackup(ctx, backup, o); err != nil {
		return RestoreReport{}, failed("restore from", backup, err)
	}
	defer r.source.Close()
	defer func() { r.old.release() }()
	defer func() {
		if r.marker != nil { // it stays
			_ = r.marker.Leave()
		}
	}()
	// First of all: the folder may be one in which nothing can be made.
	work, err := dbfile.NewWorkspace(filepath.Dir(r.target.Path()), "restore")
	if err != nil {
		return RestoreReport{}, err
	}
	defer work.Remove() // what it cannot remove the next one does
	finished, err := r.lookAtTarget(ctx, o)
	if err != nil {
		return RestoreReport{}, err
	}
	if finished {
		err = r.end(ctx)
	} else {
		err = r.replace(ctx, work)
	}
	return r.report, err
}

// locate finds the two files.
func (r *restoring) locate(backup, path string) error {
	if err := sqlite.CheckLibrary(); err != nil {
		return err
	}
	if backup == InMemory || path == InMemory {
		return invalid("a registry in memory is neither a backup nor restored")
	}
	from, err := sqlite.Locate(backup)
	if err != nil {
		return failed("restore from", backup, err)
	}
	target, err := sqlite.Locate(path)
	if err != nil {
		return err
	}
	r.from, r.target = from.Path(), target.ForRestore()
	a, errA := os.Stat(r.from)
	b, errB := os.Stat(r.target.Path())
	if r.from == r.target.Path() || errA == nil && errB == nil && os.SameFile(a, b) {
		return invalid("the backup is the file itself")
	}
	return nil
}

// openBackup opens the backup and verifies it.
func (r *restoring) openBackup(ctx context.Context, backup string, o restoreOptions) (err error) {
	info, failed := os.Stat(r.from) // now: what is put there later was not verified
	if o.keyed {
		r.source, err = OpenEncrypted(ctx, backup, o.kek, WithReadOnly())
	} else {
		r.source, err = Open(ctx, backup, WithReadOnly())
	}
	if err != nil {
		return why(err)
	}
	r.info = info
	found, err := r.source.Verify(ctx)
	if err == nil {
		err = failed
	}
	if err == nil {
		err = r.source.read(ctx, func(q *sql.Conn) error {
			row, err := queries.GetRegistry(background, q)
			r.report.ID = row.ID
			return err
		})
	}
	if err != nil {
		return errors.Join(why(err), r.source.Close())
	}
	r.report.Encrypted = r.source.ring() != nil
	r.report.ValuesRead = o.keyed || !r.report.Encrypted
	r.report.Modules, r.report.Config = found.Modules, found.Config
	return nil
}

// replace puts a copy of the backup in the place of the old file.
func (r *restoring) replace(ctx context.Context, work *dbfile.Workspace) error {
	made, newest, err := r.copy(ctx, work)
	if err != nil {
		return err
	}
	name, names, err := r.keptNames()
	if err != nil {
		return err
	}
	if err := stage.Reached(ctx, "place the marker"); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := r.mark(names, max(newest, r.floor)); err != nil {
		return err
	}
	err = r.exchange(ctx, name, work, made)
	if errors.Is(err, dbfile.ErrHalfway) {
		return fmt.Errorf("%w: %w", ErrRestoring, err)
	}
	if err != nil && r.left == nil { // all is as it was: the marker would only be in the way
		err = errors.Join(err, r.marker.Remove())
		r.marker = nil
	}
	if err != nil {
		return err
	}
	r.keeps(names)
	return r.end(ctx)
}

// copy makes a copy of the backup in the workspace that has the restore in its change log. newest is the backup's newest revision.
func (r *restoring) copy(ctx context.Context, work *dbfile.Workspace) (made os.FileInfo, newest int64, err error) {
	if err := stage.Reached(ctx, "copy the backup"); err != nil {
		return nil, 0, err
	}
	if made, err = sqlite.Copy(ctx, r.source.readers.Pool(), sqlite.Wait{Limit: DefaultLockTimeout}, work); err != nil {
		return nil, 0, err
	}
	o, err := newOptions(nil)
	if err != nil {
		return nil, 0, err
	}
	copied, err := open(ctx, work.Path(), o, keyset.KEK{}, openPlain)
	if err != nil {
		return nil, 0, err
	}
	newest, err = r.record(ctx, copied)
	if err == nil { // the backup was verified; this is about the copy
		_, err = copied.Verify(ctx)
	}
	if err := errors.Join(err, copied.Close()); err != nil {
		return nil, 0, err
	}
	return made, newest, work.Finish(made, r.old.like(r.left, filepath.Dir(r.target.Path())))
}

// record writes the change that says that the registry was restored.
func (r *restoring) record(ctx context.Context, copied *Registry) (newest int64, err error) {
	err = copied.queue.Exclusive(ctx, func(tx *sqlite.Tx) error {
		if newest, err = newestRevision(tx.Conn()); err != nil {
			return err
		}
		highest := max(newest, r.floor)
		if highest > maxRestored {
			return invalid("revision %d leaves no room for a restore", highest)
		}
		r.report.Revision, r.at = highest+restoredAbove, schema.NewTimestamp(time.Now())
		err := queries.InsertRestore(background, tx.Conn(), db.InsertRestoreParams{
			Revision: r.report.Revision, At: r.at,
		})
		if err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	return newest, err
}

// mark places the marker, or puts what this restore does into that of an interrupted one.
func (r *restoring) mark(kept []fileName, above int64) error {
	content, err := r.content(kept, above)
	if err != nil {
		return err
	}
	if r.marker != nil {
		return r.marker.Replace(content)
	}
	r.marker, err = dbfile.PlaceMarker(r.target.Path(), content)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %w", dbfile.ErrLocked, err)
	}
	return err
}

// exchange changes the names, under the marker.
func (r *restoring) exchange(ctx context.Context, kept string, work *dbfile.Workspace, made os.FileInfo) error {
	// Whoever opened the file before the marker was there is found now; whoever opens it later finds the marker.
	if err := r.checkUnused(ctx); err != nil {
		return err
	}
	if err := r.target.Holds(); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which renames no file that is open, whoever has it open
		r.old.release()
	}
	return dbfile.Exchange(r.target.Path(), kept, r.old.file, work, made, func(name string) error { return stage.Reached(ctx, name) })
}

// end removes the marker: the new file is there, and complete.
func (r *restoring) end(ctx context.Context) error {
	err := stage.Reached(ctx, "remove the marker")
	if err == nil {
		err = r.marker.Remove()
		r.marker = nil
	}
	if err != nil {
		return fmt.Errorf("%w: the new file is in its place, and the marker may be left: if the registry opens, the restore is complete, and "+
			"must not run again: %w", ErrRestoring, err)
	}
	return stage.Reached(ctx, "the end")
}
