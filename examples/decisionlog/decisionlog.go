package decisionlog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/examples/decisionlog/db"
	"github.com/oxide-k/stateregistry/registry"
)

// Migrations are the log's table, for [registry.WithMigrations] under the name [Set].
//
//go:embed schema/*.sql
var Migrations embed.FS

const (
	// Set names the migrations; the names of the tables start with it.
	Set = "decisions"
	// Subject is what its entries in the registry's change log bear; their key is the decision's ID.
	Subject = "decisions"
)

var (
	// ErrExists: there is a decision with that ID. Nothing was written.
	ErrExists = errors.New("decision exists already")
	// ErrNotFound: there is no decision with that ID.
	ErrNotFound = errors.New("no such decision")
)

// Decision is what was decided. The texts are UTF-8 without NUL.
type Decision struct {
	ID         string          // at most registry.MaxKey bytes
	At         time.Time       // in UTC
	Actor      string          // who decided: a module's id, or any other name
	Action     string          // what was decided
	Rationale  string          // why; may be empty
	Inputs     json.RawMessage // what it was decided from, in compact JSON; none is null
	Output     json.RawMessage // what came of it, the same
	Confidence float64         // 0 to 1
}

// WithModule is a decision, and the module that its actor is now.
type WithModule struct {
	Decision
	ModuleName  string               // "" where the actor is no module
	ModuleState registry.ModuleState // "" where the actor is no module
}

// queries are sqlc's; they have no state.
var queries = db.New()

// Log appends a decision in the transaction of an Update, and returns it as it is stored: with an ID where d has none,
// with the current time where its At is zero, its JSON compact. After an error nothing was written, and the transaction can
// go on, unless ctx has ended.
//
// It gives ErrExists, and registry.ErrInvalid for what is no decision: no actor or no action, text that is not UTF-8,
// inputs or an output that are no JSON, a confidence outside of 0 to 1. In a View it gives registry.ErrReadOnly. JSON that is
// nested deeper than SQLite reads it (1,000 levels) is the driver's error.
func Log(ctx context.Context, tx *registry.Tx, d Decision) (Decision, error) {
	normal, err := d.normal(rand.Text(), time.Now())
	if err == nil {
		err = insert(ctx, tx, normal)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("decisionlog: log %q: %w", d.ID, err)
	}
	return normal, nil
}

// Get returns a decision, or ErrNotFound.
func Get(ctx context.Context, q db.DBTX, id string) (Decision, error) {
	row, err := queries.GetDecision(ctx, q, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Decision{}, fmt.Errorf("decisionlog: get %q: %w", id, err)
	}
	return decision(row), nil
}

// Recent returns the newest decisions, at most limit of them (at least 1, else registry.ErrInvalid): by time, and by the
// order in which they were logged where that is the same, the newest first.
func Recent(ctx context.Context, q db.DBTX, limit int) ([]Decision, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: recent: %w", err)
	}
	rows, err := queries.ListRecentDecisions(ctx, q, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("decisionlog: recent: %w", err)
	}
	return each(rows, decision), nil
}

// RecentWithModules is Recent, and what the registry says of the modules that decided.
func RecentWithModules(ctx context.Context, q db.DBTX, limit int) ([]WithModule, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: recent with modules: %w", err)
	}
	rows, err := queries.ListRecentDecisionsWithModules(ctx, q, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("decisionlog: recent with modules: %w", err)
	}
	return each(rows, withModule), nil
}

// ByActor is Recent for the decisions of one actor.
func ByActor(ctx context.Context, q db.DBTX, actor string, limit int) ([]Decision, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: by actor %q: %w", actor, err)
	}
	rows, err := queries.ListDecisionsByActor(ctx, q, db.ListDecisionsByActorParams{Actor: actor, MaxRows: int64(limit)})
	if err != nil {
		return nil, fmt.Errorf("decisionlog: by actor %q: %w", actor, err)
	}
	return each(rows, decision), nil
}

// Count is how many decisions there are.
func Count(ctx context.Context, q db.DBTX) (int64, error) {
	n, err := queries.CountDecisions(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("decisionlog: count: %w", err)
	}
	return n, nil
}
