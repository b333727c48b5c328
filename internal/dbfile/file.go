package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is one file, whatever its name is by now.
type File struct{ info os.FileInfo }

// newFile remembers the file that info is about.
func newFile(info os.FileInfo) *File {
	os.SameFile(info, info) // Windows looks the file's number up at the first comparison, by its path
	return &File{info}
}

// find returns the file at a path, nil if there is nothing. It follows no symlink.
func find(path string) (*File, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0: // the path was resolved
		return nil, fmt.Errorf("%w: %s is a symlink by now", ErrReplaced, path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is %s, not a file", ErrUnfit, path, kind(info))
	}
	return newFile(info), nil
}

// At returns ErrReplaced unless f is the file at the path. It follows no symlink there, since the journals of a file lie
// beside the name by which it was opened.
func (f *File) At(path string) error {
	_, err := f.Now(path)
	return err
}

// Now returns f with the owner and the permissions that it has by now. It returns ErrReplaced as At does.
func (f *File) Now(path string) (*File, error) {
	info, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil || !os.SameFile(f.info, info) {
		return nil, fmt.Errorf("%w: %s", ErrReplaced, path)
	}
	return &File{info}, nil
}

// IsSame reports whether both are the same file, whatever their names are. It is false if one of them is nil.
func (f *File) IsSame(other *File) bool {
	return f != nil && other != nil && os.SameFile(f.info, other.info)
}
