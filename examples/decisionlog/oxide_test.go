package decisionlog_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// TestOxideKDecisions moves an oxide-k kernel's decisions to a registry, and back. (A copy of this package whose table is its own
// has no use for this file.)
func TestOxideKDecisions(t *testing.T) {
	t.Run("plaintext", func(t *testing.T) { suite.Run(t, &oxideSuite{}) })
	t.Run("encrypted", func(t *testing.T) { suite.Run(t, &oxideSuite{encrypted: true}) })
}

// oxideSuite has a file as oxide-k 0.3 leaves it, whose values were encrypted since if it says so.
type oxideSuite struct {
	suite.Suite
	encrypted bool
	path      string
}

func kek() keyset.KEK { return keyset.RawKey(slices.Repeat([]byte{7}, 32)) }

// What oxide-k runs when it opens a registry, and its decision log. All of it is IF NOT EXISTS.
var oxideSchema = []string{
	`CREATE TABLE IF NOT EXISTS modules (
                id          TEXT PRIMARY KEY,
                name        TEXT NOT NULL,
                version     TEXT NOT NULL,
                kind        TEXT NOT NULL,
                state       TEXT NOT NULL,
                description TEXT,
                updated_at  TEXT NOT NULL
            )`,
	`CREATE TABLE IF NOT EXISTS config (
                key        TEXT PRIMARY KEY,
                value      TEXT NOT NULL,
                updated_at TEXT NOT NULL
            )`,
	`CREATE TABLE IF NOT EXISTS xai_decisions (
                id          TEXT PRIMARY KEY,
                timestamp   TEXT NOT NULL,
                actor       TEXT NOT NULL,
                action      TEXT NOT NULL,
                rationale   TEXT NOT NULL,
                inputs      TEXT NOT NULL,
                output      TEXT NOT NULL,
                confidence  REAL NOT NULL
            )`,
	`CREATE INDEX IF NOT EXISTS idx_xai_actor_time ON xai_decisions(actor, timestamp DESC)`,
}

// oxideRow is a row of oxide-k's.
type oxideRow struct {
	id, timestamp, actor, action, rationale, inputs, output string
	confidence                                              float64
}

// oxideRows are in the order in which they were logged, which is not that of their times.
var oxideRows = []oxideRow{
	{id(103), "2026-03-14T12:00:56.123456789+00:00", "healer", "heal", "", `{"css":".primary","n":1e+20}`, "null", 1},
	{id(101), "2026-03-14T12:00:56.12+00:00", "oxide-mirror", "sync", "größer, 世界 😀", "null", "null", float64(float32(0.85))},
	{id(100), "2026-03-14T12:00:56+00:00", "healer", "", "why", `"a\u0000<b>\u2028"`, "[1,2.5]", 0},
	{id(102), "2026-03-14T12:00:56.123+00:00", "healer", "heal", "", "null", "{}", float64(float32(0.1))},
	{id(104), "2026-03-14T12:00:57+00:00", "", "heal", "", "null", "null", float64(float32(0.3333333))},
	{id(99), "2026-03-14T12:00:55.999999+00:00", "healer", "heal", "", "null", "null", 0.5},
}

func (s *oxideSuite) SetupTest() {
	s.path = filepath.Join(s.T().TempDir(), "kernel.db")
	s.oxide(func(kernel *sql.DB) {
		s.insert(kernel, oxideRows...)
		_, err := kernel.Exec(`INSERT INTO config (key, value, updated_at) VALUES ('max_threads', '16', '2026-03-14T12:00:00+00:00')`)
		s.Require().NoError(err)
	})
	if s.encrypted {
		_, err := registry.Encrypt(s.T().Context(), s.path, kek())
		s.Require().NoError(err)
	}
}

// oxide does what an oxide-k kernel does with the file, which nobody else has open.
func (s *oxideSuite) oxide(f func(kernel *sql.DB)) {
	kernel, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Opaque: url.PathEscape(s.path), RawQuery: "_foreign_keys=on"}).String())
	s.Require().NoError(err)
	kernel.SetMaxOpenConns(1)
	defer func() { s.Require().NoError(kernel.Close()) }()
	for _, statement := range oxideSchema {
		_, err := kernel.Exec(statement)
		s.Require().NoError(err)
	}
	f(kernel)
}

func (s *oxideSuite) insert(kernel *sql.DB, rows ...oxideRow) {
	for _, r := range rows {
		_, err := kernel.Exec(`INSERT INTO xai_decisions
                (id, timestamp, actor, action, rationale, inputs, output, confidence)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
			r.id, r.timestamp, r.actor, r.action, r.rationale, r.inputs, r.output, r.confidence)
		s.Require().NoError(err)
	}
}

// recent reads as oxide-k does, and checks what it demands of each row.
func (s *oxideSuite) recent(kernel *sql.DB) (list []decisionlog.Decision) {
	rows, err := kernel.Query(`SELECT id, timestamp, actor, action, rationale, inputs, output, confidence
               FROM xai_decisions ORDER BY timestamp DESC LIMIT ?1`, 100)
	s.Require().NoError(err)
	defer rows.Close()
	for rows.Next() {
		var r oxideRow
		s.Require().NoError(rows.Scan(&r.id, &r.timestamp, &r.actor, &r.action, &r.rationale, &r.inputs, &r.output, &r.confidence))
		s.Require().Regexp(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, r.id)
		s.Require().Equal(float64(float32(r.confidence)), r.confidence)
		list = append(list, s.decision(r))
	}
	s.Require().NoError(rows.Err())
	return list
}

// decision returns what a row says.
func (s *oxideSuite) decision(r oxideRow) decisionlog.Decision {
	at, err := time.Parse(time.RFC3339Nano, r.timestamp)
	s.Require().NoError(err)
	s.Require().True(json.Valid([]byte(r.inputs)) && json.Valid([]byte(r.output)))
	return decisionlog.Decision{
		ID: r.id, At: at.UTC(), Actor: r.actor, Action: r.action, Rationale: r.rationale,
		Inputs: json.RawMessage(r.inputs), Output: json.RawMessage(r.output), Confidence: float32(r.confidence),
	}
}

// newestFirst returns the decisions of oxideRows by their time.
func (s *oxideSuite) newestFirst() (list []decisionlog.Decision) {
	for _, r := range oxideRows {
		list = append(list, s.decision(r))
	}
	slices.SortFunc(list, func(a, b decisionlog.Decision) int { return b.At.Compare(a.At) })
	return list
}

// open opens the file with this package's migrations and runs f.
func (s *oxideSuite) open(f func(ctx context.Context, reg *registry.Registry)) {
	ctx, open := s.T().Context(), registry.Open
	if s.encrypted {
		open = func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
			return registry.OpenEncrypted(ctx, path, kek(), opts...)
		}
	}
	reg, err := open(ctx, s.path, withDecisions())
	s.Require().NoError(err)
	defer func() {
		_, err := reg.Verify(ctx)
		s.Require().NoError(err)
		s.Require().NoError(reg.Close())
	}()
	f(ctx, reg)
}

func (s *oxideSuite) TestDecisionsSurviveTheMoveAndItsWayBack() {
	want := s.newestFirst()
	var ours []decisionlog.Decision
	s.open(func(ctx context.Context, reg *registry.Registry) {
		list, err := decisionlog.Recent(ctx, reg.ReadDB(), 100)
		s.Require().NoError(err)
		s.Require().Equal(want, list)
		list, err = decisionlog.Recent(ctx, reg.ReadDB(), 2)
		s.Require().NoError(err)
		s.Require().Equal(want[:2], list)
		list, err = decisionlog.ByActor(ctx, reg.ReadDB(), "healer", 100)
		s.Require().NoError(err)
		s.Require().Equal(slices.DeleteFunc(slices.Clone(want), func(d decisionlog.Decision) bool { return d.Actor != "healer" }), list)
		n, err := decisionlog.Count(ctx, reg.ReadDB())
		s.Require().NoError(err)
		s.Require().EqualValues(len(want), n)

		second := time.Date(2026, 3, 14, 12, 0, 56, 0, time.UTC) // between and after oxide-k's
		for _, d := range []decisionlog.Decision{
			{At: second.Add(123_456_788), Actor: "healer", Action: "a", Confidence: 0.1},
			{At: second.Add(123_000_001), Actor: "healer", Action: "b", Rationale: "ü 世界", Inputs: json.RawMessage(`{"ü":[1.50]}`)},
			{At: second.Add(2 * time.Second), Actor: "healer", Action: "c", Output: json.RawMessage(`"x"`), Confidence: 1},
		} {
			s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				logged, err := decisionlog.Log(ctx, tx, d)
				ours = append(ours, logged)
				return err
			}))
		}
		want = []decisionlog.Decision{ours[2], want[0], want[1], ours[0], ours[1], want[2], want[3], want[4], want[5]}
		list, err = decisionlog.Recent(ctx, reg.ReadDB(), 100)
		s.Require().NoError(err)
		s.Require().Equal(want, list)
	})

	late := oxideRow{id(200), "2026-03-14T12:00:59.5+00:00", "healer", "heal", "", "null", "null", 1}
	s.oxide(func(kernel *sql.DB) {
		s.Require().Equal(want, s.recent(kernel), "oxide-k has no key, and needs none for the log")
		s.insert(kernel, late)
		want = append([]decisionlog.Decision{s.decision(late)}, want...)
		s.Require().Equal(want, s.recent(kernel))
		for _, statement := range []string{"DELETE FROM xai_decisions", "UPDATE xai_decisions SET action = 'other'"} {
			_, err := kernel.Exec(statement)
			s.Require().ErrorContains(err, appendOnly)
		}
	})

	s.open(func(ctx context.Context, reg *registry.Registry) {
		list, err := decisionlog.Recent(ctx, reg.ReadDB(), 100)
		s.Require().NoError(err)
		s.Require().Equal(want, list)
		revision, err := reg.Revision(ctx)
		s.Require().NoError(err)
		changes, err := reg.Changes(ctx, revision-1, 1)
		s.Require().NoError(err)
		s.Require().Equal([]registry.Change{{
			Revision: revision, Subject: decisionlog.Subject, Key: late.id, Op: registry.OpPut, At: want[0].At,
		}}, changes, "what oxide-k appends is in the change log too")
	})
}

// Another program may have put anything into the table before this package's triggers were there.
func (s *oxideSuite) TestARowThatCannotBeReadHidesNoOther() {
	bad := oxideRow{id(300), "yesterday", "healer", "heal", "", "null", "null", 1}
	s.oxide(func(kernel *sql.DB) { s.insert(kernel, bad) })
	want := s.newestFirst()
	s.open(func(ctx context.Context, reg *registry.Registry) {
		list, err := decisionlog.Recent(ctx, reg.ReadDB(), 100)
		s.Require().ErrorIs(err, registry.ErrDecode)
		s.Require().ErrorContains(err, bad.id)
		s.Require().Equal(want, list)
		_, err = decisionlog.ByActor(ctx, reg.ReadDB(), "healer", 100)
		s.Require().ErrorIs(err, registry.ErrDecode)
		_, err = decisionlog.RecentWithModules(ctx, reg.ReadDB(), 100)
		s.Require().ErrorIs(err, registry.ErrDecode)
		_, err = decisionlog.Get(ctx, reg.ReadDB(), bad.id)
		s.Require().ErrorIs(err, registry.ErrDecode)
		list, err = decisionlog.ByActor(ctx, reg.ReadDB(), "oxide-mirror", 100)
		s.Require().NoError(err)
		s.Require().Len(list, 1)
	})
}
