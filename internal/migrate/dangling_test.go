package migrate

import "github.com/oxide-k/stateregistry/internal/sqlite"

// Beyond a bound rows are not told apart, only counted: on both sides, whichever of them exceeds it.
func (s *migrateSuite) TestRowsThatDangleAreOnlyCountedBeyondABound() {
	s.exec("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p, q REFERENCES p); INSERT INTO c (p) VALUES (1), (2), (3)")
	check := func(most int, change string) error {
		tx, err := sqlite.BeginWrite(s.T().Context(), s.pool, sqlite.Wait{})
		s.Require().NoError(err)
		defer tx.Release()
		defer tx.Rollback()
		before, err := readDangling(s.T().Context(), tx.Conn(), most)
		s.Require().NoError(err)
		s.Require().LessOrEqual(len(before.found), most)
		s.Require().NoError(tx.Migrate(func() error {
			_, err := tx.Conn().ExecContext(s.T().Context(), "PRAGMA defer_foreign_keys = 1; "+change)
			return err
		}))
		return before.check(s.T().Context(), tx.Conn(), nil)
	}
	const (
		other = "DELETE FROM c WHERE rowid = 1; INSERT INTO c (rowid, p) VALUES (9, 9)"
		more  = "INSERT INTO c (rowid, p) VALUES (9, 9)"
		fewer = "DELETE FROM c WHERE rowid = 1"
		key   = "UPDATE c SET p = NULL, q = 1 WHERE rowid = 1"
	)
	for _, most := range []int{2, 3, 4} {
		s.Require().NoError(check(most, fewer), most)
		s.Require().ErrorIs(check(most, more), ErrSet, most)
		s.Require().ErrorIs(check(most, key), ErrSet, most)
	}
	s.Require().ErrorIs(check(3, other), ErrSet)
	s.Require().NoError(check(2, other))
}
