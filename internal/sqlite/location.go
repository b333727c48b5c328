package sqlite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// InMemory is the path that stands for a database in memory.
const InMemory = ":memory:"

// Location is where a database lives: a file, or a name in this process's memory.
type Location struct {
	path   string // absolute; "" in memory
	memory string // SQLite's name for a database in memory, which all connections of one registry share
}

// Locate turns a path into a Location. Each call with InMemory gives a database of its own. An empty path, one with a
// NUL byte and one that is no regular file are errors: opening a pipe would wait for ever, and SQLite takes a device for
// an empty file. A path that does not exist is none.
func Locate(path string) (Location, error) {
	switch {
	case path == InMemory:
		return Location{memory: "/stateregistry-" + rand.Text()}, nil
	case path == "":
		return Location{}, errors.New("the path is empty")
	case strings.ContainsRune(path, 0):
		return Location{}, errors.New("the path holds a NUL byte")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Location{}, err
	}
	if info, err := os.Stat(abs); err == nil && !info.Mode().IsRegular() {
		return Location{}, fmt.Errorf("%s is a folder, a device or the like, not a file", abs)
	}
	return Location{path: abs}, nil
}

// IsMemory reports whether the database lives in memory.
func (l Location) IsMemory() bool { return l.memory != "" }

// Stat says which file is there now, nil where none is. A database in memory has none.
func (l Location) Stat() (os.FileInfo, error) {
	if l.IsMemory() {
		return nil, nil
	}
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// String is the path, for messages.
func (l Location) String() string {
	if l.IsMemory() {
		return InMemory
	}
	return l.path
}

// template makes an empty file that only its owner can read, beside the database: SQLite gives its permissions to the
// file that it creates ("modeof", sqlite.org/uri.html), which is private from its first byte. Nothing of the database
// itself is opened here: closing a second descriptor of a live one would drop this process's locks on it.
func (l Location) template() (name string, remove func(), err error) {
	f, err := createTemp(filepath.Dir(l.path))
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.Remove(f.Name()) }
	if err := f.Close(); err != nil {
		remove()
		return "", nil, err
	}
	return f.Name(), remove, nil
}

// createTemp makes an empty file that only its owner can read. Where it cannot, the error names the folder.
func createTemp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".stateregistry-*")
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: path.Err}
	}
	return f, err
}

// uri is the database's name with parameters. Only file: URIs take any path: the driver cuts a plain one at its first
// question mark, and SQLite decodes what is escaped here.
func (l Location) uri(params url.Values) string {
	name := l.path
	if l.IsMemory() {
		name = l.memory
		params.Set("vfs", "memdb")
	}
	// SQLite decodes %20 and leaves a plus sign alone.
	return fileURI(name) + "?" + strings.ReplaceAll(params.Encode(), "+", "%20")
}

func fileURI(path string) string { return slashedURI(filepath.ToSlash(path)) }

// slashedURI returns the URI of an absolute path with forward slashes. What follows file:// up to the next slash would be a
// host, which SQLite does not take, so that C:/x is file:///C:/x there, and a share //host/x is file:////host/x
// (sqlite.org/uri.html).
func slashedURI(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
