package sqlite

/*
#include <stdlib.h>

// The driver links SQLite into the program, so these are there; its header is not needed.
extern char *sqlite3_temp_directory;
extern void *sqlite3_mutex_alloc(int);
extern void sqlite3_mutex_enter(void *);
extern void sqlite3_mutex_leave(void *);
extern char *sqlite3_mprintf(const char *, ...);

// SQLITE_MUTEX_STATIC_TEMPDIR, which SQLite holds while it reads the name.
#define TEMPDIR_MUTEX 11

static char *tempdir_copy(const char *name) { return sqlite3_mprintf("%s", name); }

// Puts a name in the place of the present one, which it returns. With only_if it does so only if that is the present one.
static char *tempdir_swap(char *name, char *only_if) {
  void *mutex = sqlite3_mutex_alloc(TEMPDIR_MUTEX);
  sqlite3_mutex_enter(mutex);
  char *former = sqlite3_temp_directory;
  if (only_if == 0 || former == only_if) sqlite3_temp_directory = name;
  sqlite3_mutex_leave(mutex);
  return former;
}

static char *tempdir_present(void) { return sqlite3_temp_directory; }
*/
import "C"

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/mattn/go-sqlite3"
)

// SQLite keeps the name of the folder for temporary files in one variable of the process, and this driver's SQLite has no
// pragma for it. So it is set for the time of one large job only, and one job runs after the other: hence these variables of
// the package.
var (
	// tempTurn holds a token while a job has the variable.
	tempTurn = make(chan struct{}, 1)
	// tempNames are SQLite's copies of the names that were set, guarded by tempTurn. They are never freed: SQLite reads
	// the variable without its mutex when it creates an unnamed file.
	tempNames = map[string]*C.char{}
)

// WithTempFiles calls f while what the writer puts aside goes to files in the database's folder, and not to memory: for jobs
// that may put aside as much as the database is large. There must be no transaction on the writer. Databases of one process
// take turns; what other code of this process does with SQLite meanwhile puts its temporary files there as well. The files
// have no name, or lose it at once, except on Windows; if the folder cannot be written SQLite looks for another one itself
// (TMPDIR, /var/tmp, /tmp).
//
// Plaintext that is about to be encrypted does not belong there.
func WithTempFiles(ctx context.Context, writer *sql.DB, l Location, w Wait, f func() error) (err error) {
	if l.IsMemory() {
		return f()
	}
	select {
	case tempTurn <- struct{}{}:
	default:
		timeout := time.NewTimer(w.Left())
		defer timeout.Stop()
		select {
		case tempTurn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
			return fmt.Errorf("another database of this process has the turn for temporary files: %w",
				sqlite3.Error{Code: sqlite3.ErrBusy})
		}
	}
	defer func() { <-tempTurn }()
	name, err := tempName(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	former := C.tempdir_swap(name, nil)
	defer C.tempdir_swap(former, name) // unless other code has put another there
	restore, err := setWriter(ctx, writer, w, "PRAGMA temp_store = FILE", "PRAGMA temp_store = MEMORY")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	return f()
}

// tempDirectory returns the present value of SQLite's variable, for tests.
func tempDirectory() unsafe.Pointer { return unsafe.Pointer(C.tempdir_present()) }

// tempName returns SQLite's copy of a folder's name. The caller has the turn.
func tempName(dir string) (*C.char, error) {
	if name := tempNames[dir]; name != nil {
		return name, nil
	}
	text := C.CString(dir)
	name := C.tempdir_copy(text)
	C.free(unsafe.Pointer(text))
	if name == nil {
		return nil, errors.New("no memory for the name of the folder for temporary files")
	}
	tempNames[dir] = name
	return name, nil
}
