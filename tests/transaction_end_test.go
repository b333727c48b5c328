package tests

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

func TestTransactionEnd(t *testing.T) {
	runInModes(t, func() *transactionEndSuite { return &transactionEndSuite{} })
}

// transactionEndSuite is about what happens once a transaction is over, whoever ended it.
type transactionEndSuite struct{ callSuite }

// only requires that the config holds these keys, and that the registry still writes.
func (s *transactionEndSuite) only(keys ...string) {
	s.soon(func() {
		entries, err := s.reg.ListConfig(s.T().Context(), "")
		s.NoError(err)
		var found []string
		for _, e := range entries {
			found = append(found, e.Key)
		}
		s.Equal(keys, found)
		s.NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.SetConfig(ctx, "still usable", 1)
			return err
		}))
	})
}

func (s *transactionEndSuite) TestATxIsOverWithItsCallback() {
	s.fill(s.reg)
	var tx *registry.Tx
	leak := func(_ context.Context, t *registry.Tx) error { tx = t; return nil }
	own := errors.New("own")
	for name, run := range map[string]func() error{
		"View":   func() error { return s.reg.View(s.T().Context(), leak) },
		"Update": func() error { return s.reg.Update(s.T().Context(), leak) },
		"an Update that failed": func() error {
			err := s.reg.Update(s.T().Context(), func(ctx context.Context, t *registry.Tx) error { tx = t; return own })
			s.Require().True(err == own)
			return nil
		},
	} {
		s.Require().NoError(run())
		calls := append(s.reads(tx), s.writes(tx)...)
		for _, c := range append(calls, s.statements(tx)...) {
			s.Require().ErrorIs(c.run(s.T().Context()), registry.ErrTxDone, "%s of %s", c.name, name)
		}
	}
	s.only("held")
}

func (s *transactionEndSuite) TestRowsThatWereLeftOpenBlockNobody() {
	s.fill(s.reg)
	_, err := s.reg.SetConfig(s.T().Context(), "held/2", 1) // two rows: the second is never read
	s.Require().NoError(err)
	own := errors.New("own")
	for name, open := range s.openers(s.reg) {
		for _, result := range []error{nil, own} {
			callback := func(ctx context.Context, tx *registry.Tx) error {
				s.NoError(open(ctx, tx), name)
				return result
			}
			s.soon(func() {
				s.Equal(result, s.reg.View(s.T().Context(), callback), name)
				s.Equal(result, s.reg.Update(s.T().Context(), callback), name)
				_, err := s.reg.SetConfig(s.T().Context(), "held", name)
				s.NoError(err, name)
				_, err = s.reg.DeleteConfig(s.T().Context(), "held/3")
				s.NoError(err, name)
			})
		}
	}
	s.only("before", "held", "held/2", "r1", "r2")
}

func (s *transactionEndSuite) TestRowsThatWereLeftOpenReadNoFurther() {
	s.fill(s.reg)
	_, err := s.reg.SetConfig(s.T().Context(), "held/2", 1)
	s.Require().NoError(err)
	var rows *sql.Rows
	s.Require().NoError(s.reg.Update(s.T().Context(), func(_ context.Context, tx *registry.Tx) (err error) {
		rows, err = tx.QueryContext(context.Background(), "SELECT key FROM config")
		return first(rows, err)
	}))
	s.Require().False(rows.Next())
	s.Require().Error(rows.Err(), "rows that were cut short do not look complete")
}

func (s *transactionEndSuite) TestAPreparedStatementEndsWithItsTransaction() {
	var stmt *sql.Stmt
	text := sealed(s.T(), s.reg, "prepared", "1")
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) (err error) {
		stmt, err = tx.PrepareContext(ctx, insertRow)
		s.Require().NoError(err)
		_, err = stmt.ExecContext(ctx, "prepared", text)
		return err
	}))
	_, err := stmt.ExecContext(s.T().Context(), "late", text)
	s.Require().Error(err)
	s.only("prepared")
}

// TestNothingSlipsOutOfATransactionThatReturns leaks a Tx and a prepared statement to goroutines that go on writing
// while the callback returns an error: whatever they wrote must be gone with it.
func (s *transactionEndSuite) TestNothingSlipsOutOfATransactionThatReturns() {
	own := errors.New("own")
	text := sealed(s.T(), s.reg, "any", "1") // no guard looks further than at its marker
	for range 20 {
		var writers sync.WaitGroup
		err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			stmt, err := tx.PrepareContext(ctx, insertRow)
			s.Require().NoError(err)
			var started sync.WaitGroup
			outer := s.T().Context()
			for worker, write := range []func(key string) error{
				func(key string) error { _, err := stmt.ExecContext(outer, key, text); return err },
				func(key string) error { _, err := tx.ExecContext(outer, insertRow, key, text); return err },
				func(key string) error { _, err := tx.SetConfig(outer, key, 1); return err },
				func(key string) error {
					return tx.QueryRowContext(outer, insertRow+" RETURNING key", key, text).Scan(&key)
				},
			} {
				started.Add(1)
				writers.Go(func() {
					for i := 0; ; i++ {
						err := write(fmt.Sprintf("leaked/%d/%d", worker, i))
						if i == 2 {
							started.Done()
						}
						if err != nil { // database/sql's own, where it came between a statement and its rows
							s.Greater(i, 2, "it wrote before the callback returned: %v", err)
							return
						}
					}
				})
			}
			started.Wait()
			return own
		})
		s.Require().True(err == own, "%v", err)
		writers.Wait()
	}
	s.only()
}

func (s *transactionEndSuite) TestSQLThatEndsTheTransactionUndoesIt() {
	slipped, first := sealed(s.T(), s.reg, "slipped", "1"), sealed(s.T(), s.reg, "first", "1")
	for name, text := range map[string]string{
		"COMMIT":                   "COMMIT",
		"END":                      "END",
		"ROLLBACK":                 "ROLLBACK",
		"a new one":                "ROLLBACK; BEGIN",
		"a new one with a write":   "ROLLBACK; BEGIN IMMEDIATE; " + inserting("slipped", slipped),
		"a commit and a new one":   "COMMIT; BEGIN IMMEDIATE",
		"a write behind it":        "ROLLBACK; " + inserting("slipped", slipped),
		"a write behind a COMMIT":  "COMMIT; " + inserting("slipped", slipped),
		"a conflict that rolls it": strings.Replace(inserting("first", first), "INSERT", "INSERT OR ROLLBACK", 1),
	} {
		s.soon(func() {
			err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.SetConfig(ctx, "first", 1)
				s.NoError(err)
				stmt, err := tx.PrepareContext(ctx, insertRow)
				s.NoError(err)
				_, _ = tx.ExecContext(ctx, text)
				_, _ = stmt.ExecContext(ctx, "slipped", slipped)
				calls := append(s.reads(tx), s.writes(tx)...)
				for _, c := range append(calls, s.statements(tx)...) {
					s.ErrorIs(c.run(ctx), registry.ErrTxDone, "%s, then %s", name, c.name)
				}
				return nil
			})
			s.ErrorIs(err, registry.ErrTxDone, name)
		})
		s.only()
		_, err := s.reg.DeleteConfig(s.T().Context(), "still usable")
		s.Require().NoError(err)
	}
}

func (s *transactionEndSuite) TestSavepointsAreTheCallersOwn() {
	undone := sealed(s.T(), s.reg, "undone", "1")
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for _, text := range []string{
			"SAVEPOINT a", inserting("undone", undone), "ROLLBACK TO a", "RELEASE a",
		} {
			_, err := tx.ExecContext(ctx, text)
			s.Require().NoError(err, text)
		}
		_, err := tx.SetConfig(ctx, "kept", 1)
		return err
	}))
	s.only("kept")
}

func (s *transactionEndSuite) TestAnInterruptedWriteEndsTheTransaction() {
	text := sealed(s.T(), s.reg, "any", "1")
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "before", 1)
		s.Require().NoError(err)
		stmt, err := tx.PrepareContext(ctx, insertRow)
		s.Require().NoError(err)
		for limit := 50 * time.Millisecond; ; limit *= 2 { // until the statement has begun to write by then
			short, cancel := context.WithTimeout(ctx, limit)
			_, err = tx.ExecContext(short, slowInsert, text)
			cancel()
			s.Require().ErrorIs(err, context.DeadlineExceeded)
			if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil {
				s.Require().ErrorIs(err, registry.ErrTxDone)
				break
			}
			s.Require().Less(limit, patience, "it is not interrupted while it writes")
		}
		_, err = tx.SetConfig(ctx, "after", 1)
		s.Require().ErrorIs(err, registry.ErrTxDone)
		_, err = tx.ExecContext(ctx, insertRow, "after", text)
		s.Require().ErrorIs(err, registry.ErrTxDone)
		_, err = stmt.ExecContext(ctx, "after", text)
		s.Require().Error(err)
		return nil
	})
	s.Require().ErrorIs(err, registry.ErrTxDone)
	s.only()
}

func (s *transactionEndSuite) TestAnInterruptedReadLeavesTheTransactionStanding() {
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		var n int
		s.Require().ErrorIs(tx.QueryRowContext(short, slowQuery).Scan(&n), context.DeadlineExceeded)
		_, err := tx.SetConfig(ctx, "after", 1)
		return err
	}))
	s.only("after")
}

func (s *transactionEndSuite) TestGeneratedQueriesShareTheTransaction() {
	own := errors.New("own")
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		s.fill(tx)
		value, err := db.New().GetConfigValue(ctx, tx, "held")
		s.Require().NoError(err)
		s.Require().Equal(!s.mode.encrypted(), value == "1", "SQL sees what the file holds")
		removed, err := db.New().DeleteConfig(ctx, tx, "held")
		s.Require().NoError(err)
		s.Require().EqualValues(1, removed)
		s.Require().ErrorIs(tx.GetConfig(ctx, "held", new(int)), registry.ErrConfigNotFound)
		return own
	})
	s.Require().True(err == own, "%v", err)
	s.only()
}
