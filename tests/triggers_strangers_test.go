package tests

import (
	"context"
	"errors"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// strangers are triggers that another program puts on the registry's tables while they are open: against the rules, and found
// by Verify and the next Open. Until then no write that one of them swallows is acknowledged.
var strangers = []struct {
	name, trigger string
	key           string // the entry that it is about
	module        string // or the module
	write         func(ctx context.Context, w registry.Writer, key string) error
}{
	{"SetConfig of a new key", "BEFORE INSERT ON config WHEN NEW.key = 'x'", "x", "", setOne},
	{"SetConfig", "BEFORE UPDATE ON config WHEN NEW.key = 'a'", "a", "", setOne},
	{"SetConfig, unlogged", "AFTER UPDATE ON config WHEN NEW.key = 'a'", "a", "", setOne},
	{"SetConfig, by way of the log", "BEFORE INSERT ON changes", "a", "", setOne},
	{"DeleteConfig", "BEFORE DELETE ON config WHEN OLD.key = 'a'", "a", "", deleteOne},
	{"DeleteConfig, unlogged", "AFTER DELETE ON config WHEN OLD.key = 'a'", "a", "", deleteOne},
	{"UpsertModule of a new id", "BEFORE INSERT ON modules WHEN NEW.id = 'x'", "", "x", upsertOne},
	{"UpsertModule", "BEFORE UPDATE ON modules WHEN NEW.id = 'm'", "", "m", upsertOne},
	{"UpsertModule, unlogged", "AFTER UPDATE ON modules WHEN NEW.id = 'm'", "", "m", upsertOne},
	{"UpsertModule of a new id, unlogged", "AFTER INSERT ON modules WHEN NEW.id = 'x'", "", "x", upsertOne},
	{"SetModuleState", "BEFORE UPDATE ON modules WHEN NEW.id = 'm'", "", "m", setOneState},
	{"SetModuleState, unlogged", "AFTER UPDATE ON modules WHEN NEW.id = 'm'", "", "m", setOneState},
	{"TransitionModule", "BEFORE UPDATE OF state ON modules WHEN NEW.id = 'm'", "", "m", transitionOne},
	{"DeleteModule", "BEFORE DELETE ON modules WHEN OLD.id = 'm'", "", "m", deleteOneModule},
	{"DeleteModule, unlogged", "AFTER DELETE ON modules WHEN OLD.id = 'm'", "", "m", deleteOneModule},
}

func setOne(ctx context.Context, w registry.Writer, key string) error {
	_, err := w.SetConfig(ctx, key, 1)
	return err
}

func deleteOne(ctx context.Context, w registry.Writer, key string) error {
	_, err := w.DeleteConfig(ctx, key)
	return err
}

func upsertOne(ctx context.Context, w registry.Writer, id string) error {
	_, err := w.UpsertModule(ctx, registry.ModuleMetadata{ID: id, Kind: registry.KindWasm}, registry.StateRunning)
	return err
}

func setOneState(ctx context.Context, w registry.Writer, id string) error {
	_, err := w.SetModuleState(ctx, id, registry.StateFailed)
	return err
}

func transitionOne(ctx context.Context, w registry.Writer, id string) error {
	_, err := w.TransitionModule(ctx, id, registry.StateLoaded, registry.StateStarting)
	return err
}

func deleteOneModule(ctx context.Context, w registry.Writer, id string) error {
	_, err := w.DeleteModule(ctx, id)
	return err
}

// Who can write the file can also set SQLite's count of the schema's changes back, or to 0.
func (s *triggerSuite) TestATriggerIsNoticedWhateverTheSchemasVersionSays() {
	if s.mode.memory {
		s.T().Skip("no stranger gets at it")
	}
	const plant = "CREATE TRIGGER stranger BEFORE INSERT ON config BEGIN SELECT RAISE(IGNORE); END"
	for name, steps := range map[string]func(ctx context.Context, reg *registry.Registry, path, back string){
		"before the first write": func(_ context.Context, _ *registry.Registry, path, _ string) {
			sqliteExec(s.T(), path, plant, "PRAGMA schema_version = 0")
		},
		"after a write that was refused": func(ctx context.Context, reg *registry.Registry, path, back string) {
			s.Require().NoError(setOne(ctx, reg, "a"))
			sqliteExec(s.T(), path, plant)
			s.Require().ErrorIs(setOne(ctx, reg, "x"), registry.ErrCorrupt)
			sqliteExec(s.T(), path, back)
		},
		"after a transaction that was undone": func(ctx context.Context, reg *registry.Registry, path, back string) {
			s.Require().NoError(setOne(ctx, reg, "a"))
			sqliteExec(s.T(), path, plant, back)
			undone := errors.New("undone")
			s.Require().ErrorIs(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.ExecContext(ctx, "CREATE TABLE mine (x)")
				s.Require().NoError(err)
				return undone
			}), undone)
		},
	} {
		s.Run(name, func() {
			ctx := s.T().Context()
			reg, path := s.planted()
			back := "PRAGMA schema_version = " + sqliteRows(s.T(), path, "PRAGMA schema_version")[0][0]
			steps(ctx, reg, path, strings.ReplaceAll(back, `"`, ""))
			s.Require().ErrorIs(setOne(ctx, reg, "x"), registry.ErrCorrupt)
			s.Require().NoError(reg.Close())
		})
	}
}

// What is copied or rewritten is looked at first.
func (s *triggerSuite) TestASchemaThatWasTamperedWithIsNotRewritten() {
	if s.mode.memory {
		s.T().Skip("no stranger gets at it")
	}
	reg, path := s.planted()
	sqliteExec(s.T(), path, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'TABLE' WHERE name = 'config'")
	before := contentOf(s.T(), path)
	_, err := reg.Compact(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().ErrorIs(reg.Backup(s.T().Context(), path+".backup"), registry.ErrCorrupt)
	s.Require().NoFileExists(path + ".backup")
	s.Require().Equal(before, contentOf(s.T(), path))
	s.Require().NoError(reg.Close())
}

func (s *triggerSuite) TestAWriteThatATriggerSwallowsIsNotAcknowledged() {
	if s.mode.memory {
		s.T().Skip("no stranger gets at it")
	}
	for _, c := range strangers {
		s.Run(c.name, func() {
			ctx := s.T().Context()
			reg, path := s.planted()
			defer func() { s.Require().NoError(reg.Close()) }()
			sqliteExec(s.T(), path, "CREATE TRIGGER stranger "+c.trigger+" BEGIN SELECT RAISE(IGNORE); END")
			before := s.rows(reg)
			err := c.write(ctx, reg, c.key+c.module)
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.Require().ErrorContains(err, "trigger")
			err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				s.Require().NoError(setOne(ctx, tx, "undone"))
				return c.write(ctx, tx, c.key+c.module)
			})
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.Require().Equal(before, s.rows(reg), "nothing of it is left")

			// It is not about that row alone: who knows what else the program did.
			s.Require().ErrorIs(setOne(ctx, reg, "other"), registry.ErrCorrupt)
			s.Require().ErrorIs(reg.Update(ctx, func(context.Context, *registry.Tx) error { return nil }), registry.ErrCorrupt)
			s.Require().Equal(before, s.rows(reg), "reading goes on")
			sqliteExec(s.T(), path, "DROP TRIGGER stranger")
			s.Require().NoError(c.write(ctx, reg, c.key+c.module))
		})
	}
}
