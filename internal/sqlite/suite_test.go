package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"
)

func TestInFiles(t *testing.T) { suite.Run(t, &databaseSuite{}) }

func TestInMemory(t *testing.T) { suite.Run(t, &databaseSuite{memory: true}) }

// databaseSuite has a new database for each test, with a table t(a).
type databaseSuite struct {
	suite.Suite
	memory   bool
	settings Settings
	writer   *sql.DB
	readers  *sql.DB
}

// short is a wait that ends soon.
var short = Wait{Limit: 20 * time.Millisecond}

func (s *databaseSuite) SetupTest() {
	path := InMemory
	if !s.memory {
		path = filepath.Join(s.T().TempDir(), "a.db")
	}
	location, err := Locate(path)
	s.Require().NoError(err)
	s.settings = Settings{Location: location}
	s.writer, err = OpenWriter(s.T().Context(), s.settings, short)
	s.Require().NoError(err)
	err = UseWAL(s.T().Context(), s.writer, s.settings.Location, short)
	s.Require().NoError(err)
	s.exec(s.writer, "CREATE TABLE t (a)")
	s.readers = OpenReaders(s.settings, short).Pool()
}

func (s *databaseSuite) TearDownTest() {
	s.Require().NoError(s.readers.Close())
	s.Require().NoError(s.writer.Close())
}

func (s *databaseSuite) exec(pool *sql.DB, statement string) {
	_, err := pool.ExecContext(s.T().Context(), statement)
	s.Require().NoError(err)
}

// rows is what the readers see in the table.
func (s *databaseSuite) rows() (n int) {
	s.Require().NoError(s.readers.QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&n))
	return n
}
