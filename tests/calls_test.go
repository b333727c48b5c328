package tests

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// callSuite is what the suites about transactions, contexts and closing embed: each method of the API as a value, so
// that a promise about all of them is checked on all of them.
type callSuite struct{ modeSuite }

// call is one method, called with fixed arguments: config entry "held", module "kernel".
type call struct {
	name string
	run  func(ctx context.Context) error
}

// patience is when a call that should have returned is taken for one that hangs. No test waits that long, however slow the
// machine is, unless it fails.
const patience = 2 * time.Minute

// slowQuery counts for minutes, if nobody stops it.
const slowQuery = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000)
SELECT count(*) FROM n`

// slowInsert writes for minutes, if nobody stops it. The text of all its rows is the parameter.
const slowInsert = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000)
INSERT INTO config (key, value, updated_at) SELECT 'slow/' || i, ?, '2026-01-01T00:00:00.000000000+00:00' FROM n`

// insertRow writes one config entry; its key and its text are the parameters.
const insertRow = `INSERT INTO config (key, value, updated_at) VALUES (?, ?, '2026-01-01T00:00:00.000000000+00:00')`

// inserting is insertRow with its parameters in it. The text is what sealed gives: there is no quote in it.
func inserting(key, text string) string {
	return strings.Replace(strings.Replace(insertRow, "?", "'"+key+"'", 1), "?", "'"+text+"'", 1)
}

func (s *callSuite) metadata() registry.ModuleMetadata {
	return registry.ModuleMetadata{ID: "kernel", Name: "Kernel", Version: "1.0.0", Kind: registry.KindNative}
}

// fill stores the rows that the calls are about.
func (s *callSuite) fill(w registry.Writer) {
	_, err := w.SetConfig(s.T().Context(), "held", 1)
	s.Require().NoError(err)
	_, err = w.UpsertModule(s.T().Context(), s.metadata(), registry.StateLoaded)
	s.Require().NoError(err)
}

func (s *callSuite) reads(r registry.Reader) []call {
	return []call{
		{"GetModule", func(ctx context.Context) error { _, err := r.GetModule(ctx, "kernel"); return err }},
		{"ListModules", func(ctx context.Context) error { _, err := r.ListModules(ctx); return err }},
		{"GetConfig", func(ctx context.Context) error { var n int; return r.GetConfig(ctx, "held", &n) }},
		{"GetConfigEntry", func(ctx context.Context) error { _, err := r.GetConfigEntry(ctx, "held"); return err }},
		{"ListConfig", func(ctx context.Context) error { _, err := r.ListConfig(ctx, ""); return err }},
		{"ScanConfig", func(ctx context.Context) error { _, err := scanned(r.ScanConfig(ctx, "")); return err }},
		{"Changes", func(ctx context.Context) error { _, err := r.Changes(ctx, 0, 10); return err }},
		{"Revision", func(ctx context.Context) error { _, err := r.Revision(ctx); return err }},
		{"Get", func(ctx context.Context) error { _, err := registry.Get[int](ctx, r, "held"); return err }},
		{"TryGet", func(ctx context.Context) error { _, _, err := registry.TryGet[int](ctx, r, "held"); return err }},
	}
}

func (s *callSuite) writes(w registry.Writer) []call {
	return []call{
		{"UpsertModule", func(ctx context.Context) error {
			_, err := w.UpsertModule(ctx, s.metadata(), registry.StateFailed)
			return err
		}},
		{"SetModuleState", func(ctx context.Context) error {
			_, err := w.SetModuleState(ctx, "kernel", registry.StateFailed)
			return err
		}},
		{"TransitionModule", func(ctx context.Context) error {
			_, err := w.TransitionModule(ctx, "kernel", registry.StateLoaded, registry.StateFailed)
			return err
		}},
		{"DeleteModule", func(ctx context.Context) error { _, err := w.DeleteModule(ctx, "kernel"); return err }},
		{"SetConfig", func(ctx context.Context) error { _, err := w.SetConfig(ctx, "held", 2); return err }},
		{"DeleteConfig", func(ctx context.Context) error { _, err := w.DeleteConfig(ctx, "held"); return err }},
		{"Modify", func(ctx context.Context) error {
			_, err := registry.Modify(ctx, w, "held", func(n int, _ bool) (int, error) { return n + 1, nil })
			return err
		}},
	}
}

// statements are the methods of a db.DBTX, reading.
func (s *callSuite) statements(q db.DBTX) []call {
	const query = "SELECT count(*) FROM config"
	return []call{
		{"ExecContext", func(ctx context.Context) error { _, err := q.ExecContext(ctx, query); return err }},
		{"PrepareContext", func(ctx context.Context) error {
			stmt, err := q.PrepareContext(ctx, query)
			if err == nil {
				err = stmt.Close()
			}
			return err
		}},
		{"QueryContext", func(ctx context.Context) error {
			rows, err := q.QueryContext(ctx, query)
			if err == nil {
				err = rows.Close()
			}
			return err
		}},
		{"QueryRowContext.Scan", func(ctx context.Context) error {
			var n int
			return q.QueryRowContext(ctx, query).Scan(&n)
		}},
		{"a generated query", func(ctx context.Context) error { _, err := db.New().GetRevision(ctx, q); return err }},
	}
}

// all are the methods of a *Registry that take a context.
func (s *callSuite) all(reg *registry.Registry) []call {
	nothing := func(context.Context, *registry.Tx) error { return nil }
	calls := append(s.reads(reg), s.writes(reg)...)
	for _, c := range s.statements(reg.ReadDB()) {
		calls = append(calls, call{"ReadDB." + c.name, c.run})
	}
	return append(calls,
		call{"View", func(ctx context.Context) error { return reg.View(ctx, nothing) }},
		call{"Update", func(ctx context.Context) error { return reg.Update(ctx, nothing) }},
		call{"Verify", func(ctx context.Context) error { _, err := reg.Verify(ctx); return err }},
		call{"Backup", func(ctx context.Context) error {
			return reg.Backup(ctx, filepath.Join(s.T().TempDir(), "backup.db"))
		}},
		call{"KeysetInfo", func(ctx context.Context) error { _, err := reg.KeysetInfo(ctx); return s.encryptedOnly(err) }},
		call{"RotateKeyset", func(ctx context.Context) error { _, err := reg.RotateKeyset(ctx); return s.encryptedOnly(err) }},
		call{"Rewrap", func(ctx context.Context) error {
			kek := s.mode.kek
			if !s.mode.encrypted() {
				kek = modeRawKey()
			}
			return s.encryptedOnly(reg.Rewrap(ctx, kek))
		}},
	)
}

// encryptedOnly takes ErrNotEncrypted for what it is in a plaintext mode: the answer.
func (s *callSuite) encryptedOnly(err error) error {
	if !s.mode.encrypted() && errors.Is(err, registry.ErrNotEncrypted) {
		return nil
	}
	return err
}

// openers leave rows open on a transaction of reg, each in a way of its own.
func (s *callSuite) openers(reg *registry.Registry) map[string]func(ctx context.Context, tx *registry.Tx) error {
	const query = "SELECT key FROM config"
	const returning = `INSERT INTO config (key, value, updated_at) VALUES ('r1', ?, '2026-01-01T00:00:00Z'),
('r2', ?, '2026-01-01T00:00:00Z') ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING key`
	r1, r2 := sealed(s.T(), reg, "r1", "1"), sealed(s.T(), reg, "r2", "1")
	return map[string]func(ctx context.Context, tx *registry.Tx) error{
		"the callback's context": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(ctx, query)
			return first(rows, err)
		},
		"the background": func(_ context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(context.Background(), query)
			return first(rows, err)
		},
		"a context without an end": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(context.WithoutCancel(ctx), query)
			return first(rows, err)
		},
		"a row that is not scanned": func(_ context.Context, tx *registry.Tx) error {
			return tx.QueryRowContext(context.Background(), query).Err()
		},
		"a prepared statement": func(ctx context.Context, tx *registry.Tx) error {
			stmt, err := tx.PrepareContext(ctx, query)
			if err != nil {
				return err
			}
			rows, err := stmt.QueryContext(context.Background())
			return first(rows, err)
		},
		"a statement that writes": func(ctx context.Context, tx *registry.Tx) error {
			if _, err := tx.SetConfig(ctx, "before", 1); errors.Is(err, registry.ErrReadOnly) {
				return nil // a View has no such statements
			}
			rows, err := tx.QueryContext(context.Background(), returning, r1, r2)
			return first(rows, err)
		},
		"an interrupt beside them": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(ctx, query)
			if err := first(rows, err); err != nil {
				return err
			}
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			var n int
			if err := tx.QueryRowContext(short, slowQuery).Scan(&n); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("not interrupted: %w", err)
			}
			return nil
		},
	}
}

// first steps to the first row, and leaves the rows open.
func first(rows *sql.Rows, err error) error {
	if err == nil && !rows.Next() {
		err = errors.Join(errors.New("no row"), rows.Err())
	}
	return err
}

// soon runs f, and fails where it does not return.
func (s *callSuite) soon(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done) // also where a failed requirement ends the goroutine
		f()
	}()
	s.wait(done)
}

// wait waits for a channel that another goroutine closes.
func (s *callSuite) wait(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(patience):
		s.Require().FailNow("it hangs")
	}
}

// revision is the newest committed revision.
func (s *callSuite) revision(reg *registry.Registry) int64 {
	revision, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	return revision
}

// impatient is a registry of its own that waits for locks for a short time only.
func (s *callSuite) impatient() *registry.Registry {
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()), registry.WithLockTimeout(50*time.Millisecond))
	s.Require().NoError(err)
	s.T().Cleanup(func() { s.NoError(reg.Close()) })
	return reg
}

// lock takes the write lock of the test's file as another process would, until release is called.
func (s *callSuite) lock() (release func()) {
	pool, err := sql.Open("sqlite3", sqliteURI(s.path, "?mode=rw&_busy_timeout=10000"))
	s.Require().NoError(err)
	conn, err := pool.Conn(s.T().Context())
	s.Require().NoError(err)
	_, err = conn.ExecContext(s.T().Context(), "BEGIN IMMEDIATE")
	s.Require().NoError(err)
	return func() {
		_, err := conn.ExecContext(s.T().Context(), "ROLLBACK")
		s.Require().NoError(err)
		s.Require().NoError(conn.Close())
		s.Require().NoError(pool.Close())
	}
}
