package tests

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestOpen(t *testing.T) {
	runInFileModes(t, func() *openSuite { return &openSuite{} })
}

type openSuite struct{ fileSuite }

func (s *openSuite) TestMissingFilesAreCreatedOnlyOnRequest() {
	for name, opt := range map[string]registry.Option{
		"WithMustExist": registry.WithMustExist(), "WithReadOnly": registry.WithReadOnly(),
	} {
		s.Run(name, func() {
			_, err := s.tryOpen(s.file("x.db"), opt)
			s.Require().ErrorIs(err, fs.ErrNotExist)
			s.Require().Empty(names(s.T(), s.dir))
		})
	}
}

func (s *openSuite) TestMissingFolder() {
	for _, opts := range [][]registry.Option{nil, {registry.WithMustExist()}, {registry.WithReadOnly()}} {
		_, err := s.tryOpen(s.file("none/x.db"), opts...)
		s.Require().ErrorIs(err, fs.ErrNotExist)
		s.Require().Empty(names(s.T(), s.dir))
	}
}

func (s *openSuite) TestPathsThatCanBeNoFile() {
	s.Require().NoError(os.Mkdir(s.file("folder"), 0o700))
	symlink(s.T(), "folder", s.file("link"))
	paths := map[string]string{
		"empty": "", "NUL": s.file("a\x00b"), "folder": s.file("folder"), "link to a folder": s.file("link"),
		"device": os.DevNull, "this folder": ".",
	}
	made, err := makePipe(s.file("pipe"))
	s.Require().NoError(err)
	if made {
		paths["pipe"] = s.file("pipe")
	}
	before := folder(s.T(), s.dir)
	for name, path := range paths {
		_, err := s.tryOpen(path)
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		s.Require().Equal(before, folder(s.T(), s.dir), name)
	}
	s.Require().NoFileExists(os.DevNull + "-wal")
}

func (s *openSuite) TestAnEmptyFileIsNewUnlessItMustExist() {
	path := s.file("x.db")
	s.Require().NoError(os.WriteFile(path, nil, 0o600))
	for _, opt := range []registry.Option{registry.WithMustExist(), registry.WithReadOnly()} {
		before := folder(s.T(), s.dir)
		_, err := s.tryOpen(path, opt)
		s.Require().ErrorIs(err, registry.ErrNotRegistry)
		s.Require().Equal(before, folder(s.T(), s.dir))
	}
	fill(s.T(), s.open(path))
}

func (s *openSuite) TestBadOptions() {
	good := files{"00001_a.sql": "CREATE TABLE notes (id)"}.fs()
	for name, opts := range map[string][]registry.Option{
		"nil":                   {nil},
		"durability":            {registry.WithDurability(registry.Durability(2))},
		"negative durability":   {registry.WithDurability(registry.Durability(-1))},
		"negative lock timeout": {registry.WithLockTimeout(-time.Nanosecond)},
		"nil logger":            {registry.WithLogger(nil)},
		"nil clock":             {registry.WithClock(nil)},
		"nil file system":       {registry.WithMigrations("notes", nil)},
		"set given twice":       {registry.WithMigrations("notes", good), registry.WithMigrations("notes", good)},
		"log limit 0":           {registry.WithLogLimit(0)},
		"negative log limit":    {registry.WithLogLimit(-1)},
		"largest value 0":       {registry.WithMaxValue(0)},
		"negative value":        {registry.WithMaxValue(-1)},
		"largest value too big": {registry.WithMaxValue(512<<20 + 1)},
		"unknown template":      {registry.WithKeyTemplate(keyset.Template(3))},
		"negative template":     {registry.WithKeyTemplate(keyset.Template(-1))},
		"nil progress":          {registry.WithProgress(nil)},
		"good and bad":          {registry.WithMustExist(), registry.WithMaxValue(0)},
	} {
		_, err := s.tryOpen(s.file("x.db"), opts...)
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		s.Require().Empty(names(s.T(), s.dir), name)
	}
}

func (s *openSuite) TestOptionsAtTheirBoundaries() {
	reg := s.open(s.file("x.db"), registry.WithLockTimeout(0), registry.WithLogLimit(1),
		registry.WithMaxValue(512<<20), registry.WithDurability(registry.Full))
	fill(s.T(), reg)
}

func (s *openSuite) TestAContextThatEndedOpensNothing() {
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, err := s.mode.open(ctx, s.file("x.db"))
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Empty(names(s.T(), s.dir))

	path := s.file("y.db")
	s.oxideFile(path)
	before := folder(s.T(), s.dir)
	_, err = s.mode.open(ctx, path)
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Equal(before, folder(s.T(), s.dir))
}

func (s *openSuite) TestTheContextBoundsOnlyTheOpening() {
	ctx, cancel := context.WithCancel(s.T().Context())
	reg, err := s.mode.open(ctx, s.file("x.db"))
	s.Require().NoError(err)
	cancel()
	fill(s.T(), reg)
	requireFilled(s.T(), reg)
	closeVerified(s.T(), reg)
}

func (s *openSuite) TestReopeningChangesNoByte() {
	path := s.create("x.db")
	before := folder(s.T(), s.dir)
	for range 3 {
		reg, err := s.tryOpen(path)
		s.Require().NoError(err)
		requireFilled(s.T(), reg)
		s.Require().NoError(reg.Close())
		s.Require().Equal(before, folder(s.T(), s.dir))
	}
}

func (s *openSuite) TestReadOnlyReadsAndNeverWrites() {
	path := s.create("x.db")
	before := folder(s.T(), s.dir)["x.db"]
	reg := s.open(path, registry.WithReadOnly())
	requireFilled(s.T(), reg)
	ctx := s.T().Context()
	changes, err := reg.Changes(ctx, 0, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 5)
	s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		requireFilled(s.T(), tx)
		return nil
	}))

	for name, write := range map[string]func() error{
		"UpsertModule": func() error {
			_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "new", Kind: registry.KindWasm}, registry.StateLoaded)
			return err
		},
		"SetModuleState": func() error { _, err := reg.SetModuleState(ctx, "echo", registry.StateRunning); return err },
		"TransitionModule": func() error {
			_, err := reg.TransitionModule(ctx, "echo", registry.StateLoaded, registry.StateRunning)
			return err
		},
		"DeleteModule": func() error { _, err := reg.DeleteModule(ctx, "echo"); return err },
		"SetConfig":    func() error { _, err := reg.SetConfig(ctx, "greeting", 7); return err },
		"DeleteConfig": func() error { _, err := reg.DeleteConfig(ctx, "greeting"); return err },
		"Modify": func() error {
			_, err := registry.Modify(ctx, reg, "greeting", func(int, bool) (int, error) { return 7, nil })
			return err
		},
		"Update": func() error {
			return reg.Update(ctx, func(context.Context, *registry.Tx) error { s.Fail("Update ran"); return nil })
		},
		"ReadDB": func() error { _, err := reg.ReadDB().ExecContext(ctx, "DELETE FROM config"); return err },
	} {
		s.Require().ErrorIs(write(), registry.ErrReadOnly, name)
	}
	requireFilled(s.T(), reg)
	closeVerified(s.T(), reg)
	s.Require().Equal(before, folder(s.T(), s.dir)["x.db"])
}

// A reader that came first sees what a writer does later.
func (s *openSuite) TestReadOnlyFollowsAWriter() {
	path := s.create("x.db")
	reader, writer := s.open(path, registry.WithReadOnly()), s.open(path)
	requireFilled(s.T(), reader)
	revision, err := writer.SetConfig(s.T().Context(), "greeting", 7)
	s.Require().NoError(err)
	entry, err := reader.GetConfigEntry(s.T().Context(), "greeting")
	s.Require().NoError(err)
	s.Require().Equal(revision, entry.Revision)
}

func (s *openSuite) TestConnectionsSyncAndCheckAsPromised() {
	path := s.file("x.db")
	pragma := func(reg *registry.Registry, name string) (value string) {
		s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			return tx.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
		}))
		return value
	}
	reg := s.open(path)
	s.Require().Equal("wal", pragma(reg, "journal_mode"))
	s.Require().Equal("2", pragma(reg, "synchronous"))
	s.Require().Equal("1", pragma(reg, "foreign_keys"))
	s.Require().Equal("0", pragma(reg, "trusted_schema"))
	s.Require().Equal("1", pragma(s.open(path, registry.WithDurability(registry.Normal)), "synchronous"))
	var readers string
	s.Require().NoError(reg.ReadDB().QueryRowContext(s.T().Context(), "PRAGMA foreign_keys").Scan(&readers))
	s.Require().Equal("1", readers)
	s.Require().NoError(reg.Close())
	s.Require().Equal([][]string{{`"wal"`}}, sqliteRows(s.T(), filepath.Join(s.dir, "x.db"), "PRAGMA journal_mode"))
}
