package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/feed"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// InMemory is the path of a registry in memory: each Open with it gives an empty one of its own, gone when it is closed.
// There is no WAL in memory: an open View, and rows of ReadDB that are not closed, hold writers back, and an open
// Update readers.
const InMemory = sqlite.InMemory

// Open opens the registry at path, and creates it, readable by its owner only, if there is no file. Pending migrations
// run first, all in one transaction: of processes that open a file at the same moment each finds it whole. A database
// that oxide-k wrote opens as it is, and stays readable and writable for oxide-k.
//
// A file that Open refuses stays as it was, byte for byte: ErrNotRegistry for another program's database and for a file
// that is none, ErrCorrupt for one whose guards are missing or altered, ErrNewerSchema, ErrMigrationChanged, and
// ErrOldSchema with WithReadOnly. (What a crash left in a journal beside it is played back, as any program would that
// opens it, and SQLite may leave FILE-wal and FILE-shm beside another program's database that has a WAL.) A missing folder
// is fs.ErrNotExist, a file that cannot be written ErrReadOnly, an option or a path that makes no sense ErrInvalid, locks
// that others hold for too long ErrBusy. If a [Restore] of the file was interrupted, or is running, it is ErrRestoring.
//
// ctx bounds the opening only. The path is taken as it is: it is no URI, and may hold any character but NUL. Its symlinks
// are followed once: all connections are on the file that it led to then, or refused (ErrReplaced). Of the files
//
//   - one with a second name (a hard link), and one that is mounted by itself, are ErrInvalid: each name has a WAL of its
//     own, and commits are lost with it. In a container mount the folder, not the file.
//   - a missing or empty FILE beside a FILE-wal with content is ErrCorrupt, and no new registry: the WAL may hold commits.
//     Put FILE back, or move FILE-wal away.
//   - a FIFO, a folder, a symlink or a device at FILE-wal, FILE-shm or FILE-journal is ErrInvalid, and so is one of these
//     that belongs to somebody who may not write FILE.
//
// Do not delete FILE-wal or FILE-shm, and do not move or replace FILE, while anybody has it open. A process that has the
// registry open must not open FILE, FILE-wal or FILE-shm by itself, not even to copy them: when it closes them, the system
// drops all locks that the process holds on them, and other processes write as if it were not there. Use [Registry.Backup].
//
// An encrypted registry opens too: its modules, keys and revisions can be read, its values and writes to its config are
// ErrEncrypted. [OpenEncrypted] is the way to open it with its key.
func Open(ctx context.Context, path string, opts ...Option) (*Registry, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, failed("open", path, err)
	}
	r, err := open(ctx, path, o, keyset.KEK{}, openPlain)
	if err != nil {
		return nil, failed("open", path, err)
	}
	return r, nil
}

// plan is what an opening does beyond opening. It is made from a look at the file, before anything is changed, and again
// where that file was replaced meanwhile.
type plan func(ctx context.Context, o *opening, found keysetFound) error

// opening is a Registry that is being opened.
type opening struct {
	*Registry
	plan plan
	// convert, where the plan set it, runs in the transaction of the migrations, after them.
	convert   func(ctx context.Context, tx *sqlite.Tx, found migrate.Status) error
	converted bool // that transaction was committed
	released  bool // convert removes the keyset
}

// openPlain is Open's plan.
func openPlain(_ context.Context, o *opening, found keysetFound) error {
	if found.row != nil {
		o.keys.current.Store(locked)
	}
	return nil
}

func open(ctx context.Context, path string, o options, kek keyset.KEK, plan plan) (*Registry, error) {
	if err := sqlite.CheckLibrary(); err != nil {
		return nil, err
	}
	location, err := sqlite.Locate(path)
	if err != nil {
		return nil, err
	}
	r := &Registry{location: location, opts: o, wait: sqlite.Wait{Limit: o.lockTimeout}}
	r.access = access{r}
	r.calls.empty = make(chan struct{}, 1)
	r.errands = newErrands()
	r.keys.kek, r.keys.keyed, r.keys.errands, r.keys.patience = kek, kek.Kind() != "", r.errands, kekPatience
	r.rekeying = make(chan struct{}, 1)
	r.wal = sqlite.NewWALLimit(location, r.wait, r.walGrown)
	r.feed = feed.New(r.followLog, watchInterval)
	r.reads = newReadCache(r)

	tables, private, err := migrate.Tables()
	if err != nil {
		return nil, err
	}
	settings := sqlite.Settings{
		Location: location, RelaxedSync: o.durability == Normal, Guarded: tables, Private: private,
	}
	if err := (&opening{Registry: r, plan: plan}).openWriter(ctx, settings); err != nil {
		return nil, damaged(err)
	}
	settings.Location = r.location // which a look at a file that does not change may have made another
	r.readers = sqlite.OpenReaders(settings, r.wait)
	if err := r.readers.Warm(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// damaged says ErrCorrupt of a file on which statements of ours fail that work on every other. A set's are its own fault.
func damaged(err error) error {
	if sqlite.IsStatementError(err) && !errors.Is(err, ErrInvalid) && !errors.Is(err, sqlite.ErrUnreadable) && !errors.Is(err, migrate.ErrSet) &&
		!errors.Is(err, migrate.ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// maxLooks is how often a file may be replaced during one opening.
const maxLooks = 10

// openWriter looks at what is there, and then opens it for writing. Read-only it only looks. If the file was replaced in
// between it begins again.
func (r *opening) openWriter(ctx context.Context, settings sqlite.Settings) error {
	for looks := 1; ; looks++ {
		err := r.tryWriter(ctx, settings)
		if !errors.Is(err, dbfile.ErrReplaced) {
			return err
		}
		if looks == maxLooks {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
}

// tryWriter does what openWriter does, for one file. It returns dbfile.ErrReplaced if what was looked at is not what was opened.
func (r *opening) tryWriter(ctx context.Context, settings sqlite.Settings) error {
	r.location = settings.Location // not one that an earlier look took for still
	exists, err := r.location.Examine()
	if err != nil {
		return err
	}
	status, err := r.look(ctx, exists)
	if r.opts.readOnly && exists && sqlite.NeedsToWrite(err) {
		err = r.lookAtStill(ctx)
	}
	if err != nil || r.opts.readOnly {
		return err
	}
	writer, err := sqlite.OpenWriter(ctx, settings, r.wait)
	if err != nil {
		return err
	}
	r.queue = commit.NewQueue(writer, r.wait, r.committed)
	r.queue.Tend(r.wal.Tend)
	return r.prepareOrClose(ctx, writer, status)
}

// lookAtStill looks again, at a file that is taken for one that does not change, since nothing can be written beside it.
func (r *opening) lookAtStill(ctx context.Context) error {
	location, err := r.location.Still()
	if err != nil {
		return err
	}
	r.location = location
	_, err = r.look(ctx, true)
	return err
}

// committed comes after each commit of this registry, before the write returns. Whoever watches may read at once.
func (r *Registry) committed() {
	r.reads.committed()
	r.feed.Committed()
}

// sighting is what a look at a file found.
type sighting struct {
	status migrate.Status
	keyset keysetFound
}

// look inspects the file, if there is one, and plans what to do with it, before anything is changed.
func (r *opening) look(ctx context.Context, exists bool) (migrate.Status, error) {
	seen := sighting{status: migrate.Status{New: true}}
	if exists {
		var err error
		seen, err = sqlite.Look(ctx, r.location, r.wait, !r.opts.readOnly, r.inspect)
		if err != nil {
			return seen.status, ended(ctx, err)
		}
	}
	status := seen.status
	switch {
	case r.location.IsMemory():
		if r.opts.mustExist || r.opts.readOnly || r.opts.registryID != "" {
			return status, invalid("a registry in memory is always new")
		}
	case !exists && (r.opts.mustExist || r.opts.readOnly || r.opts.registryID != ""):
		return status, fs.ErrNotExist
	case status.New && (r.opts.mustExist || r.opts.readOnly):
		return status, fmt.Errorf("%w: the file is empty", ErrNotRegistry)
	case r.opts.readOnly && len(status.Pending) > 0:
		return status, fmt.Errorf("%w: %s: %s", ErrOldSchema, status.Pending[0].Set, status.Pending[0].Name)
	}
	if err := r.identify(status); err != nil {
		return status, err
	}
	r.keys.current.Store(nil)
	r.convert = nil
	return status, r.plan(ctx, r, seen.keyset)
}

// identify takes the id that the file has, or one for a registry that is yet to be made. It returns an error if [WithRegistryID] says
// another.
func (r *opening) identify(status migrate.Status) error {
	r.id = status.ID
	if want := r.opts.registryID; want != "" && r.id != want {
		err := fmt.Errorf("%w: the file holds %s, not the registry %s", ErrReplaced, shownID(r.id), want)
		if r.keys.keyed {
			err = fmt.Errorf("%w: %w", ErrWrongKey, err)
		}
		return err
	}
	if r.id == "" {
		id := make([]byte, 16)
		_, _ = rand.Read(id) // never fails (crypto/rand)
		r.id = hex.EncodeToString(id)
	}
	return nil
}

// shownID returns a registry's id for messages.
func shownID(id string) string {
	if id == "" {
		return "no registry yet"
	}
	return fmt.Sprintf("the registry %.40q", id)
}

// inspect reads the file for look. It may go on after look has returned, and changes nothing of r.
func (r *opening) inspect(ctx context.Context, file *sqlite.Looking) (seen sighting, err error) {
	if seen.status, err = migrate.Inspect(ctx, file, r.opts.sets); err != nil {
		return seen, err
	}
	if err := file.Accept(); err != nil { // config values may be long
		return seen, err
	}
	seen.keyset, err = findKeyset(ctx, file, seen.status, r.keys.keyed)
	return seen, err
}
