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

// openers leave rows open on a transaction, each in a way of its own.
func openers() map[string]func(ctx context.Context, tx *registry.Tx) error {
	const query = "SELECT key FROM config"
	const returning = `INSERT INTO config (key, value, updated_at) VALUES ('r1', '1', '2026-01-01T00:00:00Z'),
('r2', '1', '2026-01-01T00:00:00Z') ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING key`
	return map[string]func(ctx context.Context, tx *registry.Tx) error{
		"the callback's context": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(ctx, query)
			return first(rows, err)
		},
		"the background": func(_ context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(context.Background(), query)
			return first(rows, err)
		},
		"a context without an end": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(context.WithoutCancel(ctx), query)
			return first(rows, err)
		},
		"a row that is not scanned": func(_ context.Context, tx *registry.Tx) error {
			return tx.QueryRowContext(context.Background(), query).Err()
		},
		"a prepared statement": func(ctx context.Context, tx *registry.Tx) error {
			stmt, err := tx.PrepareContext(ctx, query)
			if err != nil {
				return err
			}
			rows, err := stmt.QueryContext(context.Background())
			return first(rows, err)
		},
		"a statement that writes": func(ctx context.Context, tx *registry.Tx) error {
			if _, err := tx.SetConfig(ctx, "before", 1); errors.Is(err, registry.ErrReadOnly) {
				return nil // a View has no such statements
			}
			rows, err := tx.QueryContext(context.Background(), returning)
			return first(rows, err)
		},
		"an interrupt beside them": func(ctx context.Context, tx *registry.Tx) error {
			rows, err := tx.QueryContext(ctx, query)
			if err := first(rows, err); err != nil {
				return err
			}
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			var n int
			if err := tx.QueryRowContext(short, slowQuery).Scan(&n); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("not interrupted: %w", err)
			}
			return nil
		},
	}
}

// first steps to the first row, and leaves the rows open.
func first(rows *sql.Rows, err error) error {
	if err == nil && !rows.Next() {
		err = errors.Join(errors.New("no row"), rows.Err())
	}
	return err
}

func (s *transactionEndSuite) TestRowsThatWereLeftOpenBlockNobody() {
	s.fill(s.reg)
	_, err := s.reg.SetConfig(s.T().Context(), "held/2", 1) // two rows: the second is never read
	s.Require().NoError(err)
	own := errors.New("own")
	for name, open := range openers() {
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
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) (err error) {
		stmt, err = tx.PrepareContext(ctx, insertRow)
		s.Require().NoError(err)
		_, err = stmt.ExecContext(ctx, "prepared")
		return err
	}))
	_, err := stmt.ExecContext(s.T().Context(), "late")
	s.Require().Error(err)
	s.only("prepared")
}

// TestNothingSlipsOutOfATransactionThatReturns leaks a Tx and a prepared statement to goroutines that go on writing
// while the callback returns an error: whatever they wrote must be gone with it.
func (s *transactionEndSuite) TestNothingSlipsOutOfATransactionThatReturns() {
	own := errors.New("own")
	for range 20 {
		var writers sync.WaitGroup
		err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
			stmt, err := tx.PrepareContext(ctx, insertRow)
			s.Require().NoError(err)
			var started sync.WaitGroup
			outer := s.T().Context()
			for worker, write := range []func(key string) error{
				func(key string) error { _, err := stmt.ExecContext(outer, key); return err },
				func(key string) error { _, err := tx.ExecContext(outer, insertRow, key); return err },
				func(key string) error { _, err := tx.SetConfig(outer, key, 1); return err },
				func(key string) error { return tx.QueryRowContext(outer, insertRow+" RETURNING key", key).Scan(&key) },
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
	for name, text := range map[string]string{
		"COMMIT":                   "COMMIT",
		"END":                      "END",
		"ROLLBACK":                 "ROLLBACK",
		"a new one":                "ROLLBACK; BEGIN",
		"a new one with a write":   "ROLLBACK; BEGIN IMMEDIATE; " + strings.Replace(insertRow, "?", "'slipped'", 1),
		"a commit and a new one":   "COMMIT; BEGIN IMMEDIATE",
		"a write behind it":        "ROLLBACK; " + strings.Replace(insertRow, "?", "'slipped'", 1),
		"a write behind a COMMIT":  "COMMIT; " + strings.Replace(insertRow, "?", "'slipped'", 1),
		"a conflict that rolls it": strings.Replace(strings.Replace(insertRow, "?", "'first'", 1), "INSERT", "INSERT OR ROLLBACK", 1),
	} {
		s.soon(func() {
			err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.SetConfig(ctx, "first", 1)
				s.NoError(err)
				stmt, err := tx.PrepareContext(ctx, insertRow)
				s.NoError(err)
				_, _ = tx.ExecContext(ctx, text)
				_, _ = stmt.ExecContext(ctx, "slipped")
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
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for _, text := range []string{
			"SAVEPOINT a", strings.Replace(insertRow, "?", "'undone'", 1), "ROLLBACK TO a", "RELEASE a",
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
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "before", 1)
		s.Require().NoError(err)
		stmt, err := tx.PrepareContext(ctx, insertRow)
		s.Require().NoError(err)
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err = tx.ExecContext(short, slowInsert)
		s.Require().ErrorIs(err, context.DeadlineExceeded)
		_, err = tx.SetConfig(ctx, "after", 1)
		s.Require().ErrorIs(err, registry.ErrTxDone)
		_, err = tx.ExecContext(ctx, insertRow, "after")
		s.Require().ErrorIs(err, registry.ErrTxDone)
		_, err = stmt.ExecContext(ctx, "after")
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
		s.Require().Equal("1", value)
		removed, err := db.New().DeleteConfig(ctx, tx, "held")
		s.Require().NoError(err)
		s.Require().EqualValues(1, removed)
		s.Require().ErrorIs(tx.GetConfig(ctx, "held", new(int)), registry.ErrConfigNotFound)
		return own
	})
	s.Require().True(err == own, "%v", err)
	s.only()
}
