package registry

import (
	"context"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// Backup writes a copy of the registry as one moment saw it to a new file, while others go on reading and writing. The
// copy is a registry of its own, readable by its owner only. It has its name only once it is complete and has reached
// the disk, with its folder. A context that ends stops it. It needs no key: the copy of an encrypted registry is encrypted,
// and opens with the key-encryption key that the registry had at that moment. One in memory, or opened read-only, is copied
// as well. The unfinished copy lies in a private folder beside the new file (.stateregistry-backup-*), and the next Backup
// there by the same user removes what a killed one left.
//
//   - fs.ErrExist: there is a file or a symlink of that name, or a journal of an earlier database. Nothing is overwritten.
//   - fs.ErrNotExist: the folder is missing.
//   - ErrInvalid: no file can have that path.
//   - ErrCorrupt: another program tampered with the registry's schema since it was opened. ErrNewerSchema: a newer version of this
//     module migrated it.
//   - ErrReplaced: somebody moved the copy, or the registry's own file, meanwhile.
//   - ErrRestoring: a restore of the file at path was interrupted, or is running.
//
// [Restore] puts a copy in the registry's place. Do not copy it there by other means: what a crash left in FILE-wal would be played
// into it, its revisions would repeat, and nobody would notice.
func (r *Registry) Backup(ctx context.Context, path string) error {
	return failed("back up", path, r.backup(ctx, path))
}

func (r *Registry) backup(ctx context.Context, path string) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	if path == InMemory {
		return invalid("no file can be made at %q", path)
	}
	if err := r.location.CheckMarker(); err != nil {
		return err
	}
	wait := r.wait.Start()
	if err := r.inspectSnapshot(ctx, wait); err != nil {
		return err
	}
	return ended(ctx, sqlite.Backup(ctx, r.readers.Pool(), wait, path))
}

// inspectSnapshot returns an error for a registry whose schema was tampered with since it was opened: a copy of it would not open.
func (r *Registry) inspectSnapshot(ctx context.Context, wait sqlite.Wait) error {
	if r.location.IsMemory() { // where no other program gets at it, and a snapshot holds writers back
		return nil
	}
	tx, err := r.readers.BeginRead(ctx, wait)
	if err != nil {
		return err
	}
	defer tx.Release()
	defer tx.Rollback()
	return inspectOpen(tx.Conn())
}
