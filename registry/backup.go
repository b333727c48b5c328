package registry

import (
	"context"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// Backup writes a copy of the registry as one moment saw it to a new file, while others go on reading and writing. The
// copy is a registry of its own, readable by its owner only. It has its name only once it is complete and has reached
// the disk, with its folder. A context that ends stops it. It needs room for a temporary file beside the copy, on a file
// system that knows hard links, and no key: the copy of an encrypted registry is encrypted, and opens with the
// key-encryption key that the registry had at that moment. One in memory, or opened read-only, is copied as well.
//
// An existing file is never overwritten: fs.ErrExist. A missing folder is fs.ErrNotExist, a path that no file can have
// ErrInvalid.
//
// To restore a copy, let every process close the registry, remove FILE-wal and FILE-shm if they are there (what a crash
// left in them belongs to the old file, and makes ErrCorrupt of another), and give the copy the file's name.
func (r *Registry) Backup(ctx context.Context, path string) error {
	return failed("back up", path, r.backup(ctx, path))
}

func (r *Registry) backup(ctx context.Context, path string) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	target, err := sqlite.Locate(path)
	if err != nil || target.IsMemory() {
		return invalid("no file can be made at %q", path)
	}
	return ended(ctx, sqlite.Backup(ctx, r.readers.Pool(), r.wait.Start(), path))
}
