package dbfile

import (
	"os"
	"path/filepath"
)

// checkOwnerBeside checks whose a file beside a database is, as checkOwner does, for who plays back nothing. If the database is missing
// the folder's owner may have put it there too: whoever restores for a service finds what the service left.
func checkOwnerBeside(name string, info os.FileInfo, file *File) error {
	if file == nil {
		folder, err := os.Stat(filepath.Dir(name))
		if err != nil {
			return err
		}
		file = &File{ownerOnly{folder}}
	}
	return checkOwner(name, info, file)
}

// ownerOnly is what is known of a file by its folder: its owner, and not that others may write it.
type ownerOnly struct{ os.FileInfo }

func (ownerOnly) Mode() os.FileMode { return 0o600 }

// IsMadeHere reports whether a file in dir is of an owner that a restore by this process gives to a new file: this user, or, if
// that is root, the owner of the folder. It holds of each file on systems that know of no owners.
func (f *File) IsMadeHere(dir string) (bool, error) {
	owner, known := ownerOf(f.info)
	if !known || owner == os.Geteuid() {
		return true, nil
	}
	if os.Geteuid() != 0 {
		return false, nil
	}
	folder, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	its, _ := ownerOf(folder)
	return owner == its, nil
}
