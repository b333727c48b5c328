package migrate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
)

// CoreName is the name of the core's set in the ledger.
const CoreName = "core"

// Set is a named line of migrations.
type Set struct {
	Name       string
	Migrations []Migration // by ascending number
}

// Migration is one file of a set.
type Migration struct {
	Number   int64
	Name     string // the file's name
	SQL      string
	Checksum string // SHA-256 of SQL, lowercase hex
}

var (
	setName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	fileName = regexp.MustCompile(`^([0-9]{5})_.+\.sql$`)
)

// NewSet reads the files NNNNN_*.sql in fsys, in whatever folder; other files are left alone. The name must be lowercase
// letters, digits and underscores, and not the core's. No file, two with one number, or number 0 are errors: ErrSet.
func NewSet(name string, fsys fs.FS) (Set, error) {
	if !setName.MatchString(name) {
		return Set{}, refuse(ErrSet, "name %q: want lowercase letters, digits and underscores", name)
	}
	if name == CoreName {
		return Set{}, refuse(ErrSet, "name %q is the registry's own", name)
	}
	return load(name, fsys)
}

func load(name string, fsys fs.FS) (Set, error) {
	set := Set{Name: name}
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		match := fileName.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil
		}
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		number, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 { // SQLite would stop reading there
			return fmt.Errorf("%s holds a NUL", file)
		}
		sum := sha256.Sum256(text)
		set.Migrations = append(set.Migrations, Migration{
			Number: number, Name: path.Base(file), SQL: string(text), Checksum: hex.EncodeToString(sum[:]),
		})
		return nil
	})
	if err != nil {
		return Set{}, refuse(ErrSet, "%s: %w", name, err)
	}
	if len(set.Migrations) == 0 {
		return Set{}, refuse(ErrSet, "%s: no file NNNNN_name.sql", name)
	}
	slices.SortFunc(set.Migrations, func(a, b Migration) int { return cmp.Compare(a.Number, b.Number) })
	last := int64(0)
	for _, m := range set.Migrations {
		if m.Number == last {
			return Set{}, refuse(ErrSet, "%s: %s: number %05d is 0 or taken", name, m.Name, m.Number)
		}
		last = m.Number
	}
	return set, nil
}
