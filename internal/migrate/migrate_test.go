package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/mattn/go-sqlite3" // the other program's connection
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/schema"
)

func TestMigrate(t *testing.T) { suite.Run(t, &migrateSuite{}) }

// migrateSuite has an empty database for each test.
type migrateSuite struct {
	suite.Suite
	path string
	pool *sql.DB
}

func (s *migrateSuite) SetupTest() {
	s.path = filepath.Join(s.T().TempDir(), "x.db")
	location, err := sqlite.Locate(s.path)
	s.Require().NoError(err)
	s.pool, err = sqlite.OpenWriter(s.T().Context(), sqlite.Settings{Location: location}, sqlite.Wait{})
	s.Require().NoError(err)
}

func (s *migrateSuite) TearDownTest() { s.Require().NoError(s.pool.Close()) }

// sub is the set "sub" of these migrations, numbered from 1.
func (s *migrateSuite) sub(texts ...string) Set {
	files := fstest.MapFS{"README": {Data: []byte("no migration")}}
	for i, text := range texts {
		files[fmt.Sprintf("folder/%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := NewSet("sub", files)
	s.Require().NoError(err)
	return set
}

func (s *migrateSuite) apply(ctx context.Context, sets ...Set) ([]Pending, error) {
	tx, err := sqlite.BeginWrite(s.T().Context(), s.pool, sqlite.Wait{})
	s.Require().NoError(err)
	defer tx.Release()
	defer tx.Rollback()
	found, err := Apply(ctx, tx, sets, schema.NewTimestamp(time.Now()), strings.Repeat("0f", 16))
	if err != nil {
		return nil, err
	}
	return found.Pending, tx.Commit(context.Background())
}

// exec is another program, which may do what our connections refuse.
func (s *migrateSuite) exec(text string) {
	other, err := sql.Open("sqlite3", s.path)
	s.Require().NoError(err)
	_, err = other.ExecContext(s.T().Context(), text)
	s.Require().NoError(err, text)
	s.Require().NoError(other.Close())
}

// inspect is what a look at the database says.
func (s *migrateSuite) inspect(sets ...Set) (Status, error) {
	return Inspect(s.T().Context(), s.pool, sets)
}

func (s *migrateSuite) TestAnEmptyDatabaseGetsEverythingOnce() {
	set := s.sub("CREATE TABLE sub_a (x)", "CREATE VIEW sub_b AS SELECT x FROM sub_a")
	status, err := s.inspect(set)
	s.Require().NoError(err)
	s.Require().True(status.New)
	applied, err := s.apply(s.T().Context(), set)
	s.Require().NoError(err)
	s.Require().Equal(status.Pending, applied)
	s.Require().Len(applied, 5, "three of the core, two of the set")

	status, err = s.inspect(set)
	s.Require().NoError(err)
	s.Require().False(status.New)
	s.Require().Empty(status.Pending)
	applied, err = s.apply(s.T().Context(), set)
	s.Require().NoError(err)
	s.Require().Empty(applied)
	missing, err := Guards(s.T().Context(), s.pool)
	s.Require().NoError(err)
	s.Require().Empty(missing)
}

func (s *migrateSuite) TestASetKeepsToItself() {
	for name, text := range map[string]string{
		"a foreign name":        "CREATE TABLE other (x)",
		"a foreign view":        "CREATE VIEW other AS SELECT 1",
		"the core's table":      "ALTER TABLE config ADD COLUMN sub",
		"the core's guard":      "DROP TRIGGER config_insert",
		"a guard of its own":    "CREATE TRIGGER sub_t AFTER INSERT ON config BEGIN SELECT 1; END",
		"a commit":              "CREATE TABLE sub_a (x); COMMIT",
		"a rollback":            "ROLLBACK",
		"another database":      "ATTACH ':memory:' AS sub",
		"the core's table gone": "DROP TABLE registry",
		"a unique index":        "CREATE UNIQUE INDEX sub_i ON modules (name)",
		"half a statement":      "CREATE TABLE",
		"a broken constraint":   "CREATE TABLE sub_a (x NOT NULL); INSERT INTO sub_a VALUES (NULL)",
	} {
		_, err := s.apply(s.T().Context(), s.sub(text))
		s.Require().ErrorIs(err, ErrSet, name)
		status, err := s.inspect()
		s.Require().NoError(err, name)
		s.Require().True(status.New, "%s: everything is undone", name)
	}
	_, err := s.apply(s.T().Context(), s.sub("CREATE TABLE sub_t (x); CREATE TRIGGER sub_t AFTER INSERT ON sub_t BEGIN SELECT 1; END"))
	s.Require().NoError(err)
}

func (s *migrateSuite) TestAPartOfASetIsNoSet() {
	files := func(names ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for _, name := range names {
			fsys[name] = &fstest.MapFile{Data: []byte("SELECT 1")}
		}
		return fsys
	}
	for name, fsys := range map[string]fstest.MapFS{
		"sub": files(), "Sub": files("00001_a.sql"), "": files("00001_a.sql"), "1sub": files("00001_a.sql"),
		CoreName: files("00001_a.sql"), "twice": files("a/00001_a.sql", "b/00001_b.sql"), "zero": files("00000_a.sql"),
		"names": files("1_a.sql", "00001.sql", "00001_a.txt"),
	} {
		_, err := NewSet(name, fsys)
		s.Require().ErrorIs(err, ErrSet, "%q", name)
	}
	_, err := NewSet("sub", failingFS{})
	s.Require().ErrorIs(err, ErrSet)
}

func (s *migrateSuite) TestHistoryDoesNotChange() {
	one, two, three := "CREATE TABLE sub_a (x)", "CREATE TABLE sub_b (x)", "CREATE TABLE sub_c (x)"
	_, err := s.apply(s.T().Context(), s.sub(one, two))
	s.Require().NoError(err)

	_, err = s.inspect(s.sub(one))
	s.Require().ErrorIs(err, ErrNewer)
	_, err = s.inspect(s.sub(one+" -- edited", two))
	s.Require().ErrorIs(err, ErrChanged)
	status, err := s.inspect(s.sub(one, two, three))
	s.Require().NoError(err)
	s.Require().Len(status.Pending, 1)
	_, err = s.inspect() // a set that is not given is left alone
	s.Require().NoError(err)
}

func (s *migrateSuite) TestCompare() {
	m := func(number int64) Migration {
		return Migration{Number: number, Name: fmt.Sprint(number), Checksum: "same"}
	}
	row := func(number int64, checksum string) db.ListMigrationsRow {
		return db.ListMigrationsRow{SetName: "sub", Number: number, Name: "then", Checksum: checksum}
	}
	for name, c := range map[string]struct {
		given   []Migration
		applied []db.ListMigrationsRow
		pending int
		err     error
	}{
		"nothing yet":        {[]Migration{m(1), m(3)}, nil, 2, nil},
		"all of it":          {[]Migration{m(1), m(3)}, []db.ListMigrationsRow{row(1, "same"), row(3, "same")}, 0, nil},
		"the next":           {[]Migration{m(1), m(3)}, []db.ListMigrationsRow{row(1, "same")}, 1, nil},
		"an edit":            {[]Migration{m(1)}, []db.ListMigrationsRow{row(1, "other")}, 0, ErrChanged},
		"a gap filled later": {[]Migration{m(1), m(2), m(3)}, []db.ListMigrationsRow{row(1, "same"), row(3, "same")}, 0, ErrChanged},
		"one gone":           {[]Migration{m(1), m(3)}, []db.ListMigrationsRow{row(1, "same"), row(2, "same"), row(3, "same")}, 0, ErrChanged},
		"a newer program":    {[]Migration{m(1)}, []db.ListMigrationsRow{row(1, "same"), row(2, "same")}, 0, ErrNewer},
	} {
		pending, err := compare([]Set{{Name: "sub", Migrations: c.given}}, map[string][]db.ListMigrationsRow{"sub": c.applied})
		s.Require().ErrorIs(err, c.err, name)
		s.Require().Len(pending, c.pending, name)
	}
}

func (s *migrateSuite) TestWhatInspectRefuses() {
	id := fmt.Sprintf("PRAGMA application_id = %d", ApplicationID)
	for name, c := range map[string]struct {
		core  bool // whether the core's migrations are there
		texts []string
		err   error
	}{
		"another program's id":        {false, []string{"PRAGMA application_id = 7"}, ErrNotRegistry},
		"another program's tables":    {false, []string{"CREATE TABLE other (x)"}, ErrNotRegistry},
		"another's modules":           {false, []string{"CREATE TABLE modules (x)"}, ErrNotRegistry},
		"a view":                      {false, []string{"CREATE VIEW other AS SELECT 1"}, ErrNotRegistry},
		"an id without anything":      {false, []string{id}, ErrCorrupt},
		"a ledger without an id":      {true, []string{"PRAGMA application_id = 0"}, ErrCorrupt},
		"half of it without an id":    {true, []string{"PRAGMA application_id = 0", "DROP TABLE registry"}, ErrNotRegistry},
		"no ledger":                   {true, []string{"DROP TABLE migrations"}, ErrCorrupt},
		"an empty ledger":             {true, []string{"DELETE FROM migrations"}, ErrCorrupt},
		"a version that never was":    {true, []string{"UPDATE migrations SET number = -number"}, ErrCorrupt},
		"a newer version":             {true, []string{"UPDATE migrations SET number = number + 1000"}, ErrNewer},
		"a dropped guard":             {true, []string{"DROP TRIGGER config_insert"}, ErrCorrupt},
		"a foreign trigger":           {true, []string{"CREATE TRIGGER x AFTER INSERT ON config BEGIN SELECT 1; END"}, ErrCorrupt},
		"a dropped table":             {true, []string{"DROP TABLE registry"}, ErrCorrupt},
		"another column":              {true, []string{"ALTER TABLE config ADD COLUMN x"}, ErrCorrupt},
		"UTF-16":                      {false, []string{"PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t (x)", id}, ErrCorrupt},
		"oxide-k's with a name of us": {false, []string{"CREATE TABLE modules (x)", "CREATE TABLE changes (x)"}, ErrNotRegistry},
		"an edited guard": {true, []string{
			"DROP TRIGGER changes_update",
			"CREATE TRIGGER changes_update BEFORE UPDATE ON changes BEGIN SELECT 1; END",
		}, ErrCorrupt},
	} {
		s.TearDownTest()
		s.SetupTest()
		if c.core {
			_, err := s.apply(s.T().Context())
			s.Require().NoError(err)
		}
		for _, text := range c.texts {
			s.exec(text)
		}
		_, err := s.inspect()
		s.Require().ErrorIs(err, c.err, name)
		_, err = s.apply(s.T().Context())
		s.Require().ErrorIs(err, c.err, "%s: Apply looks too", name)
	}
}

func (s *migrateSuite) TestAContextThatHasEndedIsAnError() {
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, err := s.apply(ctx)
	s.Require().ErrorIs(err, context.Canceled)
	_, err = Inspect(ctx, s.pool, nil)
	s.Require().ErrorIs(err, context.Canceled)
	_, err = Guards(ctx, s.pool)
	s.Require().ErrorIs(err, context.Canceled)
}

// failing is a database whose queries fail once some have worked.
type failing struct {
	db.DBTX
	left int
}

var errFailing = errors.New("failing")

func (f *failing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if f.left--; f.left < 0 {
		return nil, errFailing
	}
	return f.DBTX.QueryContext(ctx, query, args...)
}

func (s *migrateSuite) TestInspectPassesOnWhatItCouldNotRead() {
	_, err := s.apply(s.T().Context())
	s.Require().NoError(err)
	for left := 0; ; left++ {
		_, err := Inspect(s.T().Context(), &failing{DBTX: s.pool, left: left}, nil)
		if err == nil {
			s.Require().Equal(3, left, "the catalog, the foreign keys and the ledger are queries")
			break
		}
		s.Require().ErrorIs(err, errFailing)
	}
}

type failingFS struct{ fstest.MapFS }

func (failingFS) ReadDir(string) ([]fs.DirEntry, error) { return nil, errFailing }
