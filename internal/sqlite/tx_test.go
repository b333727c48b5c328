package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"time"

	"github.com/mattn/go-sqlite3"
)

// begin begins a transaction that has written a row.
func (s *databaseSuite) begin() *Tx {
	tx, err := BeginWrite(s.T().Context(), s.writer, short)
	s.Require().NoError(err)
	s.Require().NoError(tx.Standing())
	s.insert(tx)
	return tx
}

func (s *databaseSuite) insert(tx *Tx) {
	_, err := tx.Conn().ExecContext(s.T().Context(), "INSERT INTO t VALUES (1)")
	s.Require().NoError(err)
}

// usable requires that the writer takes a transaction, and the next.
func (s *databaseSuite) usable() {
	before := s.rows()
	for range 2 {
		tx := s.begin()
		s.Require().NoError(tx.Commit(context.Background()))
		tx.Release()
	}
	s.Require().Equal(before+2, s.rows())
}

func (s *databaseSuite) TestCommitKeepsAndRollbackUndoes() {
	tx := s.begin()
	tx.Rollback()
	s.Require().ErrorIs(tx.Standing(), ErrGone)
	s.Require().ErrorIs(tx.Commit(context.Background()), ErrGone)
	tx.Rollback()
	tx.Release()
	s.Require().Zero(s.rows())

	tx = s.begin()
	s.Require().NoError(tx.Commit(context.Background()))
	tx.Rollback()
	tx.Release()
	s.Require().Equal(1, s.rows())
	s.usable()
}

func (s *databaseSuite) TestOnlyCommitCommits() {
	for _, text := range []string{
		"COMMIT", "END", "ROLLBACK",
		"COMMIT; INSERT INTO t VALUES (2)", "ROLLBACK; INSERT INTO t VALUES (2)",
		"ROLLBACK; BEGIN; INSERT INTO t VALUES (2)", "ROLLBACK; BEGIN; INSERT INTO t VALUES (2); COMMIT",
	} {
		tx := s.begin()
		_, err := tx.Conn().ExecContext(s.T().Context(), text)
		if err != nil {
			s.Require().True(IsRefusedCommit(err), "%s: %v", text, err)
		}
		_, err = tx.Conn().ExecContext(s.T().Context(), "INSERT INTO t VALUES (3)")
		if err != nil {
			s.Require().True(IsRefusedCommit(err), "%s: %v", text, err)
		}
		s.Require().ErrorIs(tx.Standing(), ErrGone, text)
		s.Require().ErrorIs(tx.Commit(context.Background()), ErrGone, text)
		tx.Rollback()
		tx.Release()
		s.Require().Zero(s.rows(), text)
	}
	s.usable()
}

func (s *databaseSuite) TestATransactionThatAConflictRolledBackIsGone() {
	s.exec(s.writer, "CREATE UNIQUE INDEX i ON t (a)")
	tx := s.begin()
	_, err := tx.Conn().ExecContext(s.T().Context(), "INSERT OR ROLLBACK INTO t VALUES (1)")
	s.Require().Error(err)
	s.Require().ErrorIs(tx.Standing(), ErrGone)
	s.Require().ErrorIs(tx.Commit(context.Background()), ErrGone)
	tx.Release()
	s.Require().Zero(s.rows())
}

func (s *databaseSuite) TestSavepointsDoNotEndATransaction() {
	tx := s.begin()
	_, err := tx.Conn().ExecContext(s.T().Context(), "SAVEPOINT a; INSERT INTO t VALUES (2); ROLLBACK TO a; RELEASE a")
	s.Require().NoError(err)
	s.Require().NoError(tx.Standing())
	s.Require().NoError(tx.Commit(context.Background()))
	tx.Release()
	s.Require().Equal(1, s.rows())
}

func (s *databaseSuite) TestTheEndClosesWhatStatementsLeftOpen() {
	for _, end := range []func(*Tx) error{func(tx *Tx) error { return tx.Commit(context.Background()) }, func(tx *Tx) error { tx.Rollback(); return nil }} {
		tx := s.begin()
		s.insert(tx)
		books, err := tx.SQL()
		s.Require().NoError(err)
		again, err := tx.SQL()
		s.Require().NoError(err)
		s.Require().Same(books, again)
		stmt, err := books.PrepareContext(s.T().Context(), "SELECT a FROM t")
		s.Require().NoError(err)
		rows, err := stmt.QueryContext(context.Background())
		s.Require().NoError(err)
		s.Require().True(rows.Next())
		_, err = books.QueryContext(context.Background(), "INSERT INTO t VALUES (5), (6) RETURNING a")
		s.Require().NoError(err)

		s.Require().NoError(end(tx))
		s.Require().False(rows.Next())
		_, err = stmt.QueryContext(context.Background())
		s.Require().Error(err)
		_, err = books.ExecContext(context.Background(), "INSERT INTO t VALUES (7)")
		s.Require().ErrorIs(err, sql.ErrTxDone)
		tx.Release()
	}
	s.Require().Equal(4, s.rows())
	s.usable()
}

func (s *databaseSuite) TestSQLFailsOnAConnectionThatIsGone() {
	tx := s.begin()
	tx.Rollback()
	tx.Release()
	_, err := tx.SQL()
	s.Require().ErrorIs(err, sql.ErrConnDone)
}

func (s *databaseSuite) TestReadersHoldCommitOffInMemory() {
	reader, err := BeginRead(s.T().Context(), s.readers, short)
	s.Require().NoError(err)
	defer reader.Release()
	defer reader.Rollback()
	var n int
	s.Require().NoError(reader.Conn().QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&n))

	tx := s.begin()
	err = tx.Commit(context.Background())
	tx.Release()
	if !s.memory {
		s.Require().NoError(err)
		return
	}
	s.Require().True(IsBusy(err), "%v", err)
	s.Require().NotErrorIs(err, ErrCommitUnknown)
	reader.Rollback()
	s.Require().Zero(s.rows(), "a commit that failed left nothing")
	s.usable()
}

func (s *databaseSuite) TestOneWriterAtATime() {
	if s.memory {
		s.T().Skip("a registry in memory has one writer")
	}
	tx := s.begin()
	other, err := OpenWriter(s.T().Context(), s.settings, short)
	s.Require().NoError(err)
	defer other.Close()
	_, err = BeginWrite(s.T().Context(), other, short)
	s.Require().True(IsBusy(err), "%v", err)
	cancelled, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, err = BeginWrite(cancelled, other, short)
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().NoError(tx.Commit(context.Background()))
	tx.Release()
	next, err := BeginWrite(s.T().Context(), other, short)
	s.Require().NoError(err)
	next.Rollback()
	next.Release()
}

func (s *databaseSuite) TestReadersCannotWrite() {
	_, err := s.readers.ExecContext(s.T().Context(), "INSERT INTO t VALUES (1)")
	s.Require().True(IsReadOnly(err), "%v", err)
}

func (s *databaseSuite) TestTransactionControlCanBeForbidden() {
	ctx := s.T().Context()
	tx := s.begin()
	defer tx.Release()
	defer tx.Rollback()
	own := errors.New("own")
	s.Require().Same(own, tx.Migrate(func() error {
		for _, text := range []string{
			"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a",
			"ATTACH ':memory:' AS other", "DETACH other", "INSERT INTO t VALUES (2); COMMIT",
		} {
			_, err := tx.Conn().ExecContext(ctx, text)
			s.Require().True(IsNotAuthorized(err), "%s: %v", text, err)
			s.Require().NoError(tx.Standing(), text)
		}
		_, err := tx.Conn().ExecContext(ctx, "CREATE TABLE u (b); INSERT INTO u VALUES (1); DROP TABLE u")
		s.Require().NoError(err)
		return own
	}))
	_, err := tx.Conn().ExecContext(ctx, "SAVEPOINT a; RELEASE a")
	s.Require().NoError(err, "it is forbidden no longer")
}

func (s *databaseSuite) TestRollbackGivesUpAConnectionThatCannot() {
	tx := s.begin()
	s.Require().NoError(tx.Conn().Raw(func(c any) error {
		c.(*conn).RegisterAuthorizer(func(action int, _, _, _ string) int {
			if action == sqlite3.SQLITE_TRANSACTION {
				return sqlite3.SQLITE_DENY
			}
			return sqlite3.SQLITE_OK
		})
		return nil
	}))
	tx.Rollback()
	tx.Release()
	if s.memory {
		return // the database was on that connection alone
	}
	s.Require().Zero(s.rows())
	s.usable()
}

// What a transaction does between its beginning and its commit does not count as waiting.
func (s *databaseSuite) TestACommitWaitsForWhatTheBeginningLeft() {
	w := Wait{Limit: time.Hour}.Start()
	for left := w.Left(); w.Left() == left; {
		runtime.Gosched()
	}
	tx, err := BeginWrite(s.T().Context(), s.writer, w)
	s.Require().NoError(err)
	defer tx.Release()
	s.Require().Less(tx.wait.Limit, time.Hour)
	s.Require().Positive(tx.wait.Limit)
	s.Require().Equal(tx.wait.Limit, tx.wait.Left())
	tx.Rollback()
}
