package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// suffixes are those of the files that SQLite keeps beside a database.
var suffixes = []string{"-journal", "-wal", "-shm"}

// Examine returns the database file at a path that Resolve gave, nil if there is none. It changes nothing, and opens nothing
// but a rollback journal.
//
//   - ErrUnfit: the file has a second name or is a mount of its own, or something beside it cannot be its journal, or is one
//     that SQLite must not play back. The text says what to do.
//   - ErrTorn: there is a journal with content, and no content that it belongs to.
//   - ErrReplaced: the file changed meanwhile. Examine it again.
func Examine(path string) (*File, error) {
	file, err := find(path)
	if err != nil {
		return nil, err
	}
	if file != nil {
		if err := checkNames(path, file); err != nil {
			return nil, err
		}
	}
	sizes, err := checkBeside(path, file, checkOwner)
	if err != nil {
		return nil, err
	}
	torn := checkTogether(path, file, sizes)
	if torn == nil {
		return file, nil
	}
	// Another process may have made the file, and then its journal, between two looks.
	now, err := find(path)
	if err != nil {
		return nil, err
	}
	if (file == nil) != (now == nil) || now != nil && now.info.Size() > 0 {
		return nil, fmt.Errorf("%w: %s", ErrReplaced, path)
	}
	return nil, torn
}

// checkNames returns ErrUnfit if the file can be reached by another name. Each name has journals of its own, so whoever opens
// the other one reads and writes another state.
func checkNames(path string, file *File) error {
	names, err := links(path, file.info)
	if err != nil {
		return err
	}
	if names > 1 {
		return fmt.Errorf("%w: %s has %d names (hard links), and commits made under one are lost under another: "+
			"remove the others, or copy it to a file of its own", ErrUnfit, path, names)
	}
	if isMount(path) {
		return fmt.Errorf("%w: %s is a mount of its own, so its journals would not lie beside the original and would be "+
			"lost with the mount: mount the folder, not the file", ErrUnfit, path)
	}
	return nil
}

// checkBeside returns the sizes of the files beside a database, and ErrUnfit if one of them cannot be its own. owner checks whose
// they are.
func checkBeside(path string, file *File, owner func(string, os.FileInfo, *File) error) (sizes map[string]int64, err error) {
	sizes = map[string]int64{}
	err = eachJournal(path, func(suffix, name string, info os.FileInfo) error {
		sizes[suffix] = info.Size()
		return owner(name, info, file)
	})
	return sizes, err
}

// CheckJournals returns ErrUnfit if something beside a database is no file, or a journal that leads SQLite to another file, or
// one that somebody put there who may not write the database. Opening a FIFO would wait for ever, and a stranger's journal
// would be played into the database. Owners are not looked at if file, which is the database, is nil: it is being made.
func CheckJournals(path string, file *File) error {
	return eachJournal(path, func(_, name string, info os.FileInfo) error {
		if file == nil {
			return nil
		}
		return checkOwner(name, info, file)
	})
}

// eachJournal calls check for each file that lies beside a database, before it is opened. It returns check's error, and
// ErrUnfit for what is no file, or leads SQLite to another one.
func eachJournal(path string, check func(suffix, name string, info os.FileInfo) error) error {
	for _, suffix := range suffixes {
		name := path + suffix
		info, err := lstatJournal(name)
		if err != nil {
			return err
		}
		if info == nil {
			continue
		}
		if err := check(suffix, name, info); err != nil {
			return err
		}
		if err := checkPlayback(suffix, name, info); err != nil {
			return err
		}
	}
	return nil
}

// lstatJournal returns what os.Lstat does, nil if there is nothing, and ErrUnfit for what is no file.
func lstatJournal(name string) (os.FileInfo, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is %s, not a file: remove it", ErrUnfit, name, kind(info))
	}
	return info, err
}

// checkOwner returns ErrUnfit if somebody put a journal there who may not write the database: what it holds would be played
// into the database, and what is committed could be read by its owner. It knows nothing of owners on some systems.
func checkOwner(name string, info os.FileInfo, file *File) error {
	const writableByOthers = 0o022
	if file != nil && file.info.Mode()&writableByOthers != 0 {
		return nil // others may write the database itself
	}
	owner, known := ownerOf(info)
	if !known {
		return nil
	}
	allowed := owner == 0 || owner == os.Geteuid()
	if file != nil && !allowed {
		its, _ := ownerOf(file.info)
		allowed = owner == its
	}
	if !allowed {
		return fmt.Errorf("%w: %s belongs to user %d, who may not write the registry: find out who put it there, and move it away",
			ErrUnfit, name, owner)
	}
	if names, err := links(name, info); err != nil || names <= 1 {
		return err
	}
	return fmt.Errorf("%w: %s has another name (a hard link): remove that one", ErrUnfit, name)
}

// checkTogether returns ErrTorn if a journal has lost its database. A new database would throw the journal's commits away.
// (An empty file with a rollback journal is what a crash leaves of a new database: the journal undoes it.)
func checkTogether(path string, file *File, sizes map[string]int64) error {
	journal, state := "-wal", "is missing"
	switch {
	case file == nil && sizes["-wal"] > 0:
	case file == nil && sizes["-journal"] > 0:
		journal = "-journal"
	case file != nil && file.info.Size() == 0 && sizes["-wal"] > 0:
		state = "is empty"
	default:
		return nil
	}
	journal = filepath.Base(path) + journal
	return fmt.Errorf("%w: %s %s, and %s beside it may hold commits: put the file back that %[4]s belongs to, or move %[4]s "+
		"away if its content is not wanted", ErrTorn, path, state, journal)
}
