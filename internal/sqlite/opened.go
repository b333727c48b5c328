package sqlite

import "sync"

// opened counts the connections of this process to each file. It belongs to the process, as POSIX locks do, which do not tell the
// connections of one process apart: a restore must find all of them, whichever registry they are of.
var opened = struct {
	sync.Mutex
	count map[string]int // by path
}{count: map[string]int{}}

// enterFile counts a connection that is about to be opened. leave takes it back; called again it does nothing.
func (s Settings) enterFile() (leave func()) {
	if s.Location.IsMemory() || s.alone {
		return func() {}
	}
	add := func(n int) {
		opened.Lock()
		defer opened.Unlock()
		if opened.count[s.Location.path] += n; opened.count[s.Location.path] == 0 {
			delete(opened.count, s.Location.path)
		}
	}
	add(1)
	return sync.OnceFunc(func() { add(-1) })
}

// IsOpen reports whether this process has a connection to the file, by whatever name it was opened.
func (l Location) IsOpen() bool {
	opened.Lock()
	defer opened.Unlock()
	return opened.count[l.path] > 0
}
