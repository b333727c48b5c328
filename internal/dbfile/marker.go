package dbfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrRestoring says that a restore of the file began and has not ended: the file is the old one, the new one, or missing.
var ErrRestoring = errors.New("a restore of it is running, or was interrupted: run it again")

// MarkerSuffix ends the name of the file that lies beside a database while a restore puts another one in its place.
const MarkerSuffix = "-restoring"

// maxMarker is how much a marker may hold, in bytes.
const maxMarker = 64 << 10

// CheckMarker returns ErrRestoring if a restore's marker lies beside the database at path, which is file, or nil if there is none.
// It returns ErrUnfit if something else has the marker's name. It opens nothing.
func CheckMarker(path string, file *File) error {
	name := path + MarkerSuffix
	info, err := lstatMarker(name, file)
	if err != nil || info == nil {
		return err
	}
	// The file itself and not what was looked at: whoever removes the marker of a file that is missing gets a new registry.
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (%s is missing; to give the restore up, first rename what %s calls kept back to that name)", ErrRestoring, path, name)
	}
	return fmt.Errorf("%w (%s says from which backup; to give the restore up, remove that file)", ErrRestoring, name)
}

// lstatMarker returns what os.Lstat does, nil if there is nothing, and ErrUnfit for what no restore of the database puts there.
func lstatMarker(name string, file *File) (os.FileInfo, error) {
	info, err := lstatJournal(name)
	if err == nil && info != nil {
		err = checkOwnerBeside(name, info, file)
	}
	return info, err
}

// Marker is the marker of a restore that this process does. It is locked while the process lives, so that another one can tell a
// restore that was interrupted from one that is running.
type Marker struct {
	path   string // of the database
	dir    *os.Root
	folder *os.File // dir's descriptor: without one that is open, what has been renamed could not be made durable
	file   *os.File // no database: closing it drops no locks that matter. nil if it cannot be locked
	info   os.FileInfo
}

// ErrLocked says that another process, or another call, is restoring the same file.
var ErrLocked = errors.New("another restore of the same file is running")

// TakeMarker takes over the marker that an interrupted restore left beside the database at path, and returns what it holds. Without one
// it returns nil. content is nil if the restore had not come so far that its marker held anything: it had begun nothing. It returns
// ErrLocked if that restore still runs, and ErrUnfit for what is no marker.
func TakeMarker(path string, file *File) (_ *Marker, content []byte, err error) {
	// A restore that ends removes its marker, and another one may begin at once.
	const tries = 100
	name := path + MarkerSuffix
	for range tries {
		info, err := lstatMarker(name, file)
		if err != nil || info == nil {
			return nil, nil, err
		}
		f, err := openJournal(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		m, content, err := holdMarker(path, f, info)
		if err == nil {
			return m, content, nil
		}
		if err = errors.Join(err, f.Close()); !errors.Is(err, ErrReplaced) {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%w: %s", ErrReplaced, name)
}

// holdMarker locks a marker that is open, if it is still the one that info is about, and reads it.
func holdMarker(path string, f *os.File, info os.FileInfo) (*Marker, []byte, error) {
	if err := lock(f); errors.Is(err, errLocked) {
		return nil, nil, fmt.Errorf("%w (%s)", ErrLocked, path+MarkerSuffix)
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !opened.Mode().IsRegular() || !os.SameFile(opened, info) {
		return nil, nil, fmt.Errorf("%w: %s", ErrReplaced, path+MarkerSuffix)
	}
	if err := newFile(opened).At(path + MarkerSuffix); err != nil { // the restore ended before the lock was free
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxMarker+1))
	if err == nil && len(content) > maxMarker {
		err = fmt.Errorf("%w: %s is no marker of a restore: find out who put it there, and remove it", ErrUnfit, path+MarkerSuffix)
	}
	if err != nil {
		return nil, nil, err
	}
	if string(content) == placeholder {
		content = nil
	} else if content == nil {
		content = []byte{}
	}
	dir, folder, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	return &Marker{path: path, dir: dir, folder: folder, file: f, info: opened}, content, nil
}

// PlaceMarker puts a marker beside the database at path. It is complete and durable when PlaceMarker returns. It returns fs.ErrExist if
// there is one. On an error it leaves none of its own.
func PlaceMarker(path string, content []byte) (*Marker, error) {
	dir, folder, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	m := &Marker{path: path, dir: dir, folder: folder}
	if err := m.put(content, renameNew); err != nil {
		return nil, errors.Join(err, m.Leave())
	}
	if err := syncFolder(folder); err != nil {
		return nil, errors.Join(err, m.Remove())
	}
	return m, nil
}

// Replace puts other content into the marker, at once and durably. On an error the marker has the old content or the new one: it is
// never gone, since a file may be missing that only the marker knows of.
func (m *Marker) Replace(content []byte) error {
	err := m.put(content, func(source *os.Root, from string, target *os.Root, to string) error {
		return os.Rename(filepath.Join(source.Name(), from), filepath.Join(target.Name(), to))
	})
	if err != nil {
		return err
	}
	return syncFolder(m.folder)
}

// put makes a file with the content and gives it the marker's name. If it returns no error, m is the new file.
func (m *Marker) put(content []byte, rename renaming) (err error) {
	work, err := NewWorkspace(filepath.Dir(m.path), "marker")
	if err != nil {
		return err
	}
	defer work.Remove() // what it cannot remove the next one does
	f, err := work.Create()
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	var info os.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if lock(f) != nil { // then nobody can tell that this process lives, and Windows renames no file that is open
		err, f = f.Close(), nil
	}
	if err == nil {
		_, err = work.publish(info, filepath.Base(m.path)+MarkerSuffix, rename)
	}
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	if m.file != nil {
		_ = m.file.Close() // it was only read, and has no name any more
	}
	m.file, m.info = f, info
	return nil
}

// Leave closes the marker and leaves it where it is.
func (m *Marker) Leave() error {
	err := errors.Join(m.folder.Close(), m.dir.Close())
	if m.file != nil {
		err = errors.Join(err, m.file.Close())
	}
	return err
}

// Remove removes the marker, durably, and closes it. It returns ErrReplaced, and removes nothing, if another one took its place.
func (m *Marker) Remove() (err error) {
	defer func() { err = errors.Join(err, m.Leave()) }()
	name := filepath.Base(m.path) + MarkerSuffix
	now, err := m.dir.Lstat(name)
	if err != nil {
		return err
	}
	if !os.SameFile(now, m.info) {
		return fmt.Errorf("%w: %s", ErrReplaced, m.path+MarkerSuffix)
	}
	if err := m.dir.Remove(name); err != nil {
		return err
	}
	return syncFolder(m.folder)
}
