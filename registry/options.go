package registry

import (
	"encoding/hex"
	"io/fs"
	"log/slog"
	"time"

	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/schema"
)

// Durability is what a commit waits for.
type Durability int

const (
	// Full: a write that returned survives a crash of the process, of the system, and a power loss. The default.
	Full Durability = iota
	// Normal: the file stays consistent, but a power loss or a system crash may take back the newest writes, those since
	// the last checkpoint of the WAL. A crash of the process takes nothing back. Writes do not wait for the disk.
	Normal
)

// Defaults and limits of the options.
const (
	DefaultLockTimeout = 30 * time.Second
	DefaultLogLimit    = 100_000
	DefaultMaxValue    = 16 << 20  // bytes of JSON, or of a module's text
	maxMaxValue        = 512 << 20 // SQLite's own limit is 1e9 bytes for a whole row
)

// Option changes how a registry is opened.
type Option func(*options) error

type options struct {
	mustExist   bool
	registryID  string // "": whichever
	readOnly    bool
	durability  Durability
	lockTimeout time.Duration
	logger      *slog.Logger
	clock       func() time.Time
	sets        []migrate.Set
	logLimit    int64 // 0: as the file says
	maxValue    int
	readCache   int64            // in bytes, 0: none
	template    *keyset.Template // nil: none was asked for
	oxideKeys   func() []string  // nil: none; behind a function, which nothing that prints a value looks into
	progress    func(done, total int64)
}

func newOptions(opts []Option) (options, error) {
	o := options{
		lockTimeout: DefaultLockTimeout,
		logger:      slog.New(slog.DiscardHandler),
		clock:       time.Now,
		maxValue:    DefaultMaxValue,
	}
	if err := apply(&o, opts); err != nil {
		return options{}, err
	}
	return o, nil
}

// apply sets what options, of whatever call, say.
func apply[T any, O ~func(*T) error](to *T, opts []O) error {
	for _, set := range opts {
		if set == nil {
			return invalid("a nil option")
		}
		if err := set(to); err != nil {
			return err
		}
	}
	return nil
}

// now is the time that a write bears.
func (o *options) now() (schema.Timestamp, error) {
	at := schema.NewTimestamp(o.clock())
	if err := at.Validate(); err != nil {
		return at, invalid("the clock: %w", err)
	}
	return at, nil
}

// WithMustExist makes Open fail (fs.ErrNotExist) where the file is missing, instead of creating it. An empty file is not
// a registry then either: ErrNotRegistry.
func WithMustExist() Option {
	return func(o *options) error {
		o.mustExist = true
		return nil
	}
}

// WithRegistryID makes Open fail (ErrReplaced, and ErrWrongKey if a key was given) unless the file holds the registry with that id, as
// [Registry.ID] returned it; a missing file is fs.ErrNotExist. Keep the id beside the KEK: somebody who can write the file could
// otherwise put another registry there that the same KEK opens. Copies of a file share its id, so an older copy of the same registry
// is not told apart. An id that no registry has is ErrInvalid.
func WithRegistryID(id string) Option {
	return func(o *options) error {
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || hex.EncodeToString(raw) != id {
			return invalid("the registry id %.80q: want 32 lowercase hexadecimal digits", id)
		}
		o.registryID = id
		return nil
	}
}

// WithReadOnly opens for reading: writes give ErrReadOnly, pending migrations ErrOldSchema, a missing file
// fs.ErrNotExist. Beside a file that nobody else has open FILE-shm is created and removed. If nothing can be created there,
// as on read-only media, the file is taken for one that does not change: once it does, calls give ErrReplaced, never what is
// not true any more, and the registry is to be opened again. If FILE-wal is not empty there, opening is ErrReadOnly: open the
// registry once for writing, or copy both files to a folder that can be written.
func WithReadOnly() Option {
	return func(o *options) error {
		o.readOnly = true
		return nil
	}
}

// WithDurability says what a commit waits for; the default is [Full].
func WithDurability(d Durability) Option {
	return func(o *options) error {
		if d != Full && d != Normal {
			return invalid("durability %d", d)
		}
		o.durability = d
		return nil
	}
}

// WithLockTimeout is how long a call waits for others before it gives ErrBusy: for its turn among the writes of this Registry,
// for the locks of other processes, and for a connection if other readers have them all. The default is 30 s. It bounds the
// sum: a write that waited 20 s for its turn waits 10 s more for the lock at most. What a call does itself, an Update's callback
// above all, does not count for that call, only for those that wait for it. A context that ends earlier ends the wait earlier.
//
// With 0 a call does not wait even for others of the same Registry: that is for one goroutine.
//
// Open, Encrypt, Decrypt, RotateKeyset, Rewrap and Rekey take several steps, and each step waits so long. Two calls of RotateKeyset,
// Rewrap and Rekey wait for each other until the context ends. Close waits so long for calls that wait for a KMS.
func WithLockTimeout(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return invalid("lock timeout %s", d)
		}
		o.lockTimeout = d
		return nil
	}
}

// WithLogger is where the registry reports what an operator may want to know: migrations that it ran, keysets that it
// rotated and rewrapped, and, as warnings, readers that keep FILE-wal from being emptied. It never logs values or keys. By
// default nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return invalid("a nil logger")
		}
		o.logger = l
		return nil
	}
}

// WithClock is where the times of writes come from, instead of time.Now. Deletions are timed by SQLite's own clock. The
// zero time, and one outside the years 0 to 9999, make the write ErrInvalid.
func WithClock(now func() time.Time) Option {
	return func(o *options) error {
		if now == nil {
			return invalid("a nil clock")
		}
		o.clock = now
		return nil
	}
}

// WithMigrations adds a subsystem's tables: the files NNNNN_name.sql in fsys, in whatever folder, run in the order of their
// numbers, each once, all that is pending in one transaction with the core's own. set names the line of versions: lowercase
// letters, digits and underscores; the set's tables must start with it. A set that is given twice, or is empty, whose SQL
// fails, or which alters the core's tables or drops others' is ErrInvalid, and then nothing was done (a file that was
// missing is there, and empty). A file that has a newer migration of the set is ErrNewerSchema, so that a program that was
// rolled back does not open it; a migration whose text changed, and one whose number is below one that was applied, is
// ErrMigrationChanged. (Whether lines end with LF or CRLF is no change.) Numbers may have gaps, and a file opens without the set too.
// Rows of modules and config are its to write, as any subsystem's; to changes it may append under a subject of its own; those of
// registry, migrations and keyset are not its to write.
//
// Foreign keys are not enforced while migrations run, so that a table can be rebuilt as SQLite's documentation says (a new one,
// copied, in the place of the old; leave out its PRAGMA foreign_keys, BEGIN and COMMIT): a DELETE does not cascade. Rows that refer
// to nothing after the migrations, and did not before, are ErrInvalid, by their tables. A foreign key may refer to modules (id), and to no other table of the registry's.
func WithMigrations(set string, fsys fs.FS) Option {
	return func(o *options) error {
		if fsys == nil {
			return invalid("migrations %q: a nil file system", set)
		}
		for _, other := range o.sets {
			if other.Name == set {
				return invalid("migrations %q are given twice", set)
			}
		}
		loaded, err := migrate.NewSet(set, fsys)
		if err != nil {
			return err
		}
		o.sets = append(o.sets, loaded)
		return nil
	}
}

// WithLogLimit is how many changes the change log keeps, at least; it is compacted as a side effect of writes, in steps
// of 64. The limit is stored in the file and stays for everybody until somebody sets another; a new file has 100,000.
// One that is much lower than before makes one of the next writes remove all that is too much. Read-only it is ignored.
func WithLogLimit(changes int64) Option {
	return func(o *options) error {
		if changes < 1 {
			return invalid("log limit %d", changes)
		}
		o.logLimit = changes
		return nil
	}
}

// WithMaxValue is the largest config value that may be written, in bytes of JSON, and the longest name, version and
// description of a module, in bytes each: 16 MiB by default, 512 MiB at most. What is longer is ErrInvalid. It does not bound
// reading: what is in the file is read whatever its length.
func WithMaxValue(bytes int) Option {
	return func(o *options) error {
		if bytes < 1 || bytes > maxMaxValue {
			return invalid("largest value of %d bytes: want 1 to %d", bytes, maxMaxValue)
		}
		o.maxValue = bytes
		return nil
	}
}

// WithReadCache keeps config entries in memory that were read, as many as fit into maxBytes, so that reading them again costs
// a fraction of a microsecond instead of some. Off by default; less than 1 is ErrInvalid.
//
// It serves [Registry.GetConfig], and Get, TryGet and [Setting.Get] of a *Registry; that there is no entry is kept too. All
// else, and whatever runs in a View or an Update, reads the database. Errors are the same as without it.
//
// A read that begins after a write through the same *Registry returned sees it. So it sees what View, Watch,
// [Setting.Watch], Changes and Revision of that *Registry showed, and what an Update or a write was refused for. What other
// processes, and other Registries of this one, committed it sees within 10 ms, on a monotonic clock: all that does not use the cache
// may know of it earlier. That includes a keyset that was rewrapped and rotated. What is written behind the back of the
// guards, with the triggers dropped, it may miss.
//
// In an encrypted registry the values, secrets among them, then stay in memory decrypted, until they are driven out by
// others or the registry is closed, and in the garbage collector's hands after that.
//
// An entry counts the bytes of its key and of its JSON, 256 more, and where its decoded form is kept the bytes of that: of
// numbers, strings, booleans, and structs and arrays of them up to 16 KiB, without methods of their own for JSON. Other types
// are decoded for each reader. The entries that were not read the longest go first; one that takes more than an eighth
// of maxBytes is not kept. Looking for the commits of others takes a connection of its own, from the first read to Close, and
// one look in 10 ms while there are reads, and one more, before the next read, after each commit of this Registry and whatever
// else showed it something newer: that one costs a few reads of the database. There is no goroutine.
func WithReadCache(maxBytes int64) Option {
	return func(o *options) error {
		if maxBytes < 1 {
			return invalid("a read cache of %d bytes", maxBytes)
		}
		o.readCache = maxBytes
		return nil
	}
}

// WithKeyTemplate is the algorithm of the keys that this Registry makes: when it encrypts a registry, by default with
// keyset.XChaCha20Poly1305, and when it rotates or rekeys, by default with that of the key it replaces. Reading goes by what the
// keyset says.
func WithKeyTemplate(t keyset.Template) Option {
	return func(o *options) error {
		if !t.Valid() {
			return invalid("%w: %s", keyset.ErrTemplate, t)
		}
		o.template = &t
		return nil
	}
}

// WithOxideKey gives the string that an oxide-k kernel encrypted its values under, which may be empty. If a file has values under
// several strings give it several times: Encrypt tries each. Only Encrypt uses it, all others leave it alone.
func WithOxideKey(key string) Option {
	return func(o *options) error {
		earlier := o.oxideKeys
		o.oxideKeys = func() []string {
			if earlier == nil {
				return []string{key}
			}
			return append(earlier(), key)
		}
		return nil
	}
}

// WithProgress tells f how far Encrypt, Decrypt, RotateKeyset and Rekey are, in config entries: after each page of them, a few
// thousand or a few MiB, the last time with done equal to total. If there are no entries it tells nothing. f is called
// by the goroutine that does the work, one call at a time; all but RotateKeyset call it inside their transaction.
// f must not close the registry, nor rotate, rewrap or rekey it: these would wait for it.
func WithProgress(f func(done, total int64)) Option {
	return func(o *options) error {
		if f == nil {
			return invalid("a nil progress function")
		}
		o.progress = f
		return nil
	}
}
