package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxLinks is how many symlinks that lead nowhere yet are followed one after the other.
const maxLinks = 40

// Resolve follows a path as the system does, and returns the absolute path without symlinks of the file that it means. The
// file need not exist, its folder must. It returns ErrUnfit for a path that can mean no file and for one that means
// something else, such as a folder or a FIFO.
func Resolve(path string) (string, error) {
	abs, err := absolute(path)
	if err != nil {
		return "", err
	}
	resolved, err := follow(abs)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(resolved)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return "", fmt.Errorf("%w: %s is %s, not a file", ErrUnfit, resolved, kind(info))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return resolved, nil
}

// ResolveNew resolves the folder of a file that is to be made, and keeps the file's own name, whatever is there. It returns
// ErrUnfit as Resolve does, but not for a symlink: that one takes the name, wherever it leads.
func ResolveNew(path string) (string, error) {
	abs, err := absolute(path)
	if err != nil {
		return "", err
	}
	dir, name := filepath.Split(abs)
	if name == "" || name == "." || name == ".." {
		return "", fmt.Errorf("%w: %s is a folder, not a file", ErrUnfit, abs)
	}
	if dir, err = evalSymlinks(dir); err != nil {
		return "", err
	}
	resolved := filepath.Join(dir, name)
	info, err := os.Lstat(resolved)
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return "", fmt.Errorf("%w: %s is %s, not a file", ErrUnfit, resolved, kind(info))
	}
	return resolved, nil
}

// absolute puts the working folder before a relative path. It leaves ".." alone: after a symlink the system goes to the
// parent of what the link leads to.
func absolute(path string) (string, error) {
	switch {
	case path == "":
		return "", fmt.Errorf("%w: the path is empty", ErrUnfit)
	case strings.ContainsRune(path, 0):
		return "", fmt.Errorf("%w: the path holds a NUL byte", ErrUnfit)
	}
	if runtime.GOOS == "windows" { // paths there have more forms, and ".." is taken away before the system sees it
		return filepath.Abs(path)
	}
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = dir + "/" + path
	}
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		return trimmed, nil
	}
	return "/", nil
}

// follow resolves every symlink of a path, also one that leads to a file that does not exist yet.
func follow(path string) (string, error) {
	for range maxLinks {
		resolved, err := evalSymlinks(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return resolved, err
		}
		dir, name := filepath.Split(path)
		if name == "" || name == "." || name == ".." {
			return "", err
		}
		if dir, err = evalSymlinks(dir); err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
		target, err := os.Readlink(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil
		case err != nil:
			if info, failed := os.Lstat(path); failed == nil && info.Mode()&fs.ModeSymlink == 0 {
				return path, nil // it was made a moment ago
			}
			return "", err
		case !filepath.IsAbs(target):
			target = dir + string(filepath.Separator) + target
		}
		path = target
	}
	return "", fmt.Errorf("%w: %s leads through too many symlinks", ErrUnfit, path)
}

func evalSymlinks(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		return resolved, nil
	}
	if runtime.GOOS == "windows" { // which has volumes and links that cannot be resolved, and works with them
		if _, failed := os.Lstat(path); failed == nil {
			return filepath.Clean(path), nil
		}
	}
	if _, known := errors.AsType[*fs.PathError](err); !known && strings.Contains(err.Error(), "too many links") {
		return "", fmt.Errorf("%w: %s: its symlinks lead in a circle", ErrUnfit, path) // EvalSymlinks has no error of its own for it
	}
	return "", err
}

// kind says what something that is no file is.
func kind(info os.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symlink"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
