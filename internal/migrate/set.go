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
	SQL      string // with line feeds between lines, whatever the file has
	Checksum string // SHA-256 of SQL, lowercase hex
}

var (
	setName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	fileName = regexp.MustCompile(`^([0-9]{5})_.+\.sql$`)
	// A file that was meant as a migration, and would be left out without a word.
	almostFileName = regexp.MustCompile(`(?i)^[0-9].*\.sql$`)
	// What other migration tools take as the beginning of the way back. sqlc leaves it out, and here it would run.
	downMarker = regexp.MustCompile(`(?mi)^\s*--\s*(\+goose\s+down|\+migrate\s+down|migrate:down)`)
)

// NewSet reads the files NNNNN_*.sql in fsys, in whatever folder; other files are left alone. The name must be lowercase
// letters, digits and underscores, and not the core's. No file, two with one number, number 0, a number of other than
// five digits, and a file with a way back in it are errors: ErrSet.
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
			if almostFileName.MatchString(entry.Name()) {
				return fmt.Errorf("%s is not named NNNNN_name.sql (five digits, underscore)", file)
			}
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
		if found := downMarker.Find(text); found != nil {
			return fmt.Errorf("%s has a part %q: the whole file would run", file, bytes.TrimSpace(found))
		}
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) // git writes either, by its settings
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
	last := Migration{Name: "no file"}
	for _, m := range set.Migrations {
		if m.Number == last.Number {
			return Set{}, refuse(ErrSet, "%s: %s: number %05d is that of %s", name, m.Name, m.Number, last.Name)
		}
		last = m
	}
	return set, nil
}
