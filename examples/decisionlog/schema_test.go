package decisionlog_test

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"

	"github.com/oxide-k/stateregistry/examples/decisionlog/db"
)

// schemaSuite is about statements that do not come from this package: the table itself holds what it promises.
type schemaSuite struct{ logSuite }

// columns and values are those of a row that can be inserted.
const (
	columns = "id, at, actor, action, rationale, inputs, output, confidence"
	values  = "'d-2', '2026-03-14T12:00:00.000000000+00:00', 'a', 'b', '', '1', '2', 0.5"
)

// appendOnly is what the triggers say.
const appendOnly = "append-only"

func (s *schemaSuite) TestNoStatementChangesOrRemovesADecision() {
	s.fill(3)
	want, before := s.recent(), s.revision()
	taken := strings.Replace(values, "d-2", "d-1", 1)
	for _, statement := range []string{
		"UPDATE decisions SET action = 'other'",
		"UPDATE decisions SET action = action WHERE id = 'd-1'",
		"UPDATE decisions SET id = 'd-9' WHERE id = 'd-1'",
		"UPDATE decisions SET seq = seq + 100",
		"UPDATE decisions SET rowid = 100 WHERE rowid = 1",
		"UPDATE OR REPLACE decisions SET id = 'd-1' WHERE id = 'd-2'",
		"UPDATE OR REPLACE decisions SET seq = 1 WHERE seq = 2",
		"UPDATE OR IGNORE decisions SET action = 'other'",
		"UPDATE decisions SET action = m.name FROM modules AS m",
		"DELETE FROM decisions",
		"DELETE FROM decisions WHERE id = 'd-1'",
		"DELETE FROM decisions WHERE rowid = 1 RETURNING id",
		"INSERT INTO decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR REPLACE INTO decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR IGNORE INTO decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR ROLLBACK INTO decisions (" + columns + ") VALUES (" + taken + ")",
		"REPLACE INTO decisions (" + columns + ") VALUES (" + taken + ")",
		"REPLACE INTO decisions (" + columns + ") VALUES (" + values + "), (" + taken + ")",
		"REPLACE INTO decisions SELECT * FROM decisions",
		"INSERT INTO decisions (" + columns + ") VALUES (" + taken + ") ON CONFLICT (id) DO UPDATE SET action = 'other'",
		"INSERT INTO decisions (" + columns + ") VALUES (" + taken + ") ON CONFLICT DO NOTHING",
		"REPLACE INTO decisions (seq, " + columns + ") VALUES (1, " + values + ")",
		"REPLACE INTO decisions (rowid, " + columns + ") VALUES (2, " + values + ")",
		"REPLACE INTO decisions (_rowid_, " + columns + ") VALUES ('3', " + values + ")",
		"INSERT INTO decisions (seq, " + columns + ") VALUES (2, " + values + ") ON CONFLICT DO UPDATE SET action = 'other'",
	} {
		s.Require().ErrorContains(s.exec(statement), appendOnly, statement)
		s.Require().Equal(want, s.recent(), statement)
	}
	s.Require().Equal(before, s.revision())
}

// What comes later is later in the order of insertion, or SQLite would have to make numbers up.
func (s *schemaSuite) TestNoStatementGetsBetweenOrAheadOfTheOthers() {
	s.fill(2)
	for seq, why := range map[int64]string{
		4: appendOnly, 100: appendOnly, math.MaxInt64: appendOnly, 1: appendOnly,
		0: "CHECK constraint", -1: "CHECK constraint", math.MinInt64: "CHECK constraint",
	} {
		s.Require().ErrorContains(s.exec("INSERT INTO decisions (seq, "+columns+") VALUES (?, "+values+")", seq), why, seq)
	}
	s.Require().NoError(s.exec("INSERT INTO decisions (seq, " + columns + ") VALUES (3, " + values + ")"))
	s.Require().Len(s.recent(), 3)
}

func (s *schemaSuite) TestEachRowOfAStatementIsLoggedInOrder() {
	before := s.revision()
	first := strings.Replace(values, "d-2", "d-1", 1)
	s.Require().NoError(s.exec("INSERT INTO decisions (" + columns + ") VALUES (" + values + "), (" + first + ")"))
	changes, err := s.reg.Changes(s.T().Context(), before, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 2)
	s.Require().Equal("d-2", changes[0].Key)
	s.Require().Equal("d-1", changes[1].Key)
}

// No row could be mended, so none gets in that this package could not have written.
func (s *schemaSuite) TestNoStatementInsertsWhatIsNoDecision() {
	insert := "INSERT INTO decisions (" + columns + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
	good := []any{"d-1", "2026-03-14T12:00:00.000000000+00:00", "a", "b", "", "{}", "[]", 0.5}
	bad := map[int][]any{
		0: {nil, "", []byte("d-1")},
		1: {nil, "", "2026-03-14 12:00:00", "2026-03-14T12:00:00Z", "2026-03-14T12:00:00.000000000Z", 1773489600,
			"2026-03-14T12:00:00.000000000+01:00", "2026-03-14T12:00:00.00000000+00:00", "2026-03-14T12:00:00.00000000x+00:00",
			"2026-02-29T12:00:00.000000000+00:00", "2026-13-14T12:00:00.000000000+00:00", "2026-03-14T24:00:00.000000000+00:00",
			"2026-03-14T12:00:60.000000000+00:00", " 026-03-14T12:00:00.000000000+00:00", "2026-03-14T12:00:00.000000000+00:00 ",
			[]byte("2026-03-14T12:00:00.000000000+00:00")},
		2: {nil, "", []byte("a")},
		3: {nil, "", []byte("b")},
		4: {nil, []byte("why")},
		5: {nil, "", "no JSON", "{} {}", "{a: 1}", []byte("{}")},
		6: {nil, "", "no JSON", "[1,]", "NaN", []byte("{}")},
		7: {nil, -0.001, 1.001, math.NaN(), math.Inf(1), math.Inf(-1), -1, 2, "high", []byte("0.5")},
	}
	before := s.revision()
	for column, alternatives := range bad {
		for _, value := range alternatives {
			row := append([]any(nil), good...)
			row[column] = value
			s.Require().ErrorContains(s.exec(insert, row...), "constraint failed", "column %d: %v", column, value)
		}
	}
	s.Require().Equal(before, s.revision())
	s.Require().NoError(s.exec(insert, good...))
	for id, confidence := range map[string]any{"zero": 0, "one": 1, "text": "0.5"} { // the column makes reals of these
		row := append([]any{id}, good[1:]...)
		row[7] = confidence
		s.Require().NoError(s.exec(insert, row...))
	}
	s.Require().Len(s.recent(), 4)
}

// Reading the newest of many sorts nothing.
func (s *schemaSuite) TestNewestFirstComesFromAnIndex() {
	ctx, queries, byTime := s.T().Context(), db.New(), "SCAN decisions USING INDEX decisions_by_time"
	q := &explainer{DBTX: s.reg.ReadDB()}
	_, err := queries.ListRecentDecisions(ctx, q, 1)
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{byTime}, q.plan)
	_, err = queries.ListRecentDecisionsWithModules(ctx, q, 1)
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{byTime, "SEARCH modules USING INDEX sqlite_autoindex_modules_1 (id=?) LEFT-JOIN"}, q.plan)
	_, err = queries.ListDecisionsByActor(ctx, q, db.ListDecisionsByActorParams{Actor: mirror.ID, MaxRows: 1})
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{"SEARCH decisions USING INDEX decisions_by_actor (actor=?)"}, q.plan)
}

// explainer is a DBTX that keeps the plan of a query and does not run it: errExplained.
type explainer struct {
	db.DBTX
	plan []string
}

var errExplained = errors.New("explained")

func (e *explainer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := e.DBTX.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	e.plan = nil
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		e.plan = append(e.plan, detail)
	}
	return nil, errors.Join(errExplained, rows.Err())
}
