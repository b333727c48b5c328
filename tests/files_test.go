package tests

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3", for connections that know nothing of the registry
	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

// The databases that oxide-k wrote. Tests copy them.
const (
	oxidePlain     = "testdata/oxide-k/plain.db"
	oxideEncrypted = "testdata/oxide-k/encrypted.db"
)

// background is the context of what has no test to end with: children, and cleanups.
var background = context.Background()

// modeNamed finds a mode again in a child.
func modeNamed(name string) mode {
	return modes[slices.IndexFunc(modes, func(m mode) bool { return m.name == name })]
}

// fileSuite is what the suites about files embed: a folder for each test, in which nothing is open yet.
type fileSuite struct {
	suite.Suite
	mode  mode
	dir   string
	outer string // of the test around a subtest
}

func (s *fileSuite) setMode(m mode) { s.mode = m }

// SetupTest makes the folder.
func (s *fileSuite) SetupTest() { s.dir = s.T().TempDir() }

// SetupSubTest makes another.
func (s *fileSuite) SetupSubTest() { s.outer, s.dir = s.dir, s.T().TempDir() }

// TearDownSubTest goes back to the first.
func (s *fileSuite) TearDownSubTest() { s.dir = s.outer }

// file is a path in the test's folder.
func (s *fileSuite) file(name string) string { return filepath.Join(s.dir, name) }

// tryOpen opens a path as the mode does.
func (s *fileSuite) tryOpen(path string, opts ...registry.Option) (*registry.Registry, error) {
	return s.mode.open(s.T().Context(), path, opts...)
}

// open opens a path, and verifies and closes it at the end of the test, unless the test closed it.
func (s *fileSuite) open(path string, opts ...registry.Option) *registry.Registry {
	s.T().Helper()
	reg, err := s.tryOpen(path, opts...)
	s.Require().NoError(err)
	t := s.T() // the suite's own has moved on when cleanups run
	t.Cleanup(func() {
		if _, err := reg.Verify(background); !errors.Is(err, registry.ErrClosed) {
			closeVerified(t, reg)
		}
	})
	return reg
}

// create makes a registry in a file of the test's folder, with something in it, and closes it.
func (s *fileSuite) create(name string, opts ...registry.Option) string {
	s.T().Helper()
	reg, err := s.tryOpen(s.file(name), opts...)
	s.Require().NoError(err)
	fill(s.T(), reg)
	closeVerified(s.T(), reg)
	return s.file(name)
}

// runInFileModes runs a suite once in each mode that has a file.
func runInFileModes[S interface {
	suite.TestingSuite
	setMode(mode)
}](t *testing.T, newSuite func() S) {
	for _, m := range modes {
		if m.memory {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			s := newSuite()
			s.setMode(m)
			suite.Run(t, s)
		})
	}
}

// fill writes two modules and three config entries: revisions 1 to 5.
func fill(t testing.TB, w registry.Writer) {
	t.Helper()
	require.NoError(t, fillWriter(t.Context(), w))
}

func fillWriter(ctx context.Context, w registry.Writer) error {
	for _, id := range []string{"echo", "oxide-mirror"} {
		_, err := w.UpsertModule(ctx, registry.ModuleMetadata{
			ID: id, Name: "Module " + id, Version: "0.1.0", Kind: registry.KindNative,
		}, registry.StateLoaded)
		if err != nil {
			return err
		}
	}
	for i, key := range []string{"api/endpoint", "greeting", "max_threads"} {
		if _, err := w.SetConfig(ctx, key, i); err != nil {
			return err
		}
	}
	return nil
}

// requireFilled fails unless r holds what fill wrote.
func requireFilled(t testing.TB, r registry.Reader) {
	t.Helper()
	modules, err := r.ListModules(t.Context())
	require.NoError(t, err)
	require.Len(t, modules, 2)
	for i, key := range []string{"api/endpoint", "greeting", "max_threads"} {
		value, err := registry.Get[int](t.Context(), r, key)
		require.NoError(t, err)
		require.Equal(t, i, value)
	}
	revision, err := r.Revision(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, revision)
}

// closeVerified verifies a registry and closes it. It also serves cleanups, where the test's context has ended.
func closeVerified(t testing.TB, reg *registry.Registry) {
	t.Helper()
	report, err := reg.Verify(background)
	require.NoError(t, err, "%v", report.Problems)
	require.NoError(t, reg.Close())
}

// sqliteOpen opens a file as any SQLite program would: no foreign keys, no waiting, no knowledge of the registry.
func sqliteOpen(t testing.TB, path string) *sql.DB {
	t.Helper()
	pool, err := sql.Open("sqlite3", sqliteURI(path, "?_busy_timeout=0"))
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// sqliteExec runs statements on a connection of their own, which is closed again.
func sqliteExec(t testing.TB, path string, statements ...string) {
	t.Helper()
	pool := sqliteOpen(t, path)
	for _, statement := range statements {
		_, err := pool.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, pool.Close())
}

// sqliteRows reads all rows of a query as text, on a connection of its own.
func sqliteRows(t testing.TB, path, query string) [][]string {
	t.Helper()
	pool := sqliteOpen(t, path)
	lines := rowsOf(t, pool, query)
	require.NoError(t, pool.Close())
	return lines
}

func rowsOf(t testing.TB, pool *sql.DB, query string) (lines [][]string) {
	t.Helper()
	rows, err := pool.Query(query)
	require.NoError(t, err, query)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		line, dst := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range line {
			dst[i] = &line[i]
		}
		require.NoError(t, rows.Scan(dst...))
		texts := make([]string, len(line))
		for i, field := range line {
			texts[i] = "NULL"
			if field.Valid {
				texts[i] = fmt.Sprintf("%q", field.String)
			}
		}
		lines = append(lines, texts)
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	return lines
}

// crashed runs statements on a connection, and leaves at path what a crash after the last one would leave.
func crashed(t testing.TB, path string, statements ...string) {
	t.Helper()
	original := filepath.Join(t.TempDir(), filepath.Base(path))
	pool := sqliteOpen(t, original)
	for _, statement := range statements {
		_, err := pool.Exec(statement)
		require.NoError(t, err, statement)
	}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Stat(original + suffix); err == nil {
			copyFile(t, original+suffix, path+suffix)
		}
	}
	require.NoError(t, pool.Close())
}

// copyFile copies a file and makes it writable.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
}

// folder is what lies in a folder: for each name the mode, the time and the hash of the content. No database there may
// be open in this process: reading it closes a second descriptor of it, which drops the process's locks.
func folder(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		found[entry.Name()] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			require.NoError(t, err)
			found[entry.Name()] += " " + hashOf(data)
		}
	}
	return found
}

// names are the names in a folder, sorted.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := make([]string, len(entries))
	for i, entry := range entries {
		found[i] = entry.Name()
	}
	return found
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// seedVar sets the seed of the random tests, to run one again as it was.
const seedVar = "STATEREGISTRY_TEST_SEED"

func randomSeed(t testing.TB) uint64 {
	t.Helper()
	if text := os.Getenv(seedVar); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		return seed
	}
	return rand.Uint64()
}
