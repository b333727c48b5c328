package dbfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// journalMagic begins each rollback journal, and ends one that names a super-journal (sqlite.org/fileformat2.html, "The
// Rollback Journal"; readSuperJournal in SQLite's pager.c).
const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// checkPlayback returns ErrUnfit if a file beside a database, which info is about, is a hot journal that names another
// journal. After a playback SQLite opens the file of that name, which waits for ever if it is a FIFO, reads all of it into
// memory, and may delete it.
//
// The rollback journal is the one file beside a database that may be opened here: SQLite takes no locks on it, so closing a
// second descriptor drops none.
func checkPlayback(suffix, name string, info os.FileInfo) error {
	const tries = 100 // each transaction of a program that uses no WAL has a journal of its own, and may end at any moment
	for range tries {
		if suffix != "-journal" || info == nil || info.Size() == 0 {
			return nil
		}
		names, failed := readJournal(name, info)
		switch {
		case failed == nil && names:
			return fmt.Errorf("%w: %s names another journal, of a transaction over several databases, which no registry has: "+
				"let the sqlite3 shell recover it", ErrUnfit, name)
		case failed == nil || errors.Is(failed, fs.ErrPermission): // what may not be read here, SQLite may not read either
			return nil
		}
		var err error
		if info, err = lstatJournal(name); err != nil { // such as a FIFO by now
			return err
		}
		if !errors.Is(failed, fs.ErrNotExist) && !errors.Is(failed, ErrReplaced) {
			return fmt.Errorf("look into %s: %w", name, failed)
		}
	}
	return fmt.Errorf("%w: %s", ErrReplaced, name)
}

// readJournal reports whether a journal, which info is about, is hot and names another one. It returns ErrReplaced if the name
// leads to another file by now.
func readJournal(name string, info os.FileInfo) (names bool, err error) {
	f, err := openJournal(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !opened.Mode().IsRegular() || !os.SameFile(opened, info) {
		return false, ErrReplaced
	}
	return namesAnother(f, opened.Size())
}

// namesAnother reports whether a journal is hot and names another one.
func namesAnother(f io.ReaderAt, size int64) (bool, error) {
	first, last := make([]byte, 1), make([]byte, len(journalMagic))
	if size < int64(len(last)) {
		return false, nil
	}
	_, err := f.ReadAt(first, 0)
	if err == nil {
		_, err = f.ReadAt(last, size-int64(len(last)))
	}
	if errors.Is(err, io.EOF) { // its transaction has ended, and cut it
		return false, nil
	}
	// SQLite plays a journal back unless its first byte is zero: PRAGMA journal_mode = PERSIST ends a transaction so.
	return err == nil && first[0] != 0 && string(last) == journalMagic, err
}
