package sqlite

import (
	"context"
	"database/sql"

	"github.com/mattn/go-sqlite3"
)

// direct runs f on a connection that may write.
func (s *databaseSuite) direct(f func(*Direct)) {
	conn, err := s.writer.Conn(s.T().Context())
	s.Require().NoError(err)
	defer conn.Close()
	f(NewDirect(conn))
}

func (s *databaseSuite) TestDirectGivesTheColumn() {
	s.direct(func(d *Direct) {
		ask := func(query string, args ...any) {
			var discarded any
			s.Require().Error(d.QueryRowContext(context.Background(), query, args...).Scan(&discarded), "the row is not the answer")
		}
		ask("SELECT ?1 || ?2", "a\x00é", 1)
		text, err := d.Text()
		s.Require().NoError(err)
		s.Require().Equal("a\x00é1", text)
		_, err = d.Int64()
		s.Require().Error(err)

		ask("SELECT CAST('blob' AS BLOB)")
		text, err = d.Text()
		s.Require().NoError(err)
		s.Require().Equal("blob", text)

		ask("SELECT ?2 - ?1", int64(1)<<62, -1)
		n, err := d.Int64()
		s.Require().NoError(err)
		s.Require().Equal(-int64(1)<<62-1, n)
		_, err = d.Text()
		s.Require().Error(err)
		ask("SELECT NULL")
		_, err = d.Text()
		s.Require().Error(err)
		_, err = d.Int64()
		s.Require().Error(err)
	})
}

// What a query that fails leaves is its error, not what the one before it found.
func (s *databaseSuite) TestDirectGivesErrors() {
	s.exec(s.writer, "CREATE UNIQUE INDEX i ON t (a)")
	s.direct(func(d *Direct) {
		insert := "INSERT INTO t VALUES (?1) RETURNING a"
		d.QueryRowContext(context.Background(), insert, 7)
		n, err := d.Int64()
		s.Require().NoError(err)
		s.Require().EqualValues(7, n)

		d.QueryRowContext(context.Background(), insert, 7)
		_, err = d.Int64()
		var failure sqlite3.Error
		s.Require().ErrorAs(err, &failure)
		s.Require().Equal(sqlite3.ErrConstraintUnique, failure.ExtendedCode)
		_, err = d.Text()
		s.Require().Error(err)

		d.QueryRowContext(context.Background(), "SELECT a FROM t WHERE a = 8")
		_, err = d.Int64()
		s.Require().ErrorIs(err, sql.ErrNoRows)

		for _, bad := range []string{"SELECT", "SELECT ?1, ?2"} {
			d.QueryRowContext(context.Background(), bad, 1)
			_, err = d.Int64()
			s.Require().Error(err, bad)
			s.Require().NotErrorIs(err, sql.ErrNoRows, bad)
		}
		d.QueryRowContext(context.Background(), "SELECT ?1", struct{}{})
		_, err = d.Int64()
		s.Require().ErrorContains(err, "argument 1")
	})
	s.Require().Equal(1, s.rows())
}

func (s *databaseSuite) TestDirectExecutes() {
	s.direct(func(d *Direct) {
		result, err := d.ExecContext(context.Background(), "INSERT INTO t VALUES (?1), (?2)", 1, true)
		s.Require().NoError(err)
		n, err := result.RowsAffected()
		s.Require().NoError(err)
		s.Require().EqualValues(2, n)
		_, err = d.ExecContext(context.Background(), "INSERT INTO missing VALUES (?1)", 1)
		s.Require().Error(err)
		_, err = d.ExecContext(context.Background(), "INSERT INTO t VALUES (?1)", struct{}{})
		s.Require().ErrorContains(err, "argument 1")
	})
	s.Require().Equal(2, s.rows())
}
