package dbfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Workspace is a folder that only its owner may enter, beside a file that is being made. What lies in it has no reader yet.
// It is locked while its maker lives, so that the next one can tell what a process that was killed left behind.
type Workspace struct {
	parent *os.Root // the folder that it is in, wherever its name leads by now
	root   *os.Root
	locked *os.File // its descriptor, which holds the lock
	name   string
	file   string // the name of the only file in it
}

// workPrefix begins the name of each workspace.
const workPrefix = ".stateregistry-"

// workFile returns the name of the only file in a workspace. It ends as the workspace's own name does, in text that is random.
// In a folder without the sticky bit others can rename somebody's private folder to the name of a workspace. They cannot
// rename what is in it, so a sweep can tell that it is not one. It returns "" for a name that no workspace has.
func workFile(workspace string) string {
	const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // rand.Text writes it, and 26 characters at least
	text := workspace[strings.LastIndex(workspace, "-")+1:]
	if !strings.HasPrefix(workspace, workPrefix) || len(text) < 26 || strings.Trim(text, base32) != "" {
		return ""
	}
	return "database-" + text
}

var errLocked = errors.New("the workspace is in use")

// NewWorkspace makes one in dir for a purpose, which is part of its name, and removes those that were left there.
func NewWorkspace(dir, purpose string) (_ *Workspace, err error) {
	parent, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = parent.Close()
		}
	}()
	sweep(parent)
	const tries = 10 // another process that sweeps may take a folder for a leftover before it is locked
	for range tries {
		w := &Workspace{parent: parent, name: workPrefix + purpose + "-" + rand.Text()}
		w.file = workFile(w.name)
		if err = w.make(); err == nil {
			return w, nil
		}
		if !errors.Is(err, errLocked) {
			break
		}
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: path.Err}
	}
	return nil, err
}

func (w *Workspace) make() error {
	if err := w.parent.Mkdir(w.name, 0o700); err != nil {
		return err
	}
	if err := w.take(); err != nil {
		_ = w.parent.Remove(w.name)
		return err
	}
	return nil
}

// take opens and locks the folder that was just made.
func (w *Workspace) take() (err error) {
	info, err := w.parent.Lstat(w.name)
	if err == nil && info.Mode().Perm() != 0o700 { // the umask took bits away
		err = w.parent.Chmod(w.name, 0o700)
	}
	if err != nil {
		return gone(err)
	}
	if w.root, w.locked, err = openWorkspace(w.parent, w.name); err != nil {
		return err
	}
	if err = lock(w.locked); errors.Is(err, errors.ErrUnsupported) {
		err = nil // then nobody removes what it leaves
	}
	if err == nil { // one that was swept has no name. (A file system may give it another owner, or other permissions: all right here.)
		_, err = isOwn(w.parent, w.name, w.locked)
	}
	if err != nil {
		return errors.Join(gone(err), w.locked.Close(), w.root.Close())
	}
	return nil
}

// gone returns errLocked for a folder that disappeared: somebody swept it.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errLocked
	}
	return err
}

// openWorkspace opens a folder and its descriptor.
func openWorkspace(parent *os.Root, name string) (root *os.Root, dir *os.File, err error) {
	if root, err = parent.OpenRoot(name); err != nil {
		return nil, nil, gone(err)
	}
	if dir, err = root.Open("."); err != nil {
		return nil, nil, errors.Join(gone(err), root.Close())
	}
	return root, dir, nil
}

// isOwn reports whether a name is that of the open folder, which is private and belongs to this user.
func isOwn(parent *os.Root, name string, dir *os.File) (bool, error) {
	named, err := parent.Lstat(name) // not through a symlink
	if err != nil {
		return false, err
	}
	opened, err := dir.Stat()
	if err != nil {
		return false, err
	}
	if !named.IsDir() || !os.SameFile(named, opened) {
		return false, fmt.Errorf("%w: %s", ErrReplaced, name)
	}
	uid, known := ownerOf(named)
	return !known || uid == os.Geteuid() && named.Mode().Perm() == 0o700, nil
}

// Path returns the path of the file in the workspace.
func (w *Workspace) Path() string { return filepath.Join(w.parent.Name(), w.name, w.file) }

// Create makes the file, empty and readable by its owner only.
func (w *Workspace) Create() (*os.File, error) {
	f, err := w.root.OpenFile(w.file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != 0o600 { // the umask took bits away
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Holds returns ErrReplaced unless the file in the workspace, by its path, is f.
func (w *Workspace) Holds(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return newFile(info).At(w.Path())
}

// Finish makes what is in the file durable, which Create made and nobody has open any more, and gives it the owner of another file
// if this process is root's and that owner's is the folder too (like may be nil). It returns ErrReplaced if something else got there.
func (w *Workspace) Finish(made os.FileInfo, like *File) (err error) {
	f, err := w.root.OpenFile(w.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !os.SameFile(made, info) {
		return errors.Join(err, fmt.Errorf("%w: %s", ErrReplaced, w.Path()))
	}
	if like != nil {
		if err := giveTo(f, w.parent.Name(), like); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Publish moves the file that Create made, whose info this is, out of the workspace, to a name in the folder beside it. It
// returns fs.ErrExist if the name is taken, and ErrReplaced if something else got there.
func (w *Workspace) Publish(made os.FileInfo, name string) (*File, error) {
	return w.publish(made, name, renameNew)
}

// PublishAtOnce publishes as Publish does if nobody can see the name taken by something unfinished; else errors.ErrUnsupported.
func (w *Workspace) PublishAtOnce(made os.FileInfo, name string) (*File, error) {
	return w.publish(made, name, renameExclusive)
}

func (w *Workspace) publish(made os.FileInfo, name string, rename renaming) (*File, error) {
	file := newFile(made)
	if info, err := w.root.Lstat(w.file); err != nil || !os.SameFile(made, info) {
		return nil, fmt.Errorf("%w: %s", ErrReplaced, w.Path())
	}
	path := filepath.Join(w.parent.Name(), name)
	if err := rename(w.root, w.file, w.parent, name); err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return file, file.At(path)
}

// Remove removes the workspace and what is in it.
func (w *Workspace) Remove() error {
	err := errors.Join(empty(w.root, w.locked, w.file), w.locked.Close(), w.root.Close()) // Windows removes no folder that is open
	if err == nil {
		if err = w.parent.Remove(w.name); errors.Is(err, fs.ErrNotExist) {
			err = nil // swept, since it is not locked any more
		}
	}
	return errors.Join(err, w.parent.Close())
}

// sweep removes the workspaces that processes left which were killed. It touches nothing else: what is locked has a maker
// that lives, and what is not exactly such a folder of this user's is not ours, nor what holds anything that is not named
// after it. Errors are nobody's here: it stays.
func sweep(parent *os.Root) {
	dir, err := parent.Open(".")
	if err != nil {
		return
	}
	entries, _ := dir.ReadDir(-1)
	_ = dir.Close()
	for _, entry := range entries {
		if file := workFile(entry.Name()); entry.IsDir() && file != "" {
			sweepOne(parent, entry.Name(), file)
		}
	}
}

func sweepOne(parent *os.Root, name, file string) {
	root, dir, err := openWorkspace(parent, name)
	if err != nil {
		return
	}
	defer root.Close()
	defer dir.Close()
	if own, err := isOwn(parent, name, dir); err != nil || !own {
		return
	}
	if lock(dir) != nil {
		return
	}
	if empty(root, dir, file) == nil {
		_ = parent.Remove(name)
	}
}

// empty removes the file of a workspace and its journals, if there is nothing else in it.
func empty(root *os.Root, dir *os.File, file string) error {
	if _, err := dir.Seek(0, 0); err != nil {
		return err
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		suffix, ours := strings.CutPrefix(entry.Name(), file)
		if !ours || suffix != "" && !slices.Contains(suffixes, suffix) || !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not this program's: %w", filepath.Join(root.Name(), entry.Name()), fs.ErrExist)
		}
	}
	for _, entry := range entries {
		if err := root.Remove(entry.Name()); err != nil {
			return err
		}
	}
	return nil
}
