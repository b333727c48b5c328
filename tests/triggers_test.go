package tests

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestTriggers(t *testing.T) {
	runInModes(t, func() *triggerSuite { return &triggerSuite{} })
}

// triggerSuite is about changes that somebody makes with SQL of their own: whatever the statement, each row that it
// changes gets the next revision and one row in the log, or the statement is refused and leaves no trace.
type triggerSuite struct {
	rowSuite
	whole string // a file with what the statements start from
}

// SetupSuite makes that file.
func (s *triggerSuite) SetupSuite() {
	if s.mode.memory {
		return
	}
	s.whole = filepath.Join(s.T().TempDir(), "whole.db")
	reg, err := s.mode.open(s.T().Context(), s.whole)
	s.Require().NoError(err)
	s.plant(reg)
	s.Require().NoError(reg.Close())
}

// plant writes what the statements start from.
func (s *triggerSuite) plant(reg *registry.Registry) {
	for i, key := range []string{"a", "b", "c"} {
		s.Require().NoError(s.exec(reg, s.filled(reg, fmt.Sprintf(
			"INSERT INTO config (key, value, updated_at) VALUES ('%s', @v'%d', @at)", key, i+1))))
	}
	s.addModules(reg)
}

// planted is a registry of its own that starts with that.
func (s *triggerSuite) planted() (*registry.Registry, string) {
	path := s.mode.path(s.T())
	if !s.mode.memory {
		copyFile(s.T(), s.whole, path)
	}
	reg, err := s.mode.open(s.T().Context(), path)
	s.Require().NoError(err)
	if s.mode.memory {
		s.plant(reg)
	}
	return reg, path
}

// filled is SQL with the time and the values in it.
func (s *triggerSuite) filled(reg *registry.Registry, sql string) string {
	return strings.NewReplacer("@at", "'2026-05-20T12:34:56.000000000+00:00'", "@v'", "'"+s.marker(reg)).Replace(sql)
}

// marker is what the values of a registry start with: nothing, where they are not encrypted.
func (s *triggerSuite) marker(reg *registry.Registry) (marker string) {
	if s.mode.encrypted() {
		marker = s.text(reg, "SELECT marker FROM keyset")
	}
	return marker
}

// statement is one such statement, run on a registry that holds the config entries a, b and c (1, 2 and 3) and the
// modules m and n (both loaded). @at stands for a time, and @v'4' for the value 4: in an encrypted registry a text that
// starts as the values do that are encrypted under its primary key. No guard looks any further.
type statement struct {
	sql   string
	steps []step // the row changes that it makes, in whatever order
	// recursive are the steps where recursive triggers are on, if others: REPLACE then deletes with a trace.
	recursive []step
	fails     bool
	silent    bool // how many rows the driver counts says nothing
}

// step is one row change.
type step struct{ op, subject, key, text string }

func put(key, text string) step      { return step{"put", "config", key, text} }
func del(key string) step            { return step{"delete", "config", key, ""} }
func putModule(id, text string) step { return step{"put", "module", id, text} }
func delModule(id string) step       { return step{"delete", "module", id, ""} }
func putOther(key string) step       { return step{"put", "own", key, ""} }

// prepare writes the same with values that can be read.
func (s *triggerSuite) prepare(reg *registry.Registry) {
	ctx := s.T().Context()
	for i, key := range []string{"a", "b", "c"} {
		_, err := reg.SetConfig(ctx, key, i+1)
		s.Require().NoError(err)
	}
	s.addModules(reg)
}

func (s *triggerSuite) addModules(reg *registry.Registry) {
	ctx := s.T().Context()
	for _, id := range []string{"m", "n"} {
		_, err := reg.UpsertModule(ctx, registry.ModuleMetadata{ID: id, Kind: registry.KindWasm}, registry.StateLoaded)
		s.Require().NoError(err)
	}
}

// runner runs a statement and gives the number of rows that the driver counted.
type runner func(reg *registry.Registry, path, sql string) (int64, error)

// inUpdate runs a statement in an Update, which goes on and commits if it fails: nothing of it must be left.
func (s *triggerSuite) inUpdate(reg *registry.Registry, _, sql string) (affected int64, failed error) {
	err := reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		result, err := tx.ExecContext(ctx, sql)
		if err != nil {
			failed = err
			return nil
		}
		affected, err = result.RowsAffected()
		return err
	})
	s.Require().NoError(err)
	return affected, failed
}

// asAnotherProgram runs a statement on a connection of its own, on the file that the registry has open.
func (s *triggerSuite) asAnotherProgram(params string) runner {
	return func(_ *registry.Registry, path, sql string) (int64, error) {
		result, err := s.raw(path, params).Exec(sql)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
}

func (s *triggerSuite) TestEveryStatementKeepsRevisionsRight() {
	statements := configStatements
	if !s.mode.origin {
		statements = slices.Concat(configStatements, moduleStatements, logStatements)
	}
	for _, c := range statements {
		s.Run(c.sql, func() {
			s.Run("in an Update", func() { s.check(c, c.steps, s.inUpdate) })
			if s.mode.memory || s.mode.origin {
				return
			}
			s.Run("by another program", func() { s.check(c, c.steps, s.asAnotherProgram("")) })
			s.Run("by one with recursive triggers", func() {
				recursive, steps := c, c.steps
				if c.recursive != nil {
					recursive.silent, steps = true, c.recursive
				}
				s.check(recursive, steps, s.asAnotherProgram("?_recursive_triggers=1"))
			})
		})
	}
}

// check runs a statement on a registry of its own, and holds what became of the rows against a model.
func (s *triggerSuite) check(c statement, steps []step, run runner) {
	reg, path := s.planted()
	defer s.close(reg)
	before := s.rows(reg)
	affected, err := run(reg, path, s.filled(reg, c.sql))
	if c.fails {
		s.Require().Error(err)
	} else {
		s.Require().NoError(err)
	}
	if !c.fails && !c.silent {
		s.Require().EqualValues(len(steps), affected)
	}
	after := s.rows(reg)

	// The log is what it was and one row for each step. In which order a statement changes its rows is SQLite's business.
	s.Require().Len(after.log, len(before.log)+len(steps))
	s.Require().Equal(before.log, after.log[:len(before.log)])
	want, marker := maps.Clone(before.held), s.marker(reg)
	left := slices.Clone(steps)
	for i, logged := range after.log[len(before.log):] {
		s.Require().EqualValues(len(before.log)+i+1, logged.revision)
		at := slices.IndexFunc(left, func(x step) bool {
			return x.op == logged.op && x.subject == logged.subject && x.key == logged.key
		})
		s.Require().GreaterOrEqual(at, 0, "%+v is no step", logged)
		switch where := (row{logged.subject, logged.key}); {
		case logged.op == "delete":
			delete(want, where)
		case logged.subject == "config":
			want[where] = content{marker + left[at].text, logged.revision}
		case logged.subject == "module":
			want[where] = content{left[at].text, logged.revision}
		}
		left = slices.Delete(left, at, at+1)
	}
	s.Require().Equal(want, after.held)

	current, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	s.Require().EqualValues(len(after.log), current)
}

// close verifies a registry and closes it. Values that no key opens are no surprise here.
func (s *triggerSuite) close(reg *registry.Registry) {
	report, err := reg.Verify(s.T().Context())
	if !s.mode.encrypted() {
		s.Require().NoError(err, "%v", report.Problems)
	}
	for _, problem := range report.Problems {
		s.Require().True(strings.HasPrefix(problem.Text, registry.ErrTampered.Error()), "%s", problem)
	}
	s.Require().NoError(reg.Close())
}

func (s *triggerSuite) TestRefusedStatementLeavesTheTransactionStanding() {
	s.prepare(s.reg)
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "before", 1)
		s.Require().NoError(err)
		_, err = tx.ExecContext(ctx, "UPDATE config SET key = 'x' WHERE key = 'a'")
		s.Require().Error(err)
		_, err = tx.ExecContext(ctx, "DELETE FROM changes")
		s.Require().Error(err)
		revision, err := tx.SetConfig(ctx, "after", 1)
		s.Require().EqualValues(7, revision)
		return err
	})
	s.Require().NoError(err)
	s.Require().Len(s.rows(s.reg).held, 7)
}

func (s *triggerSuite) TestStatementsOfOneTransactionShareTheCount() {
	s.prepare(s.reg)
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM config WHERE key IN ('a', 'b')")
		s.Require().NoError(err)
		revision, err := tx.SetConfig(ctx, "a", "again")
		s.Require().NoError(err)
		s.Require().EqualValues(8, revision)
		_, err = tx.ExecContext(ctx, `UPDATE modules SET state = '"running"'`)
		s.Require().NoError(err)
		current, err := tx.Revision(ctx)
		s.Require().EqualValues(10, current)
		return err
	})
	s.Require().NoError(err)
	changes, err := s.reg.Changes(s.T().Context(), 5, 100)
	s.Require().NoError(err)
	s.Require().Len(changes, 5)
}

// A VACUUM may number the rows of modules and config anew; nothing of the registry hangs on those numbers.
func (s *triggerSuite) TestVacuumChangesNothing() {
	if s.mode.memory {
		s.T().Skip("VACUUM needs a connection of another program, and there is no file")
	}
	s.prepare(s.reg)
	_, err := s.reg.DeleteConfig(s.T().Context(), "a") // leaves a gap in the row numbers
	s.Require().NoError(err)
	s.unchanged(s.reg, func() {
		_, err := s.raw(s.path, "").Exec("VACUUM")
		s.Require().NoError(err)
	})
	text := sealed(s.T(), s.reg, "c", "true")
	s.Require().NoError(s.exec(s.reg, "UPDATE config SET value = ? WHERE key = 'c'", text))
	s.Require().Equal(content{text, 7}, s.rows(s.reg).held[row{"config", "c"}])
}

// Triggers of the log see to it that it is compacted by whoever writes.
func (s *triggerSuite) TestOthersWritesCompactTheLogToo() {
	reg := s.fresh(registry.WithLogLimit(10))
	s.Require().NoError(s.exec(reg, s.filled(reg, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		INSERT INTO config (key, value, updated_at) SELECT 'k' || i, @v'' || i, @at FROM n`)))
	log := s.rows(reg).log
	s.Require().LessOrEqual(len(log), 73)
	s.Require().EqualValues(1000, log[len(log)-1].revision)
	s.Require().NoError(s.exec(reg, "DELETE FROM config"))
	log = s.rows(reg).log
	s.Require().LessOrEqual(len(log), 73)
	s.Require().EqualValues(2000, log[len(log)-1].revision)
}
