package tests

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"

	_ "github.com/mattn/go-sqlite3" // the other program's connection

	"github.com/oxide-k/stateregistry/registry"
)

// rowSuite is what the suites embed that look below the API, at the rows themselves.
type rowSuite struct{ modeSuite }

// fresh opens a further new registry, which is verified and closed at the end of the test, or of the subtest that runs.
func (s *rowSuite) fresh(opts ...registry.Option) *registry.Registry {
	reg, _ := s.freshAt(opts...)
	return reg
}

// freshAt is fresh, and the path too.
func (s *rowSuite) freshAt(opts ...registry.Option) (*registry.Registry, string) {
	path := s.mode.path(s.T())
	reg, err := s.mode.open(s.T().Context(), path, opts...)
	s.Require().NoError(err)
	require := s.Require() // the subtest's
	s.T().Cleanup(func() {
		report, err := reg.Verify(context.Background())
		require.NoError(err, "%v", report.Problems)
		require.NoError(reg.Close())
	})
	return reg, path
}

// exec runs a statement of the caller's own in an Update.
func (s *rowSuite) exec(reg *registry.Registry, query string, args ...any) error {
	return reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// raw opens the file as another program would, with the driver's default settings, on one connection.
func (s *rowSuite) raw(path, params string) *sql.DB {
	pool, err := sql.Open("sqlite3", sqliteURI(path, params))
	s.Require().NoError(err)
	pool.SetMaxOpenConns(1)
	s.T().Cleanup(func() { _ = pool.Close() })
	return pool
}

// text is the one text that a query gives.
func (s *rowSuite) text(reg *registry.Registry, query string, args ...any) string {
	var text string
	s.Require().NoError(reg.ReadDB().QueryRowContext(s.T().Context(), query, args...).Scan(&text))
	return text
}

// stored is the JSON that the file holds for a key: as it is, or encrypted.
func (s *rowSuite) stored(reg *registry.Registry, key string) string {
	text := s.text(reg, "SELECT value FROM config WHERE key = ?", key)
	if !s.mode.encrypted() {
		return text
	}
	s.Require().Regexp(`^enc:v1:[0-9a-f]{8}:[A-Za-z0-9_-]+$`, text)
	value, err := registry.Get[json.RawMessage](s.T().Context(), reg, key)
	s.Require().NoError(err)
	return string(value)
}

// row is a row of modules or config.
type row struct {
	subject, key string
}

// content is what a row holds.
type content struct {
	text     string // the config value as the file holds it, or the module's state
	revision int64
}

// entry is a row of the change log.
type entry struct {
	revision         int64
	subject, key, op string
}

// rows is all that the tables hold, as far as revisions are concerned.
type rows struct {
	held map[row]content
	log  []entry
}

// rows reads the tables.
func (s *rowSuite) rows(reg *registry.Registry) rows {
	found := rows{held: map[row]content{}}
	query := func(query string, scan func(*sql.Rows) error) {
		result, err := reg.ReadDB().QueryContext(s.T().Context(), query)
		s.Require().NoError(err)
		defer result.Close()
		for result.Next() {
			s.Require().NoError(scan(result))
		}
		s.Require().NoError(result.Err())
	}
	query(`SELECT 'config', key, value, revision FROM config
		UNION ALL SELECT 'module', id, state, revision FROM modules`, func(r *sql.Rows) error {
		var at row
		var c content
		err := r.Scan(&at.subject, &at.key, &c.text, &c.revision)
		found.held[at] = c
		return err
	})
	query("SELECT revision, subject, key, op FROM changes ORDER BY revision", func(r *sql.Rows) error {
		var e entry
		err := r.Scan(&e.revision, &e.subject, &e.key, &e.op)
		found.log = append(found.log, e)
		return err
	})
	return found
}

// unchanged runs f and checks that no row and no revision came of it.
func (s *rowSuite) unchanged(reg *registry.Registry, f func()) {
	before := s.rows(reg)
	f()
	s.Require().Equal(before, s.rows(reg))
}

// random is a source for a test of many cases. It prints its seed.
func (s *rowSuite) random() *rand.Rand {
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// writers runs a test on both Writers, each on a registry of its own. run calls its function with the Writer: inside of
// an Update, which passes the function's error on, or outside.
func (s *rowSuite) writers(
	test func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error),
) {
	s.Run("registry", func() {
		reg := s.fresh()
		test(reg, func(f func(context.Context, registry.Writer) error) error { return f(s.T().Context(), reg) })
	})
	s.Run("transaction", func() {
		reg := s.fresh()
		test(reg, func(f func(context.Context, registry.Writer) error) error {
			return reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error { return f(ctx, tx) })
		})
	})
}
