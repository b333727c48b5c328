package tests

import (
	"io/fs"
	"maps"
	"testing/fstest"
)

// files are a subsystem's migrations: path to SQL.
type files map[string]string

func (f files) fs() fs.FS {
	fsys := fstest.MapFS{}
	for name, text := range f {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// with is the files and one more.
func (f files) with(name, text string) files {
	more := maps.Clone(f)
	more[name] = text
	return more
}

// notesV1 is a subsystem's first version.
var notesV1 = files{"00001_notes.sql": "CREATE TABLE notes (id INTEGER PRIMARY KEY, module TEXT NOT NULL REFERENCES modules (id))"}.fs()
