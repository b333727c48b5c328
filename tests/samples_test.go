package tests

import (
	"context"
	"testing"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// sampleTables makes the tables in which an ANALYZE of another build of SQLite keeps samples of indexed values. (This one's keeps
// none.)
var sampleTables = []string{
	"PRAGMA writable_schema = ON",
	"CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)",
	"CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)",
	"CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
	"PRAGMA writable_schema = OFF",
}

// storeSamples fills them with the values of config.
var storeSamples = []string{
	"INSERT INTO sqlite_stat2 SELECT 'config', 'of_values', 0, value FROM config",
	"INSERT INTO sqlite_stat3 SELECT 'config', 'of_values', 1, 0, 0, value FROM config",
	"INSERT INTO sqlite_stat4 SELECT 'config', 'of_values', '1 1', '0 0', '0 0', CAST(value AS BLOB) FROM config",
}

const countSamples = "SELECT (SELECT count(*) FROM sqlite_stat2), (SELECT count(*) FROM sqlite_stat3), (SELECT count(*) FROM sqlite_stat4)"

// plantSamples puts one row into each of the tables, in a transaction of a test's.
func plantSamples(t *testing.T, ctx context.Context, tx db.DBTX) {
	t.Helper()
	for _, statement := range sampleTables {
		mustExec(t, ctx, tx, statement)
	}
	for _, table := range []string{"sqlite_stat2", "sqlite_stat3", "sqlite_stat4"} {
		mustExec(t, ctx, tx, "INSERT INTO "+table+" (tbl) VALUES ('config')")
	}
}

// analyze leaves an index on config's values in the file, and samples of them.
func (s *scrubSuite) analyze() {
	sqliteExec(s.T(), s.path, "CREATE INDEX of_values ON config (value)")
	sqliteExec(s.T(), s.path, sampleTables...)
	sqliteExec(s.T(), s.path, storeSamples...)
}

func (s *scrubSuite) TestSamplesThatAnANALYZETookOfValuesAreDeleted() {
	s.analyze()
	_, err := registry.Encrypt(s.ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	s.holdsNoCanary(s.path)
	s.Require().Equal([][]string{{`"0"`, `"0"`, `"0"`}}, sqliteRows(s.T(), s.path, countSamples))
	reg, err := openKEK1(s.ctx, s.path)
	s.Require().NoError(err)
	closeVerified(s.T(), reg)
}

func (s *scrubSuite) TestSamplesOfAnEmptiedRegistryAreDeletedWhenItBecomesEncrypted() {
	s.analyze()
	sqliteExec(s.T(), s.path, "DELETE FROM config")
	reg, err := openKEK1(s.ctx, s.path)
	s.Require().NoError(err)
	s.holdsNoCanary(s.path)
	closeVerified(s.T(), reg)
	s.Require().Equal([][]string{{`"0"`, `"0"`, `"0"`}}, sqliteRows(s.T(), s.path, countSamples))
}
