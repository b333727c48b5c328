package registry

// Stats are a registry's figures at one moment. In memory all are zero.
type Stats struct {
	FileBytes int64 // the size of FILE. [Registry.Compact] gives back what is free in it
	// WALBytes is the size of FILE-wal, which holds the newest commits. It stays below some 64 MiB, and the size of one large
	// transaction, unless Views that never all end at once hold it: then it grows until they do.
	WALBytes int64
	// CheckpointsHeldOff counts how often this registry held its writes back, so that FILE-wal could be emptied, and readers
	// did not let it. The size from which on it does so, 48 MiB, doubles each time, and each time the log says so.
	CheckpointsHeldOff int64
}

// Stats returns the registry's figures. It asks the file system only, waits for nothing, and works on a closed registry too.
// A size that cannot be had is zero.
func (r *Registry) Stats() Stats {
	s := Stats{CheckpointsHeldOff: r.wal.HeldOff()}
	if size, err := r.location.Size(); err == nil {
		s.FileBytes = size
	}
	if size, err := r.location.WALSize(); err == nil {
		s.WALBytes = size
	}
	return s
}

// walGrown logs that readers keep the WAL from being emptied.
func (r *Registry) walGrown(size int64) {
	r.opts.logger.Warn("registry: FILE-wal cannot be emptied: readers that overlap, one that does not end, or another process that writes keep it",
		"path", r.location.String(), "bytes", size)
}
