package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// restoreMarker is what a restore's marker says: to whoever finds it, and to the restore that finishes an interrupted one.
type restoreMarker struct {
	Note           string     `json:"note"`
	File           fileName   `json:"file"`
	Backup         fileName   `json:"backup"`
	BackupSize     int64      `json:"backup_size"`
	BackupModified time.Time  `json:"backup_modified"`
	Began          time.Time  `json:"began"`
	Kept           []fileName `json:"kept"`          // the names of what was in the file's place, the oldest first; "" if there was nothing
	KeptFile       bool       `json:"kept_file"`     // the last of them is of a file, not of journals alone
	WasEncrypted   bool       `json:"was_encrypted"` // the file that the first of them is of
	ID             string     `json:"id"`            // the registry's
	Above          int64      `json:"above"`         // the highest revision that was known
	Revision       int64      `json:"revision"`      // of the change that records the restore
	// At is the time of that change. Nobody else can read it, so a file that was planted does not have it.
	At time.Time `json:"at"`
}

// fileName is a path or a part of one. JSON texts are UTF-8, and paths need not be: those have a form of their own.
type fileName string

// quotedName is the form of a name that is not UTF-8, as a Go string literal.
type quotedName struct {
	Quoted string `json:"quoted"`
}

func (n fileName) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(quotedName{strconv.QuoteToASCII(string(n))})
}

func (n *fileName) UnmarshalJSON(text []byte) error {
	var name string
	if json.Unmarshal(text, &name) == nil {
		*n = fileName(name)
		return nil
	}
	var quoted quotedName
	err := json.Unmarshal(text, &quoted)
	if err == nil {
		name, err = strconv.Unquote(quoted.Quoted)
	}
	*n = fileName(name)
	return err
}

const markerNote = "stateregistry: a restore of this file is running, or was interrupted. Run it again, with this backup or another " +
	"one of the same registry: it finishes. To give up instead: if the file is missing, first rename what is kept back, with -wal and " +
	"-journal if they are there; then remove this marker."

// keptInfix is in the name of each file that was replaced, between the registry's and a time.
const keptInfix = ".before-restore-"

// takeMarker takes over the marker of an interrupted restore, if there is one.
func (r *restoring) takeMarker(file *dbfile.File) error {
	marker, content, err := dbfile.TakeMarker(r.target.Path(), file)
	if err != nil || marker == nil {
		return err
	}
	r.marker = marker
	if content == nil { // that restore began nothing
		return nil
	}
	var left restoreMarker
	if err = json.Unmarshal(content, &left); err == nil {
		err = left.check(filepath.Base(r.target.Path()))
	}
	if err != nil {
		return invalid("%s%s is no marker of a restore: find out who put it there, and remove it: %w",
			r.target.Path(), dbfile.MarkerSuffix, err)
	}
	if left.ID != r.report.ID {
		return invalid("an interrupted restore was of another registry, with the id %.64q where the backup has %.64q: run it again with a "+
			"backup of that registry, or give it up as %s%s says", left.ID, r.report.ID, r.target.Path(), dbfile.MarkerSuffix)
	}
	dir := filepath.Dir(r.target.Path())
	kept := left.Kept
	left.Kept = nil
	for i, name := range kept { // it was interrupted before, or somebody renamed it back
		if name == "" || errors.Is(dbfile.CheckNames(filepath.Join(dir, string(name))), os.ErrExist) {
			left.Kept = append(left.Kept, name)
		} else if i == len(kept)-1 {
			left.KeptFile = false
		}
	}
	r.left = &left
	return nil
}

// check returns an error unless the marker is one that a restore of the file base wrote.
func (m *restoreMarker) check(base string) error {
	switch {
	case string(m.File) != base:
		return errors.New("it is about something else")
	case m.ID == "":
		return errors.New("it names no registry")
	case m.Above < 0 || m.Above > maxRestored || m.Revision != m.Above+restoredAbove:
		return fmt.Errorf("revision %d above %d", m.Revision, m.Above)
	}
	for _, kept := range m.Kept {
		name := string(kept)
		if name != "" && (!strings.HasPrefix(name, base+keptInfix) || filepath.Base(name) != name) {
			return fmt.Errorf("it calls %.100q kept", name)
		}
	}
	return nil
}

// content returns what the marker of this restore says.
func (r *restoring) content(kept []fileName, above int64) ([]byte, error) {
	text, err := json.MarshalIndent(restoreMarker{
		Note: markerNote, File: fileName(filepath.Base(r.target.Path())), Backup: fileName(r.from), BackupSize: r.info.Size(),
		BackupModified: r.info.ModTime().UTC(), Began: time.Now().UTC(), Kept: kept,
		KeptFile: r.old.file != nil || r.left != nil && r.left.KeptFile && len(kept) == len(r.left.Kept),
		ID:       r.report.ID, WasEncrypted: r.report.WasEncrypted, Above: above, Revision: r.report.Revision, At: r.at.Time,
	}, "", "  ")
	return append(text, '\n'), err
}

// isFinished reports whether the interrupted restore was of the same backup, and had put the new file there, with revisions above all
// that this one shall go above. Nobody may have lost that file since, so whatever was written to it stays.
func (r *restoring) isFinished(o restoreOptions) bool {
	return r.left != nil && r.old.left && string(r.left.Backup) == r.from && r.left.BackupSize == r.info.Size() &&
		r.left.BackupModified.Equal(r.info.ModTime()) && o.above <= r.left.Above
}

// isLeft reports whether the file is the one that the interrupted restore made: it has the change that the marker tells of, and
// belongs to somebody whom a restore makes files for.
func (r *restoring) isLeft() (bool, error) {
	first := r.old.first
	if r.left == nil || r.old.blank || r.old.unread != nil || r.old.id != r.left.ID || first == nil || r.left.At.IsZero() ||
		first.Revision != r.left.Revision || first.Subject != string(SubjectRegistry) || first.Key != r.left.ID ||
		first.Op != string(OpPut) || !first.At.Time.Equal(r.left.At) {
		return false, nil
	}
	return r.old.file.IsMadeHere(filepath.Dir(r.target.Path()))
}

// keptNames returns the name that the old file gets, and all that the marker and the report shall name.
func (r *restoring) keptNames() (name string, names []fileName, err error) {
	dir, base := filepath.Split(r.target.Path())
	if r.left != nil {
		names = r.left.Kept
	}
	if last, ok := r.lastKept(); ok {
		return last, names, nil
	}
	const tries = 100
	for range tries {
		name = base + keptInfix + time.Now().UTC().Format("20060102T150405.000000000Z")
		if err = dbfile.CheckNames(dir + name); !errors.Is(err, os.ErrExist) {
			break
		}
	}
	if r.old.file != nil || len(r.old.journals) > 0 {
		names = append(names[:len(names):len(names)], fileName(name))
	} else if len(names) == 0 {
		names = []fileName{""}
	}
	return name, names, err
}

// lastKept returns the name of what was moved last, if what is there now belongs to it: journals that lost their file, or a file that
// lost its journals because the disk kept only the later one of two renames.
func (r *restoring) lastKept() (string, bool) {
	if r.left == nil || len(r.left.Kept) == 0 || r.left.Kept[len(r.left.Kept)-1] == "" || r.old.left {
		return "", false
	}
	last := string(r.left.Kept[len(r.left.Kept)-1])
	kept := filepath.Join(filepath.Dir(r.target.Path()), last)
	if r.old.file != nil {
		if _, err := os.Lstat(kept); !r.left.KeptFile || !errors.Is(err, os.ErrNotExist) {
			return "", false
		}
	} else if len(r.old.journals) == 0 {
		return "", false
	}
	return last, areFree(kept, r.old.journals, r.target.Path())
}

// areFree reports whether the journals of path can have the same names beside kept.
func areFree(kept string, journals []string, path string) bool {
	for _, journal := range journals {
		if _, err := os.Lstat(kept + strings.TrimPrefix(journal, path)); !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	return true
}

// keeps says in the report what was kept. It names no file that does not exist: of an old file that was missing there may be journals.
func (r *restoring) keeps(names []fileName) {
	for i, name := range names {
		if name == "" {
			continue
		}
		path := filepath.Join(filepath.Dir(r.target.Path()), string(name))
		for _, suffix := range []string{"", "-wal", "-journal"} {
			if _, err := os.Lstat(path + suffix); err != nil {
				continue
			}
			if i == 0 && r.report.Kept == "" {
				r.report.Kept = path + suffix
			} else {
				r.report.AlsoKept = append(r.report.AlsoKept, path+suffix)
			}
			if suffix == "" { // its journals go without saying
				break
			}
		}
	}
}
