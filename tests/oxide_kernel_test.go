package tests

import (
	"database/sql"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// kernel is an oxide-k kernel that goes on using the file: it writes with oxide-k's own statements, on a connection of its own with the driver's default settings.
type kernel struct{ *sql.DB }

func (s *oxideFixture) kernel() kernel { return kernel{s.raw(s.path, "")} }

func (k kernel) upsertModule(id, name, state string) error {
	_, err := k.Exec(`INSERT INTO modules (id, name, version, kind, state, description, updated_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(id) DO UPDATE SET name = excluded.name, version = excluded.version,
		kind = excluded.kind, state = excluded.state, description = excluded.description, updated_at = excluded.updated_at`,
		id, name, "0.1.0", `"native"`, state, nil, "2026-06-01T00:00:00.123+00:00")
	return err
}

func (k kernel) setState(id, state string) error {
	_, err := k.Exec(`UPDATE modules SET state = ?1, updated_at = ?2 WHERE id = ?3`, state, "2026-06-01T00:00:00+00:00", id)
	return err
}

func (k kernel) setConfig(key, value string) error {
	_, err := k.Exec(`INSERT INTO config (key, value, updated_at) VALUES (?1, ?2, ?3)
		ON CONFLICT(key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
		key, value, "2026-06-01T00:00:00.123456789+00:00")
	return err
}

func (k kernel) deleteConfig(key string) error {
	_, err := k.Exec(`DELETE FROM config WHERE key = ?1`, key)
	return err
}

// kernelWrites runs each of oxide-k's statements, and gives what the log must say of them.
func (s *oxideSuite) kernelWrites(k kernel, after int64) []entry {
	s.Require().NoError(k.upsertModule("hello", "Hello", `"loaded"`))
	s.Require().NoError(k.upsertModule("hello", "Hello again", `"starting"`))
	s.Require().NoError(k.setState("hello", `"running"`))
	s.Require().NoError(k.setState("no such module", `"running"`))
	s.Require().NoError(k.setConfig("kernel.new", `{"a":[1,2]}`))
	s.Require().NoError(k.setConfig("kernel.new", `18446744073709551615`))
	s.Require().NoError(k.setConfig("on", `false`))
	s.Require().NoError(k.deleteConfig("on"))
	s.Require().NoError(k.deleteConfig("no such key"))
	return []entry{
		{after + 1, "module", "hello", "put"}, {after + 2, "module", "hello", "put"}, {after + 3, "module", "hello", "put"},
		{after + 4, "config", "kernel.new", "put"}, {after + 5, "config", "kernel.new", "put"},
		{after + 6, "config", "on", "put"}, {after + 7, "config", "on", "delete"},
	}
}

// seesKernelWrites checks that all of kernelWrites is there.
func (s *oxideSuite) seesKernelWrites(want []entry) {
	ctx := s.T().Context()
	found := s.rows(s.reg)
	s.Require().Equal(want, found.log[len(found.log)-len(want):])
	m, err := s.reg.GetModule(ctx, "hello")
	s.Require().NoError(err)
	s.Require().Equal("Hello again", m.Name)
	s.Require().Equal(registry.StateRunning, m.State)
	s.Require().Equal(want[2].revision, m.Revision)
	e, err := s.reg.GetConfigEntry(ctx, "kernel.new")
	s.Require().NoError(err)
	s.Require().Equal(want[4].revision, e.Revision)
	s.Require().Equal(time.Date(2026, 6, 1, 0, 0, 0, 123456789, time.UTC), e.UpdatedAt)
	most, err := registry.Get[uint64](ctx, s.reg, "kernel.new")
	s.Require().NoError(err)
	s.Require().EqualValues(uint64(18446744073709551615), most)
	s.Require().ErrorIs(s.reg.GetConfig(ctx, "on", new(any)), registry.ErrConfigNotFound)
	_, err = s.reg.Verify(ctx)
	s.Require().NoError(err)
}

func (s *oxideSuite) TestKernelGoesOnWritingWhileTheRegistryIsOpen() {
	k := s.kernel()
	s.seesKernelWrites(s.kernelWrites(k, oxideRows))
	revision, err := s.reg.SetConfig(s.T().Context(), "on", "ours")
	s.Require().NoError(err)
	s.Require().EqualValues(oxideRows+8, revision)
	s.seesKernelWrites(s.kernelWrites(k, revision))
}

func (s *oxideSuite) TestKernelGoesOnWritingAfterTheRegistryWasClosed() {
	s.Require().NoError(s.reg.Close())
	k := s.kernel()
	want := s.kernelWrites(k, oxideRows)
	s.Require().NoError(k.Close())
	s.reg = s.open(registry.WithMustExist())
	s.seesKernelWrites(want)
}

func (s *oxideSuite) TestKernelAndRegistryWriteAtTheSameTime() {
	const writes = 50
	k, ctx := s.kernel(), s.T().Context()
	var both sync.WaitGroup
	errs := make(chan error, 2*writes)
	both.Go(func() {
		for i := range writes {
			errs <- k.setConfig(fmt.Sprint("shared", i%5), fmt.Sprint(i))
		}
	})
	both.Go(func() {
		for i := range writes {
			_, err := s.reg.SetConfig(ctx, fmt.Sprint("shared", i%7), i)
			errs <- err
		}
	})
	both.Wait()
	for range 2 * writes {
		s.Require().NoError(<-errs)
	}
	changes, err := s.reg.Changes(ctx, oxideRows, 1000)
	s.Require().NoError(err)
	s.Require().Len(changes, 2*writes)
}

func (s *oxideSuite) TestKernelReadsWhatTheRegistryWrites() {
	ctx := s.T().Context()
	description := "of ours"
	_, err := s.reg.UpsertModule(ctx, registry.ModuleMetadata{
		ID: "ours", Name: "Ours", Version: "1.0.0", Kind: registry.KindNative, Description: &description,
	}, registry.StateStopping)
	s.Require().NoError(err)
	_, err = s.reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "bare", Kind: registry.KindWasm}, registry.StateLoaded)
	s.Require().NoError(err)
	_, err = s.reg.SetModuleState(ctx, "echo", registry.StateFailed)
	s.Require().NoError(err)
	_, err = s.reg.SetConfig(ctx, "ours", map[string]any{"html": "<&>", "n": uint64(1<<64 - 1)})
	s.Require().NoError(err)

	k := s.kernel()
	for id, want := range map[string][6]string{
		"ours": {"ours", "Ours", "1.0.0", `"native"`, `"stopping"`, "of ours"},
		"bare": {"bare", "", "", `"wasm"`, `"loaded"`, "NULL"},
		"echo": {"echo", "Echo", "0.1.0", `"native"`, `"failed"`, "NULL"},
	} {
		var got [6]string
		var text sql.NullString
		var at string
		s.Require().NoError(k.QueryRow(
			`SELECT id, name, version, kind, state, description, updated_at FROM modules WHERE id = ?`, id,
		).Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &text, &at))
		got[5] = "NULL"
		if text.Valid {
			got[5] = text.String
		}
		s.Require().Equal(want, got)
		s.Require().Regexp(regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00$`), at)
		parsed, err := time.Parse(time.RFC3339Nano, at)
		s.Require().NoError(err)
		s.Require().WithinDuration(time.Now(), parsed, time.Hour)
	}
	var value string
	s.Require().NoError(k.QueryRow(`SELECT value FROM config WHERE key = ?`, "ours").Scan(&value))
	s.Require().Equal(`{"html":"<&>","n":18446744073709551615}`, value)
}
