package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// IsSQLite reports whether err came from SQLite at all.
func IsSQLite(err error) bool {
	_, ok := errors.AsType[sqlite3.Error](err)
	return ok
}

// IsConnectionGone reports whether err says that database/sql gave the connection up.
func IsConnectionGone(err error) bool {
	return errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn)
}

// IsBusy reports whether err is SQLite's word that another connection holds a lock: waiting may help.
func IsBusy(err error) bool { return hasCode(err, sqlite3.ErrBusy) || hasCode(err, sqlite3.ErrLocked) }

// IsNotDatabase reports whether err says that the file is no SQLite database.
func IsNotDatabase(err error) bool { return hasCode(err, sqlite3.ErrNotADB) }

// IsCorrupt reports whether err says that the database file is damaged.
func IsCorrupt(err error) bool { return hasCode(err, sqlite3.ErrCorrupt) }

// IsReadOnly reports whether err says that the database cannot be written.
func IsReadOnly(err error) bool { return hasCode(err, sqlite3.ErrReadonly) }

// IsTooBig reports whether err says that a value exceeds SQLite's limits.
func IsTooBig(err error) bool { return hasCode(err, sqlite3.ErrTooBig) }

// IsNotAuthorized reports whether err says that a statement did what is Forbidden.
func IsNotAuthorized(err error) bool { return hasCode(err, sqlite3.ErrAuth) }

// SystemError is the operating system's error behind err, which makes errors.Is(err, fs.ErrNotExist) hold, or nil. That there
// is no room is ENOSPC, also where it is SQLite's own limit that was reached (max_page_count, 1 GiB in memory).
func SystemError(err error) error {
	if e, ok := errors.AsType[*causeError](err); ok {
		return e.cause
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	switch {
	case !ok:
		return nil
	case e.SystemErrno != 0:
		return e.SystemErrno
	case e.Code == sqlite3.ErrFull: // SQLite keeps no other error's number for it
		return syscall.ENOSPC
	}
	return nil
}

// IsStatementError reports whether err says that a statement was wrong, or met a constraint: nothing that comes from
// outside of the database.
func IsStatementError(err error) bool {
	return hasCode(err, sqlite3.ErrError) || hasCode(err, sqlite3.ErrConstraint) || hasCode(err, sqlite3.ErrMismatch)
}

// IsRefusedByTrigger reports whether err says that a trigger raised an error: a guard's refusal, or a subsystem's own.
func IsRefusedByTrigger(err error) bool { return hasExtendedCode(err, sqlite3.ErrConstraintTrigger) }

// IsReferenced reports whether err says that a foreign key was violated.
func IsReferenced(err error) bool { return hasExtendedCode(err, sqlite3.ErrConstraintForeignKey) }

// IsRefusedCommit reports whether err says that a statement tried to commit what only Tx.Commit may.
func IsRefusedCommit(err error) bool { return hasExtendedCode(err, sqlite3.ErrConstraintCommitHook) }

// needsRecovery reports whether err says that a read-only connection met a journal that only a writer can play back.
func needsRecovery(err error) bool {
	const cantInit = 5 // of SQLITE_READONLY; the driver has no name for it
	return hasExtendedCode(err,
		sqlite3.ErrReadonlyRollback, sqlite3.ErrReadonlyRecovery, sqlite3.ErrReadonly.Extend(cantInit))
}

// isInputOutput reports whether err says that the operating system failed a read, a write or a sync.
func isInputOutput(err error) bool { return hasCode(err, sqlite3.ErrIoErr) }

func hasCode(err error, code sqlite3.ErrNo) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && e.Code == code
}

func hasExtendedCode(err error, codes ...sqlite3.ErrNoExtended) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && slices.Contains(codes, e.ExtendedCode)
}
