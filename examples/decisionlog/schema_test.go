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
	columns = "id, timestamp, actor, action, rationale, inputs, output, confidence"
	values  = "'00000000-0000-4000-8000-000000000002', '2026-03-14T12:00:00.000000000+00:00', 'a', 'b', '', '1', '2', 0.5"
)

// appendOnly is what the triggers say.
const appendOnly = "append-only"

func (s *schemaSuite) TestNoStatementChangesOrRemovesADecision() {
	s.fill(3)
	want, before := s.recent(), s.revision()
	taken := strings.Replace(values, id(2), id(1), 1)
	for _, statement := range []string{
		"UPDATE xai_decisions SET action = 'other'",
		"UPDATE xai_decisions SET action = action WHERE id = '" + id(1) + "'",
		"UPDATE xai_decisions SET id = '" + id(9) + "' WHERE id = '" + id(1) + "'",
		"UPDATE xai_decisions SET _rowid_ = rowid + 100",
		"UPDATE xai_decisions SET rowid = 100 WHERE rowid = 1",
		"UPDATE OR REPLACE xai_decisions SET id = '" + id(1) + "' WHERE id = '" + id(2) + "'",
		"UPDATE OR REPLACE xai_decisions SET oid = 1 WHERE oid = 2",
		"UPDATE OR IGNORE xai_decisions SET action = 'other'",
		"UPDATE xai_decisions SET action = m.name FROM modules AS m",
		"DELETE FROM xai_decisions",
		"DELETE FROM xai_decisions WHERE id = '" + id(1) + "'",
		"DELETE FROM xai_decisions WHERE rowid = 1 RETURNING id",
		"INSERT INTO xai_decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR REPLACE INTO xai_decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR IGNORE INTO xai_decisions (" + columns + ") VALUES (" + taken + ")",
		"INSERT OR ROLLBACK INTO xai_decisions (" + columns + ") VALUES (" + taken + ")",
		"REPLACE INTO xai_decisions (" + columns + ") VALUES (" + taken + ")",
		"REPLACE INTO xai_decisions (" + columns + ") VALUES (" + values + "), (" + taken + ")",
		"REPLACE INTO xai_decisions SELECT * FROM xai_decisions",
		"INSERT INTO xai_decisions (" + columns + ") VALUES (" + taken + ") ON CONFLICT (id) DO UPDATE SET action = 'other'",
		"INSERT INTO xai_decisions (" + columns + ") VALUES (" + taken + ") ON CONFLICT DO NOTHING",
		"REPLACE INTO xai_decisions (oid, " + columns + ") VALUES (1, " + values + ")",
		"REPLACE INTO xai_decisions (rowid, " + columns + ") VALUES (2, " + values + ")",
		"REPLACE INTO xai_decisions (_rowid_, " + columns + ") VALUES ('3', " + values + ")",
		"INSERT INTO xai_decisions (oid, " + columns + ") VALUES (2, " + values + ") ON CONFLICT DO UPDATE SET action = 'other'",
	} {
		s.Require().ErrorContains(s.exec(statement), appendOnly, statement)
		s.Require().Equal(want, s.recent(), statement)
	}
	s.Require().Equal(before, s.revision())
}

// What comes later is later in the order of insertion, or SQLite would have to make numbers up.
func (s *schemaSuite) TestNoStatementGetsBetweenOrAheadOfTheOthers() {
	insert := "(rowid, " + columns + ") VALUES (?, " + values + ")"
	for range 2 {
		want := s.recent()
		for _, rowid := range []int64{4, 100, math.MaxInt64, 0, -1, -2, math.MinInt64} {
			s.Require().ErrorContains(s.exec("INSERT INTO xai_decisions "+insert, rowid), appendOnly, rowid)
			s.Require().ErrorContains(s.exec("REPLACE INTO xai_decisions "+insert, rowid), appendOnly, rowid)
		}
		s.Require().Equal(want, s.recent())
		if len(want) == 0 {
			s.fill(2)
		}
	}
	s.Require().ErrorContains(s.exec("REPLACE INTO xai_decisions "+insert, 1), appendOnly)
	s.Require().NoError(s.exec("INSERT INTO xai_decisions "+insert, 3))
	s.Require().Len(s.recent(), 3)
}

func (s *schemaSuite) TestEachRowOfAStatementIsLoggedInOrder() {
	before := s.revision()
	first := strings.Replace(values, id(2), id(1), 1)
	s.Require().NoError(s.exec("INSERT INTO xai_decisions (" + columns + ") VALUES (" + values + "), (" + first + ")"))
	changes, err := s.reg.Changes(s.T().Context(), before, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 2)
	s.Require().Equal(id(2), changes[0].Key)
	s.Require().Equal(id(1), changes[1].Key)
}

// No row could be mended, so none gets in that oxide-k or this package could not read.
func (s *schemaSuite) TestNoStatementInsertsWhatIsNoDecision() {
	insert := "INSERT INTO xai_decisions (" + columns + ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
	good := []any{id(1), "2026-03-14T12:00:00.000000000+00:00", "a", "b", "", "{}", "[]", 0.5}
	bad := map[int][]any{
		0: {nil, "", []byte(id(1)), "d-1", 1, "6F1C1AB8-6D3E-4B57-9C1A-0D8F2B7E4A51", "6f1c1ab86d3e4b579c1a0d8f2b7e4a51",
			"6f1c1ab8-6d3e-4b57-9c1a-0d8f2b7e4a5-", "6f1c1ab8-6d3e-4b57-9c1a-0d8f2b7e4a5g", id(1) + " ", " " + id(1)},
		1: {nil, "", "2026-03-14 12:00:00", "2026-03-14T12:00:00Z", "2026-03-14T12:00:00.000000000Z", 1773489600,
			"2026-03-14T12:00:00.000000000+01:00", "2026-03-14T12:00:00.+00:00", "2026-03-14T12:00:00.00000000x+00:00",
			"2026-03-14T12:00:00.0000000000+00:00", "2026-03-14T12:00:00.0x+00:00", "2026-03-14T12:00:00-00:00",
			"2026-02-29T12:00:00.000000000+00:00", "2026-13-14T12:00:00.000000000+00:00", "2026-03-14T24:00:00.000000000+00:00",
			"2026-03-14T12:00:60.000000000+00:00", " 026-03-14T12:00:00.000000000+00:00", "2026-03-14T12:00:00.000000000+00:00 ",
			"2026-03-14T12:00:00.000+00:00+00:00", []byte("2026-03-14T12:00:00.000000000+00:00")},
		2: {nil, []byte("a")},
		3: {nil, []byte("b")},
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
			s.Require().ErrorContains(s.exec(insert, row...), "xai_decisions: not a decision", "column %d: %v", column, value)
		}
	}
	s.Require().Equal(before, s.revision())
	s.Require().NoError(s.exec(insert, good...))
	taken := 1
	for column, alternatives := range map[int][]any{
		1: {"2026-03-14T12:00:00+00:00", "2026-03-14T12:00:00.1+00:00", "2024-02-29T23:59:59.123+00:00",
			"2026-03-14T12:00:00.123456+00:00", "0000-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999999+00:00"},
		2: {"", "ü", "a\x00b"},
		3: {""},
		5: {"null", `{"a":[1e10,"ü"]}`},
		7: {0, 1, "0.5", 0.85000002384185791015}, // the column makes reals of these
	} {
		for _, value := range alternatives {
			taken++
			row := append([]any{id(taken)}, good[1:]...)
			row[column] = value
			s.Require().NoError(s.exec(insert, row...), "column %d: %v", column, value)
		}
	}
	s.Require().Len(s.recent(), taken)
}

// Reading the newest of many sorts none but those of the same moment.
func (s *schemaSuite) TestNewestFirstComesFromAnIndex() {
	ctx, queries, byTime := s.T().Context(), db.New(), "SCAN xai_decisions USING INDEX idx_xai_time"
	q := &explainer{DBTX: s.reg.ReadDB()}
	_, err := queries.ListRecentDecisions(ctx, q, 1)
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{byTime}, q.plan)
	_, err = queries.ListRecentDecisionsWithModules(ctx, q, 1)
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{byTime, "SEARCH modules USING INDEX sqlite_autoindex_modules_1 (id=?) LEFT-JOIN"}, q.plan)
	_, err = queries.ListDecisionsByActor(ctx, q, db.ListDecisionsByActorParams{Actor: mirror.ID, MaxRows: 1})
	s.Require().ErrorIs(err, errExplained)
	s.Require().Equal([]string{
		"SEARCH xai_decisions USING INDEX idx_xai_actor_time (actor=?)", "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
	}, q.plan)
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
