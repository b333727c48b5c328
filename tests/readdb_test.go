package tests

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

func TestReadDB(t *testing.T) {
	runInModes(t, func() *readDBSuite { return &readDBSuite{} })
}

type readDBSuite struct{ callSuite }

// generated runs the generated queries that read, on rows that fill stored.
func (s *readDBSuite) generated(ctx context.Context, q db.DBTX) {
	queries := db.New()
	value, err := queries.GetConfigValue(ctx, q, "held")
	s.Require().NoError(err)
	s.Require().Equal(!s.mode.encrypted(), value == "1", "SQL sees what the file holds")
	entry, err := queries.GetConfigEntry(ctx, q, "held")
	s.Require().NoError(err)
	s.Require().Equal("held", entry.Key)
	s.Require().Equal(value, entry.Value)
	entries, err := queries.ListConfig(ctx, q, db.ListConfigParams{First: "", Before: "\xff"})
	s.Require().NoError(err)
	s.Require().Equal([]db.Config{entry}, entries)
	module, err := queries.GetModule(ctx, q, "kernel")
	s.Require().NoError(err)
	modules, err := queries.ListModules(ctx, q)
	s.Require().NoError(err)
	s.Require().Equal([]db.Module{module}, modules)
	newest, err := queries.GetRevision(ctx, q)
	s.Require().NoError(err)
	s.Require().Equal(max(entry.Revision, module.Revision), newest)
	changes, err := queries.ListChanges(ctx, q, db.ListChangesParams{After: newest - 2, MaxRows: 10})
	s.Require().NoError(err)
	s.Require().Len(changes, 2)
}

func (s *readDBSuite) TestGeneratedQueriesReadOutsideAndInsideOfTransactions() {
	s.fill(s.reg)
	ctx := s.T().Context()
	s.generated(ctx, s.reg.ReadDB())
	callback := func(ctx context.Context, tx *registry.Tx) error {
		s.generated(ctx, tx)
		return nil
	}
	s.Require().NoError(s.reg.View(ctx, callback))
	s.Require().NoError(s.reg.Update(ctx, callback))
}

func (s *readDBSuite) TestEachMethodReads() {
	for _, c := range s.statements(s.reg.ReadDB()) {
		s.Require().NoError(c.run(s.T().Context()), c.name)
	}
}

func (s *readDBSuite) TestWritingIsRefused() {
	s.fill(s.reg)
	before := s.revision(s.reg)
	ctx, q := s.T().Context(), s.reg.ReadDB()
	_, err := q.ExecContext(ctx, insertRow, "raw", "1")
	s.Require().ErrorIs(err, registry.ErrReadOnly)
	_, err = q.QueryContext(ctx, insertRow+" RETURNING key", "raw", "1")
	s.Require().ErrorIs(err, registry.ErrReadOnly)
	var key string
	s.Require().ErrorIs(q.QueryRowContext(ctx, insertRow+" RETURNING key", "raw", "1").Scan(&key), registry.ErrReadOnly)
	_, err = db.New().DeleteConfig(ctx, q, "held")
	s.Require().ErrorIs(err, registry.ErrReadOnly)
	for _, statement := range []string{"DELETE FROM migrations", "DROP TABLE config", "CREATE INDEX i ON modules (name)"} {
		_, err = q.ExecContext(ctx, statement)
		s.Require().ErrorIs(err, registry.ErrReadOnly, statement)
	}
	err = db.New().UpsertConfig(ctx, q, db.UpsertConfigParams{Key: "held", Value: "2"})
	s.Require().Error(err)
	s.Require().Equal(before, s.revision(s.reg))
}

func (s *readDBSuite) TestEachStatementSeesTheNewestCommit() {
	ctx := s.T().Context()
	for i := range 20 {
		_, err := s.reg.SetConfig(ctx, "held", i)
		s.Require().NoError(err)
		seen, err := db.New().GetRevision(ctx, s.reg.ReadDB())
		s.Require().NoError(err)
		s.Require().Equal(s.revision(s.reg), seen)
	}
}

func (s *readDBSuite) TestATransactionThatIsLeftOpenKeepsNobodyInThePast() {
	ctx := s.T().Context()
	s.fill(s.reg)
	for _, begin := range []string{"BEGIN", "SAVEPOINT past"} {
		_, err := s.reg.ReadDB().ExecContext(ctx, begin+"; SELECT count(*) FROM config")
		s.Require().NoError(err)
		rows, err := s.reg.ReadDB().QueryContext(ctx, begin)
		s.Require().NoError(err)
		s.Require().NoError(rows.Close())
		_, err = s.reg.SetConfig(ctx, "held", begin)
		s.Require().NoError(err)
		seen, err := registry.Get[string](ctx, s.reg, "held")
		s.Require().NoError(err)
		s.Require().Equal(begin, seen)
		s.Require().NoError(s.reg.View(ctx, func(context.Context, *registry.Tx) error { return nil }))
	}
}

// TestReadersWaitForAnOpenUpdate has readers come during an Update. In memory they have to wait for it, and see what it
// wrote; in a file they may be faster.
func (s *readDBSuite) TestReadersWaitForAnOpenUpdate() {
	s.fill(s.reg)
	outer, before := s.T().Context(), s.revision(s.reg)
	var readers, started sync.WaitGroup
	const rounds = 200
	s.Require().NoError(s.reg.Update(outer, func(ctx context.Context, tx *registry.Tx) error {
		for range 8 {
			started.Add(1)
			readers.Go(func() {
				started.Done()
				seen, err := db.New().GetRevision(outer, s.reg.ReadDB())
				s.NoError(err)
				if s.mode.memory {
					s.Equal(before+rounds, seen)
				}
			})
		}
		started.Wait()
		for i := range rounds {
			if _, err := tx.SetConfig(ctx, "held", i); err != nil {
				return err
			}
		}
		return nil
	}))
	readers.Wait()
}

// What a statement changes on its connection would outlast it, and serve others: a temporary table takes the place of the
// registry's own, so that acknowledged writes go there and are gone; a setting switches off what makes them durable.
func (s *readDBSuite) TestWhatWouldOutlastAStatementIsRefused() {
	ctx := s.T().Context()
	statements := []string{
		"PRAGMA synchronous = OFF",
		"PRAGMA foreign_keys(OFF)",
		"PRAGMA main.query_only = 1",
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA application_id = 7",
		"PRAGMA writable_schema = ON",
		"PRAGMA JOURNAL_MODE = DELETE",
		"ATTACH ':memory:' AS other",
		"CREATE TEMP TABLE config AS SELECT * FROM main.config",
		"CREATE TEMP VIEW changes AS SELECT 1 AS revision",
		"CREATE TEMP TRIGGER stranger AFTER INSERT ON main.config BEGIN DELETE FROM changes; END",
		"CREATE TABLE temp.modules (id)",
	}
	for _, statement := range statements {
		_, err := s.reg.ReadDB().ExecContext(ctx, statement)
		s.Require().ErrorIs(err, registry.ErrInvalid, statement)
		s.Require().NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			s.Require().ErrorIs(err, registry.ErrInvalid, statement)
			return nil
		}))
	}
	s.fill(s.reg)
	s.generated(ctx, s.reg.ReadDB())
	var columns int
	s.Require().NoError(s.reg.ReadDB().QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_info('config')").Scan(&columns))
	s.Require().Equal(4, columns, "what reads is no setting")
}

// A snapshot that ended and began again would be another one.
func (s *readDBSuite) TestAViewKeepsItsSnapshot() {
	ctx := s.T().Context()
	s.Require().NoError(s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		for _, statement := range []string{"COMMIT; BEGIN", "ROLLBACK", "BEGIN", "END"} {
			_, err := tx.ExecContext(ctx, statement)
			s.Require().ErrorIs(err, registry.ErrInvalid, statement)
			revision, err := tx.Revision(ctx)
			s.Require().NoError(err)
			s.Require().Zero(revision)
		}
		return nil
	}))
	s.Require().NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error { // the connections are as before
		_, err := tx.ExecContext(ctx, "SAVEPOINT a; RELEASE a")
		return err
	}))
}

// Rows that somebody forgot to close hold up nobody for longer than may be waited for, and point reads not at all.
func (s *readDBSuite) TestOpenRowsThatHoldAllConnectionsAreErrBusy() {
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()), registry.WithLockTimeout(time.Millisecond))
	s.Require().NoError(err)
	defer func() { closeVerified(s.T(), reg) }()
	s.fill(reg)
	ctx, q := s.T().Context(), reg.ReadDB()
	var open []*sql.Rows
	for {
		rows, err := q.QueryContext(ctx, "SELECT 1 UNION SELECT 2")
		if err != nil {
			s.Require().ErrorIs(err, registry.ErrBusy)
			break
		}
		open = append(open, rows)
	}
	s.Require().Len(open, 256)
	_, err = q.ExecContext(ctx, "SELECT 1")
	s.Require().ErrorIs(err, registry.ErrBusy)
	s.Require().ErrorIs(q.QueryRowContext(ctx, "SELECT 1").Scan(new(int)), registry.ErrBusy)
	_, err = q.PrepareContext(ctx, "SELECT 1")
	s.Require().ErrorIs(err, registry.ErrBusy)
	s.Require().ErrorIs(reg.View(ctx, func(context.Context, *registry.Tx) error { return nil }), registry.ErrBusy)
	_, err = registry.Get[int](ctx, reg, "held")
	s.Require().NoError(err, "it has connections of its own")
	for _, rows := range open {
		s.Require().NoError(rows.Close())
	}
	s.Require().NoError(q.QueryRowContext(ctx, "SELECT 1").Scan(new(int)))
}
