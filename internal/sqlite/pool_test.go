package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// oddNames are file names that URIs, SQL and shells would each read in their own way.
var oddNames = []string{
	"plain.db", "a b.db", "a?b=c.db", "a#b.db", "a%20b.db", "a+b.db", "a&b.db", "it's.db", `a"b.db`, "ä€.db", "-x.db", "a:b.db",
}

func TestAnyPathNamesItsFile(t *testing.T) {
	for _, name := range oddNames {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, `?":`) {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		location, err := Locate(path)
		require.NoError(t, err, name)
		require.False(t, location.IsMemory())
		require.Equal(t, path, location.String())
		exists, err := location.Examine()
		require.NoError(t, err)
		require.False(t, exists, name)

		writer, err := OpenWriter(t.Context(), Settings{Location: location}, short)
		require.NoError(t, err, name)
		_, err = writer.ExecContext(t.Context(), "CREATE TABLE t (a)")
		require.NoError(t, err, name)
		exists, err = location.Examine()
		require.NoError(t, err)
		require.True(t, exists, name)
		readers := OpenReaders(Settings{Location: location}, short).Pool()
		var n int
		require.NoError(t, readers.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema").Scan(&n), name)
		require.NoError(t, readers.Close())
		require.NoError(t, writer.Close())
		files, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, files, 1, "%s, and nothing else", name)
		require.Equal(t, name, files[0].Name())
	}
}

func TestURIsSurviveParsing(t *testing.T) {
	for _, name := range oddNames {
		text := Location{path: "/folder/" + name}.uri(url.Values{"key": {"a b+c&d"}})
		require.NotContains(t, text[strings.Index(text, "?"):], "+", "SQLite leaves a plus sign alone")
		parsed, err := url.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, "/folder/"+name, parsed.Path)
		require.Equal(t, "a b+c&d", parsed.Query().Get("key"))
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	for _, path := range []string{"", "a\x00b", t.TempDir()} {
		_, err := Locate(path)
		require.Error(t, err, "%q", path)
	}
	_, err := Locate(filepath.Join(t.TempDir(), "missing", "below.db"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAPathBelowAFileIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Locate(filepath.Join(file, "below.db"))
	require.Error(t, err)
}

func TestEachDatabaseInMemoryIsItsOwn(t *testing.T) {
	one, err := Locate(InMemory)
	require.NoError(t, err)
	two, err := Locate(InMemory)
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.True(t, one.IsMemory())
	require.Equal(t, InMemory, one.String())
	exists, err := one.Examine()
	require.NoError(t, err)
	require.False(t, exists)
}

func (s *databaseSuite) TestAFileIsItsOwnersAlone() {
	if s.memory || runtime.GOOS == "windows" {
		s.T().Skip("there is no file, or there are no such permissions")
	}
	s.exec(s.writer, "INSERT INTO t VALUES (1)")
	files, err := os.ReadDir(filepath.Dir(s.settings.Location.path))
	s.Require().NoError(err)
	s.Require().Len(files, 3, "the database, its WAL and its shared memory")
	for _, file := range files {
		info, err := file.Info()
		s.Require().NoError(err)
		s.Require().Equal(os.FileMode(0o600), info.Mode(), file.Name())
	}
}

func (s *databaseSuite) TestAConnectionThatIsGivenUpIsReplaced() {
	if s.memory {
		s.T().Skip("the database lives as long as a connection to it")
	}
	c, err := s.writer.Conn(s.T().Context())
	s.Require().NoError(err)
	s.Require().ErrorIs(c.Raw(func(any) error { return driver.ErrBadConn }), driver.ErrBadConn)
	s.usable()
}

func (s *databaseSuite) TestAConnectionWithATransactionIsGivenUp() {
	s.exec(s.readers, "BEGIN")
	s.Require().Zero(s.rows())
	s.usable()
	s.Require().Equal(2, s.rows())
	s.Require().Zero(s.readers.Stats().InUse)
}

func (s *databaseSuite) TestSettingsHoldOnEachConnection() {
	for name, want := range map[string]string{
		"foreign_keys": "1", "busy_timeout": "0", "synchronous": "2", "trusted_schema": "0",
	} {
		for _, pool := range []*sql.DB{s.writer, s.readers} {
			var got string
			s.Require().NoError(pool.QueryRowContext(s.T().Context(), "PRAGMA "+name).Scan(&got))
			s.Require().Equal(want, got, name)
		}
	}
	relaxed := OpenReaders(Settings{Location: s.settings.Location, RelaxedSync: true}, short).Pool()
	defer relaxed.Close()
	var got string
	s.Require().NoError(relaxed.QueryRowContext(s.T().Context(), "PRAGMA synchronous").Scan(&got))
	s.Require().Equal("1", got)
}

func TestLookDoesNotCreateAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.db")
	location, err := Locate(path)
	require.NoError(t, err)
	_, err = Look(t.Context(), location, short, true, inspectNothing)
	require.Error(t, err)
	require.NoFileExists(t, path)
}

func (s *databaseSuite) TestLookPassesWhatInspectSays() {
	if s.memory {
		s.T().Skip("nobody looks into memory")
	}
	own := errors.New("own")
	calls := 0
	_, err := Look(s.T().Context(), s.settings.Location, short, true, func(_ context.Context, c *Looking) (int, error) {
		calls++
		_, err := c.ExecContext(context.Background(), "INSERT INTO t VALUES (1)")
		s.Require().True(IsReadOnly(err), "%v", err)
		return 1, own
	})
	s.Require().Same(own, err)
	s.Require().Equal(1, calls)
	s.Require().Zero(s.rows())
}

// Where a path begins with a drive or a host, that must not pass for the URI's host.
func TestTheURIOfAFileHasNoHost(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b.db":                  "file:///a/b.db",
		"/a b/%41?#.db":            "file:///a%20b/%2541%3F%23.db",
		"C:/Users/x y/kernel.db":   "file:///C:/Users/x%20y/kernel.db",
		"//host/share/kernel.db":   "file:////host/share/kernel.db",
		"/stateregistry-IN-MEMORY": "file:///stateregistry-IN-MEMORY",
	} {
		require.Equal(t, want, slashedURI(path))
		uri, err := url.Parse(slashedURI(path))
		require.NoError(t, err)
		require.Empty(t, uri.Host, path)
	}
}
