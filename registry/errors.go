package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/feed"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
	"github.com/oxide-k/stateregistry/keyset"
)

// The reasons of an [Error], for errors.Is.
var (
	// ErrConfigNotFound: there is no config entry with that key.
	ErrConfigNotFound = errors.New("no such config entry")
	// ErrUnknownModule: there is no module with that id.
	ErrUnknownModule = errors.New("unknown module")
	// ErrConflict: the row is not at the revision, or in the state, that the write demanded, or a module that others refer
	// to was to be deleted. Nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: an argument is outside what the registry takes. Nothing was read or written.
	ErrInvalid = errors.New("invalid argument")
	// ErrEncode: the value has no JSON form, or one that readers of JSON take differently. Nothing was written.
	ErrEncode = errors.New("value cannot be encoded")
	// ErrDecode: what is stored is not what the caller asked for, or is no known kind, state, time or JSON at all.
	ErrDecode = errors.New("value cannot be decoded")
	// ErrWrongKey: the key-encryption key does not open the registry's keyset. It is another one, or what is stored of the
	// keyset was tampered with: there is no telling. Nothing else was read. Or the file holds an older keyset than an open registry
	// had, or another registry than the one that was opened or that WithRegistryID named. An error of a keyset.AEAD's own, such as
	// that of a service that is down, is wrapped.
	ErrWrongKey = errors.New("wrong key")
	// ErrEncrypted: the registry is encrypted, and was opened without a key; or it is encrypted already.
	ErrEncrypted = errors.New("it is encrypted")
	// ErrNotEncrypted: the registry is not encrypted, and something was asked for that only an encrypted one has. Encrypt is
	// how to make it so.
	ErrNotEncrypted = errors.New("it is not encrypted")
	// ErrTampered: what is stored is not what this registry encrypted for this key. It can be overwritten and deleted.
	ErrTampered = errors.New("encrypted value was tampered with")
	// ErrClosed: the registry was closed.
	ErrClosed = errors.New("registry is closed")
	// ErrNested: a method of the registry was called with the context of one of its own callbacks, where the
	// transaction's method was meant. It would wait for itself.
	ErrNested = errors.New("called inside a callback of the same registry: use the Tx")
	// ErrTxDone: the transaction's callback has returned, or the transaction was ended before: by SQL, or by SQLite.
	ErrTxDone = errors.New("transaction is over")
	// ErrBusy: other writes of this process, the locks of another, or readers that held all connections took longer than
	// WithLockTimeout. Nothing was written, but by Encrypt and RotateKeyset, which say of themselves what may have been. A
	// write from inside an Update that bypasses its Tx, with another context, ends so too.
	ErrBusy = errors.New("registry is busy")
	// ErrReadOnly: the registry, its file or the transaction cannot write.
	ErrReadOnly = errors.New("read-only")
	// ErrCommitUnknown: the disk failed during a commit, which may or may not survive. Read again to find out.
	ErrCommitUnknown = errors.New("commit may or may not have reached the disk")
	// ErrCorrupt: the file is damaged, or lacks one of its guards.
	ErrCorrupt = errors.New("registry is damaged")
	// ErrReplaced: another file took the place of the registry's own, which was moved or removed while it was open. Connections
	// that are open work on with the old file, and no other joins them. Close the registry and find out who did that. Or the file
	// changed which was opened read-only where nothing can be written beside it: close the registry, and open it again. Or the file
	// that was to be opened holds another registry than WithRegistryID named.
	ErrReplaced = errors.New("the registry's file was replaced")
	// ErrRestoring: a Restore of the registry was interrupted, or is running. Run it again: it finishes.
	ErrRestoring = errors.New("a restore was interrupted, run it again")
	// ErrNotRegistry: the file is no database, or another program's.
	ErrNotRegistry = errors.New("not a registry")
	// ErrOldSchema: migrations are pending, and the registry was opened read-only.
	ErrOldSchema = errors.New("schema is older than this program, migrations are pending")
	// ErrNewerSchema: the file, or an encrypted value in it, is a newer program's.
	ErrNewerSchema = errors.New("schema is newer than this program")
	// ErrMigrationChanged: a migration's text is not what was applied.
	ErrMigrationChanged = errors.New("migration changed after it was applied")
	// ErrCompacted: the change log no longer reaches back that far, or was never there yet.
	ErrCompacted = errors.New("change log does not reach back to that revision")
)

// Error is every error that this package returns, but for those that a callback returned itself.
type Error struct {
	Op       string // what was done: "set config"
	Key      string // the config key, module id or path it was done to, or ""
	Revision int64  // on ErrConflict the row's current revision, 0 if there is no such row
	Err      error  // why: wraps one of the sentinels, the context's error or the driver's
}

// maxShownKey is how much of a key a message has, in bytes: all of a key that can be written, and of a path that there can be.
const maxShownKey = 4 << 10

// maxShownReason is the same for the reason, which may quote names that somebody put into the file.
const maxShownReason = 8 << 10

// Error returns the message, on one line and of at most some KiB, whatever names are in the file. It never holds a config value.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("registry: ")
	b.WriteString(e.Op)
	if e.Key != "" {
		shown := e.Key
		if len(shown) > maxShownKey {
			shown = shown[:maxShownKey] + "…"
		}
		fmt.Fprintf(&b, " %q", shown)
	}
	b.WriteString(": ")
	b.WriteString(sqltext.Printable(e.Err.Error(), maxShownReason))
	return b.String()
}

// Unwrap is Err.
func (e *Error) Unwrap() error { return e.Err }

// failed is err as this package returns it: nil stays nil, and what is an *Error already stays that one.
func failed(op, key string, err error) error {
	if err == nil {
		return nil
	}
	// (An AEAD of the caller's may keep its keys in another registry, and so give this package's errors.)
	if _, known := errors.AsType[*Error](err); known && !(errors.Is(err, keyset.ErrWrongKEK) && !errors.Is(err, ErrWrongKey)) {
		return err
	}
	return &Error{Op: op, Key: key, Err: classify(err)}
}

// why is what an error of this package says beside the operation, which is another one for the caller.
func why(err error) error {
	if e, ok := err.(*Error); ok { // not one further in, which says something else
		return e.Err
	}
	return err
}

// classify puts the sentinel before what the lower layers said, where there is one.
func classify(err error) error {
	if sqlite.IsNotAuthorized(err) && !errors.Is(err, ErrInvalid) && !errors.Is(err, migrate.ErrSet) {
		return invalid("%s: %w", sqlite.Forbidden, err)
	}
	if cause := sqlite.SystemError(err); cause != nil {
		err = &systemError{err, cause}
	}
	for _, c := range []struct {
		holds    bool
		sentinel error
	}{
		{errors.Is(err, migrate.ErrNotRegistry) || errors.Is(err, sqlite.ErrUnreadable) || sqlite.IsNotDatabase(err), ErrNotRegistry},
		{errors.Is(err, migrate.ErrCorrupt) || errors.Is(err, sqlite.ErrOversized) || errors.Is(err, dbfile.ErrTorn) || sqlite.IsCorrupt(err), ErrCorrupt},
		{errors.Is(err, dbfile.ErrRestoring), ErrRestoring},
		{errors.Is(err, dbfile.ErrReplaced) || errors.Is(err, sqlite.ErrMoved), ErrReplaced},
		{errors.Is(err, dbfile.ErrUnfit), ErrInvalid},
		{errors.Is(err, migrate.ErrNewer) || errors.Is(err, keyset.ErrUnsupported), ErrNewerSchema},
		{errors.Is(err, migrate.ErrChanged), ErrMigrationChanged},
		{errors.Is(err, migrate.ErrSet) || sqlite.IsTooBig(err), ErrInvalid},
		{errors.Is(err, keyset.ErrKEK) || errors.Is(err, keyset.ErrTemplate), ErrInvalid},
		{errors.Is(err, keyset.ErrWrongKEK), ErrWrongKey},
		{errors.Is(err, sqlite.ErrCommitUnknown), ErrCommitUnknown},
		{errors.Is(err, sqlite.ErrGone) || sqlite.IsRefusedCommit(err), ErrTxDone},
		{errors.Is(err, commit.ErrClosed) || errors.Is(err, feed.ErrClosed) || errors.Is(err, sql.ErrConnDone), ErrClosed},
		{errors.Is(err, commit.ErrTimeout) || errors.Is(err, sqlite.ErrNoConnection) ||
			errors.Is(err, dbfile.ErrLocked) || sqlite.IsBusy(err), ErrBusy},
		{sqlite.IsReadOnly(err), ErrReadOnly},
	} {
		if c.holds && !errors.Is(err, c.sentinel) {
			return fmt.Errorf("%w: %w", c.sentinel, err)
		}
	}
	return err
}

// systemError is a driver's error that errors.Is can tell from others of the system's: the driver only quotes that one.
type systemError struct {
	error
	cause error
}

func (e *systemError) Unwrap() []error { return []error{e.error, e.cause} }

// ended is ctx's error if it has one, and says so instead of what came of it.
func ended(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}
