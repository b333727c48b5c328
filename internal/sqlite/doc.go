// Package sqlite is how this module speaks to SQLite: which library it accepts, how a path becomes a database name, the
// pools of connections and what each is set to, transactions that nothing else can commit and that notice when something
// else ended them, waiting for locks, and what an error code means. It knows nothing of the registry's tables.
package sqlite

import (
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	_ "github.com/oxide-k/stateregistry/internal/cgo" // says in one line what to do where cgo is off
)

// ErrOldLibrary is CheckLibrary's refusal.
var ErrOldLibrary = errors.New("this SQLite library is too old")

// minLibrary is SQLite 3.51.3: the releases since 3.7.0 before it can lose a commit when two connections reset and write
// the WAL at the same moment (sqlite.org/wal.html, "The WAL-Reset Bug").
const minLibrary = 3_051_003

// CheckLibrary returns ErrOldLibrary where the linked SQLite is older than 3.51.3.
func CheckLibrary() error {
	version, number, _ := sqlite3.Version()
	return checkLibrary(version, number)
}

func checkLibrary(version string, number int) error {
	if number < minLibrary {
		return fmt.Errorf("%w: %s, need 3.51.3 or newer (the WAL-reset bug)", ErrOldLibrary, version)
	}
	return nil
}
