package sqlite

import (
	"crypto/rand"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// InMemory is the path that stands for a database in memory.
const InMemory = ":memory:"

// Location is where a database lives: a file, or a name in this process's memory.
type Location struct {
	path   string // absolute, without symlinks; "" in memory
	named  string // the absolute path that the caller gave
	memory string // SQLite's name for a database in memory, which all connections of one registry share
	pin    *pin   // the file that all connections must be on
	still  *still // the file does not change; nil for one that may

	restoring bool // for the restore itself, which its own marker does not stop
}

// Locate turns a path into a Location. Each call with InMemory gives a database of its own. Symlinks are followed now, and
// not again: where they lead later is another database. It returns dbfile.ErrUnfit for an empty path, one with a NUL byte and
// one that leads to no regular file: opening a pipe would wait for ever, and SQLite takes a device for an empty file. A file
// that does not exist is no error, a missing folder is fs.ErrNotExist.
func Locate(path string) (Location, error) {
	if path == InMemory {
		return Location{memory: "/stateregistry-" + rand.Text()}, nil
	}
	resolved, err := dbfile.Resolve(path)
	if err != nil {
		return Location{}, err
	}
	named, err := filepath.Abs(path)
	if err != nil {
		return Location{}, err
	}
	return Location{path: resolved, named: named, pin: &pin{}}, nil
}

// IsMemory reports whether the database lives in memory.
func (l Location) IsMemory() bool { return l.memory != "" }

// String is the path as the caller knows it, for messages.
func (l Location) String() string {
	if l.IsMemory() {
		return InMemory
	}
	return l.named
}

// uri is the database's name with parameters. Only file: URIs take any path: the driver cuts a plain one at its first
// question mark, and SQLite decodes what is escaped here.
func (l Location) uri(params url.Values) string {
	name := l.path
	if l.IsMemory() {
		name = l.memory
		params.Set("vfs", "memdb")
	}
	if l.still != nil {
		params.Set("immutable", "1")
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
