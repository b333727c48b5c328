package registry

import (
	"context"
	"database/sql"
	"iter"

	"github.com/oxide-k/stateregistry/db"
)

// Reader is what reads: a [Registry] or a [Tx]. Code that takes a Reader runs inside and outside of transactions.
//
// All methods give ErrInvalid for keys, ids and prefixes that are not UTF-8, ErrClosed and ErrTxDone after the end, ErrNested where
// a Registry's method was called with the context of one of its callbacks, ErrBusy where locks or other readers of this
// process held a read up for [WithLockTimeout], and the context's error once that has ended. Nothing that a method
// returned changes later.
//
// In an encrypted registry a value gives ErrEncrypted where the registry was opened without its key, ErrTampered where it is
// not what was encrypted for that key, ErrNewerSchema where a newer program encrypted it, and where another process changed
// the keys meanwhile ErrWrongKey (it rewrapped the keyset under another key-encryption key) or ErrNotEncrypted (it decrypted
// the registry). [Reader.ListConfig] and [Reader.ScanConfig] give the entries all the same: then it is [ConfigEntry.Decode]
// that says so.
type Reader interface {
	// GetModule returns a module, or ErrUnknownModule. A row that holds an unknown kind or state, or no readable time, is
	// ErrDecode, and the record holds what could be read.
	GetModule(ctx context.Context, id string) (ModuleRecord, error)
	// ListModules returns the modules that pass all filters, by id. Rows that cannot be read are left out and named in
	// the error (ErrDecode), which comes with the others.
	ListModules(ctx context.Context, filters ...ModuleFilter) ([]ModuleRecord, error)
	// GetConfig decodes a value into dst, as json.Unmarshal does (so a large number rounds in an any or a float64):
	// ErrConfigNotFound if there is none, ErrDecode where it does not fit, after which dst may be half filled;
	// ErrInvalid if dst is not a pointer.
	GetConfig(ctx context.Context, key string, dst any) error
	// GetConfigEntry returns an entry with its revision and time, or ErrConfigNotFound.
	GetConfigEntry(ctx context.Context, key string) (ConfigEntry, error)
	// ListConfig returns the entries whose key starts with prefix, byte for byte, in the order of their keys' bytes.
	// The empty prefix lists all.
	ListConfig(ctx context.Context, prefix string) ([]ConfigEntry, error)
	// ScanConfig is ListConfig for registries of any size: it gives the entries one by one, needs the memory of a page of
	// them, about a MiB and the longest value, and holds nothing open between pages, so that the loop's body may take its
	// time, and write. In a View all is of its snapshot; in an Update what the body writes ahead of the loop comes too. On
	// a Registry an entry that is there all the time comes exactly once; one that is added, changed or deleted meanwhile
	// comes as it was, as it is, or not at all. The loop ends with the first error, which comes with an empty entry. Each
	// loop over it begins anew.
	ScanConfig(ctx context.Context, prefix string) iter.Seq2[ConfigEntry, error]
	// Changes returns the changes with a revision above after, in order, at most limit of them (at least 1). ErrCompacted
	// where the log no longer reaches back to after, or after is above the newest revision: read everything again. Read
	// the state and its Revision in one View, and then the changes after that, and none is missed.
	Changes(ctx context.Context, after int64, limit int) ([]Change, error)
	// Revision is the newest committed revision, 0 in a registry that never changed. Inside Update it counts what the
	// transaction has done so far.
	Revision(ctx context.Context) (int64, error)

	scope
}

// Writer is what writes: a [Registry], each of whose methods is one transaction, or the [Tx] of an Update.
//
// Writes return the revision that they got. Beside a Reader's errors they give ErrReadOnly, ErrBusy, ErrCommitUnknown,
// and ErrConflict where a [WriteOption] was not met; the [Error] then holds the row's current revision. ErrCorrupt
// says that another program changed the registry's own schema since it was opened, a trigger more for example, which could let the
// write come to nothing; ErrNewerSchema that a newer version of this module migrated it. Writes to the config of an encrypted registry
// give ErrEncrypted, ErrNotEncrypted and ErrWrongKey as reads do. Except for ErrCommitUnknown, a write that returned an error
// changed nothing.
//
// Keys and ids that are empty, longer than [MaxKey] or hold a NUL are ErrInvalid, but for deletions: an oxide-k kernel may have left
// such rows.
type Writer interface {
	Reader
	// UpsertModule adds a module or replaces its metadata and state: ErrInvalid if [ModuleMetadata.Validate] says so, a text
	// is longer than [WithMaxValue], or the state is unknown.
	UpsertModule(ctx context.Context, m ModuleMetadata, s ModuleState, opts ...WriteOption) (int64, error)
	// SetModuleState changes a module's state and nothing else: ErrUnknownModule if there is no such module, ErrInvalid if
	// the state is unknown.
	SetModuleState(ctx context.Context, id string, s ModuleState, opts ...WriteOption) (int64, error)
	// TransitionModule sets the state to to where it is from, and gives ErrConflict where it is another; ErrUnknownModule
	// if there is no such module, ErrInvalid if a state is unknown. Whether oxide-k's life cycle has such a step it does
	// not ask: [ModuleState.CanBecome] says.
	TransitionModule(ctx context.Context, id string, from, to ModuleState) (int64, error)
	// DeleteModule removes a module and reports whether there was one: ErrConflict where a subsystem's rows refer to it by
	// a foreign key that does not let it go.
	DeleteModule(ctx context.Context, id string, opts ...WriteOption) (bool, error)
	// SetConfig stores value as compact JSON: ErrInvalid if that is longer than WithMaxValue, ErrEncode if it has no JSON form, or
	// one that readers take differently: with a string that is not UTF-8 or holds half of a surrogate pair, with an object that has
	// the same name twice, or nested deeper than 10,000 levels. Numbers of a json.RawMessage stay as they are written.
	SetConfig(ctx context.Context, key string, value any, opts ...WriteOption) (int64, error)
	// DeleteConfig removes an entry and reports whether there was one.
	DeleteConfig(ctx context.Context, key string, opts ...WriteOption) (bool, error)
}

var (
	_ Writer = (*Registry)(nil)
	_ Writer = (*Tx)(nil)
)

// scope is where statements run: each in a transaction of its own, or all in one.
type scope interface {
	// read runs f, which reads, perhaps more than once.
	read(ctx context.Context, f func(*sql.Conn) error) error
	// write runs check, if there is one, which reads, and then change, all of it or nothing; outside of a transaction perhaps
	// more than once. Where check refuses that disturbs nobody else; after an error of change others run again.
	write(ctx context.Context, check, change func(*sql.Conn) error) error
	// nextRevision is that of the one change that write's change is about to make.
	nextRevision(q *sql.Conn) (int64, error)
	// update runs f in a transaction that may write: a new one, or the one that there is.
	update(ctx context.Context, f func(context.Context, *Tx) error) error
	settings() *options
	secrets() *secrets
	// ring is the keyring to work with; use puts another one in its place, and reports false if there is a newer one.
	ring() *keyring
	use(k *keyring) bool
	// refusal says why the stored keyset could not be opened, if that is known: then nobody asks the KEK again.
	refusal() error
	// isSnapshot reports whether what is read may be older than the newest commit, and nothing is written.
	isSnapshot() bool
	// cache may give what read would; nil where there is none, as in a transaction.
	cache() *readCache
}

// access is the methods of Reader and Writer, the same for a Registry and a Tx.
type access struct {
	scope
}

// queries are sqlc's; they have no state.
var queries = db.New()

// background is what single statements run with. Once a caller's context was checked they run to their end: on a local
// file they take microseconds, a cancellable context costs the driver a goroutine for each, and a write that is
// interrupted takes its whole transaction along.
var background = context.Background()
