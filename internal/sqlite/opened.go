package sqlite

import "sync"

// opened are the files that this process has connections to, one for each connection. It belongs to the process, as POSIX locks do,
// which do not tell the connections of one process apart: a restore must find all of them, whichever registry they are of.
var opened = struct {
	sync.Mutex
	files map[*Location]struct{}
}{files: map[*Location]struct{}{}}

// enterFile counts a connection that is about to be opened. leave takes it back; called again it does nothing.
func (s Settings) enterFile() (leave func()) {
	if s.Location.IsMemory() || s.alone {
		return func() {}
	}
	entered := s.Location
	opened.Lock()
	defer opened.Unlock()
	opened.files[&entered] = struct{}{}
	return func() {
		opened.Lock()
		defer opened.Unlock()
		delete(opened.files, &entered)
	}
}

// IsOpen reports whether this process has a connection to the file, by whatever name it was opened, or to another one that had
// the same path.
func (l Location) IsOpen() bool {
	file := l.pinned()
	opened.Lock()
	defer opened.Unlock()
	for other := range opened.files {
		// X.db and x.db are one file on some systems; a folder may be mounted twice.
		if other.path == l.path || file.IsSame(other.pinned()) {
			return true
		}
	}
	return false
}
