package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// restoreMarker is what a restore's marker says: to whoever finds it, and to the restore that finishes an interrupted one.
type restoreMarker struct {
	Note           string    `json:"note"`
	File           string    `json:"file"`
	Backup         string    `json:"backup"`
	BackupSize     int64     `json:"backup_size"`
	BackupModified time.Time `json:"backup_modified"`
	Began          time.Time `json:"began"`
	Kept           []string  `json:"kept"`     // the names of what was in the file's place, the oldest first; "" if there was nothing
	ID             string    `json:"id"`       // the registry's
	Above          int64     `json:"above"`    // the highest revision that was known
	Revision       int64     `json:"revision"` // of the change that records the restore
}

const markerNote = "stateregistry: a restore of this file is running, or was interrupted. Run it again, with this backup or another " +
	"one: it finishes. To give up instead: if the file is missing, rename what is kept back, with -wal and -journal if they are " +
	"there; then remove this marker."

// keptInfix is in the name of each file that was replaced, between the registry's and a time.
const keptInfix = ".before-restore-"

// takeMarker takes over the marker of an interrupted restore, if there is one.
func (r *restoring) takeMarker(file *dbfile.File) error {
	marker, content, err := dbfile.TakeMarker(r.target.Path(), file)
	if err != nil || marker == nil {
		return err
	}
	r.marker = marker
	base := filepath.Base(r.target.Path())
	var left restoreMarker
	err = json.Unmarshal(content, &left)
	for _, name := range left.Kept {
		if err == nil && name != "" && (!strings.HasPrefix(name, base+keptInfix) || filepath.Base(name) != name) {
			err = fmt.Errorf("it calls %.100q kept", name)
		}
	}
	if err == nil && (left.Above < 0 || left.File != base) {
		err = errors.New("it is about something else")
	}
	if err != nil {
		return invalid("%s%s is no marker of a restore: find out who put it there, and remove it: %w",
			r.target.Path(), dbfile.MarkerSuffix, err)
	}
	dir := filepath.Dir(r.target.Path())
	kept := left.Kept
	left.Kept = nil
	for _, name := range kept { // it was interrupted before, or somebody renamed it back
		if name == "" || errors.Is(dbfile.CheckNames(filepath.Join(dir, name)), os.ErrExist) {
			left.Kept = append(left.Kept, name)
		}
	}
	r.left = &left
	return nil
}

// content returns what the marker of this restore says.
func (r *restoring) content(kept []string, above int64) ([]byte, error) {
	info, err := os.Stat(r.from)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(restoreMarker{
		Note: markerNote, File: filepath.Base(r.target.Path()), Backup: r.from, BackupSize: info.Size(), BackupModified: info.ModTime().UTC(),
		Began: time.Now().UTC(), Kept: kept, ID: r.report.ID, Above: above, Revision: r.report.Revision,
	}, "", "  ")
	return append(text, '\n'), err
}

// finishes reports whether the interrupted restore was of the same backup, and had put the new file there: nobody may have lost that
// since, so whatever was written to it stays.
func (r *restoring) finishes() bool {
	info, err := os.Stat(r.from)
	return err == nil && r.left.Backup == r.from && r.left.BackupSize == info.Size() && r.left.BackupModified.Equal(info.ModTime()) &&
		!r.old.blank && r.old.unread == nil && r.old.id == r.left.ID && r.old.newest >= r.left.Revision
}

// keptNames returns the name that the old file gets, and all that the marker and the report shall name.
func (r *restoring) keptNames() (name string, names []string, err error) {
	dir, base := filepath.Split(r.target.Path())
	if r.left != nil {
		names = r.left.Kept
	}
	if r.old.file == nil && len(r.old.journals) > 0 && len(names) > 0 { // they belong to the file that was moved last
		last := names[len(names)-1]
		if last != "" && areFree(dir+last, r.old.journals, r.target.Path()) {
			return last, names, nil
		}
	}
	const tries = 100
	for range tries {
		name = base + keptInfix + time.Now().UTC().Format("20060102T150405.000000000Z")
		if err = dbfile.CheckNames(dir + name); !errors.Is(err, os.ErrExist) {
			break
		}
	}
	if r.old.file != nil || len(r.old.journals) > 0 {
		names = append(names[:len(names):len(names)], name)
	} else if len(names) == 0 {
		names = []string{""}
	}
	return name, names, err
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

// keeps says in the report what was kept.
func (r *restoring) keeps(names []string) {
	for i, name := range names {
		path := filepath.Join(filepath.Dir(r.target.Path()), name)
		switch {
		case name == "":
		case i == 0:
			r.report.Kept = path
		default:
			r.report.AlsoKept = append(r.report.AlsoKept, path)
		}
	}
}
