package registry

import (
	"context"

	"github.com/oxide-k/stateregistry/keyset"
)

// RestoreReport is what Restore did.
type RestoreReport struct {
	ID       string // the registry's id, which is the backup's
	Revision int64  // of the change that records the restore, the newest one
	// Kept is the path that the old file has now, "" if there was none. A journal of it that held something has the same name with
	// -wal or -journal after it: leave them together. If the file was missing and a journal of it was not, it is the journal's path.
	Kept string
	// AlsoKept are the paths of what interrupted restores had put there, which this one did not finish but began anew.
	AlsoKept []string
	Modules  int64 // modules in the backup
	Config   int64 // config entries in the backup
	// ValuesRead says that each value was read: it was opened with the key that RestoreWithKEK gave, or is plaintext. Without it
	// only the form of encrypted values was looked at.
	ValuesRead bool
	Encrypted  bool // the restored registry is encrypted
	// WasEncrypted says that the old file was encrypted, as far as it could be read. Run again it is about the file that was there first.
	WasEncrypted bool
}

// RestoreOption changes a restore.
type RestoreOption func(*restoreOptions) error

type restoreOptions struct {
	kek   keyset.KEK
	keyed bool
	above int64
	given bool // above

	plaintext bool
}

// RestoreWithKEK opens every value of an encrypted backup with the key-encryption key that it had when it was made, before anything is
// touched. If it is another key the restore is ErrWrongKey; if the backup is not encrypted, ErrNotEncrypted.
func RestoreWithKEK(kek keyset.KEK) RestoreOption {
	return func(o *restoreOptions) error {
		if o.keyed {
			return invalid("two key-encryption keys")
		}
		o.kek, o.keyed = kek, true
		return nil
	}
}

// WithRevisionAbove says that revisions up to n were given before: those of the restored registry go on 2^32 above n, or above the
// newest of the backup and of the old file if that is higher. Pass the newest revision that anybody may have seen, such as one that a
// program logged; for a file that was never restored before 0 will do.
//
// It is needed if the old file cannot be read, or is missing beside a journal that holds something. If the file is missing with all that
// was beside it, Restore cannot tell a new place from a loss, and goes on above the backup's newest revision. That is
// enough unless the lost file had been restored since that backup was made. So pass WithRevisionAbove if anybody may remember a
// revision of a file that is lost.
func WithRevisionAbove(n int64) RestoreOption {
	return func(o *restoreOptions) error {
		if n < 0 || n > maxRestored {
			return invalid("revision %d", n)
		}
		o.above, o.given = n, true
		return nil
	}
}

// RestorePlaintext lets a backup that is not encrypted take the place of a registry that is. Without it that is ErrNotEncrypted: whoever
// can write the backup, or the folder that it lies in, but does not have the key could put a plaintext one there, with any content:
// the registry's id is no secret. Pass it only for a backup whose origin you know. Whether the old file was encrypted is known only as far
// as it can be read; of one that is missing nothing is. With RestoreWithKEK it is ErrInvalid.
func RestorePlaintext() RestoreOption {
	return func(o *restoreOptions) error {
		o.plaintext = true
		return nil
	}
}

// Restore puts a copy of a backup in the place of the registry at path, or there where no file is. The backup is a file that
// [Registry.Backup] made, or any other registry file. It is not changed. (SQLite may put a -wal and a -shm beside a file in WAL mode to
// read it, as of a registry that runs.)
//
// The backup is verified first, as [Registry.Verify] does it: nothing is touched unless all of it is whole. What was in the registry
// stays: the old file, with what was in its WAL, gets a name of its own (RestoreReport.Kept). Nothing of it is left beside the new
// file, which is readable by its owner only. (If root restores a file of somebody's, in that user's folder, the new file is that
// user's.) Nothing is ever overwritten.
//
// It takes room for a second whole copy in the folder of path, and as long as reading the backup three times and writing it once: about 20
// seconds a gigabyte, in which the old file is locked.
//
// The restored registry has the backup's id and content. Its revisions go on 2^32 above the newest of the backup and of the old
// file, with a change of SubjectRegistry, the first of its log. So everybody who remembers a revision from before notices: Watch and
// Changes return ErrCompacted, and a write with IfRevision, of a row that was changed after the backup, ErrConflict. If the old file is
// missing, its newest revision is unknown: see [WithRevisionAbove].
//
// An encrypted backup opens with the key-encryption key that it had when it was made. Keys that were revoked since are in use again:
// rekey after the restore. A backup that is not encrypted takes the place of an encrypted registry with [RestorePlaintext] only.
//
// While the names change FILE-restoring lies beside the file. Open, and everything else that opens a registry, returns
// ErrRestoring then. If Restore is killed, the registry is the old one, the new one, or returns ErrRestoring, whatever the
// moment: then run Restore again, with the same backup or another one of the same registry, and it finishes. To give up instead, if
// FILE is missing, rename what FILE-restoring calls kept back first, with what is beside it; then remove FILE-restoring.
// ctx bounds Restore until the names change; from then on it goes on to its end.
//
// If Restore returns another error than ErrRestoring it has put nothing in the old file's place: that is there, with what was in its WAL
// in it or beside it, or what an interrupted restore left is, with its marker, which may tell of this restore by then. An error that is
// ErrRestoring says what is there.
//
//   - ErrBusy: somebody has the registry at path open: close it everywhere. Or another Restore of it is running. (Windows, Solaris, and file
//     systems without locks on files, such as some of NFS, do not tell a restore that runs from one that was interrupted: run one at a time.)
//   - ErrCorrupt, ErrNotRegistry, ErrNewerSchema, ErrOldSchema, ErrWrongKey, ErrTampered, ErrRestoring, fs.ErrNotExist with the backup's
//     path: it cannot be restored. A backup with an older schema, such as a file of oxide-k's, is to be copied, opened once, and
//     closed; then the copy can be restored.
//   - ErrCorrupt, ErrNotRegistry, ErrNewerSchema with the registry's path: the old file cannot be read, so that its newest revision is
//     unknown: pass [WithRevisionAbove].
//   - ErrNotEncrypted: the backup is plaintext, and the old file is encrypted or RestoreWithKEK was given.
//   - ErrInvalid, ErrNotRegistry: at path is another registry, a database of oxide-k's or another program's. Move it away first. ErrInvalid
//     too if an interrupted restore was of another registry.
//   - ErrReplaced: somebody moved a file meanwhile.
//
// Who has the registry open is known so: connections of this process, and processes that use the file as a database, in WAL mode even
// if they do nothing, always. On Linux also each process that this one may look at in /proc: those of the same user, or all if it is
// root's. What is left are files that cannot be read as a database, and those that were never opened for writing: of such a file it is not
// noticed that another process has it open on another system than Linux, and on Linux if that is another user's, runs in another
// container, or is one that may not be looked at (not dumpable, as one that changed its user or runs with file capabilities). It works on
// with the old file, and no connection that it opens later joins the new one (ErrReplaced).
//
// If /proc is there and cannot be read Restore fails, and changes nothing. Without /proc, locks and the connections of this process are
// all that is known.
func Restore(ctx context.Context, backup, path string, opts ...RestoreOption) (RestoreReport, error) {
	var o restoreOptions
	err := apply(&o, opts)
	if err == nil && o.plaintext && o.keyed {
		err = invalid("RestorePlaintext and RestoreWithKEK")
	}
	if err != nil {
		return RestoreReport{}, failed("restore", path, err)
	}
	report, err := restore(ctx, backup, path, o)
	if err != nil {
		return RestoreReport{}, failed("restore", path, ended(ctx, err))
	}
	return report, nil
}
