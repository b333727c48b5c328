package decisionlog

import (
	"context"
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
	// Set names the migrations; the names of the tables start with it. It is xai because oxide-k calls its table so.
	Set = "xai"
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
	ID         string          // a UUID, in lowercase with hyphens
	At         time.Time       // in UTC
	Actor      string          // who decided: a module's id, or any other name
	Action     string          // what was decided
	Rationale  string          // why; may be empty
	Inputs     json.RawMessage // what it was decided from, in compact JSON; none is null
	Output     json.RawMessage // what came of it, the same
	Confidence float32         // 0 to 1
}

// WithModule is a decision, and the module that its actor is now.
type WithModule struct {
	Decision
	ModuleName  string               // "" if the actor is no module
	ModuleState registry.ModuleState // "" if the actor is no module
}

// queries are sqlc's; they have no state.
var queries = db.New()

// Log appends a decision in the transaction of an Update, and returns it as it is stored: with a random ID if d has none,
// with the current time if its At is zero, its JSON compact. After an error nothing was written, and the transaction can go on,
// unless ctx has ended.
//
// It returns ErrExists if the ID is taken, registry.ErrReadOnly in a View, and registry.ErrInvalid for what is no decision: an ID
// that is no UUID in lowercase, no actor or no action, text that is not UTF-8, a confidence outside of 0 to 1, inputs or an output
// that are not JSON or that oxide-k could not read (see [MaxDepth] and [MaxNumber]).
func Log(ctx context.Context, tx *registry.Tx, d Decision) (Decision, error) {
	normal, err := d.normal(newID(), time.Now())
	if err == nil {
		err = insert(ctx, tx, normal)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("decisionlog: log %.64q: %w", d.ID, err)
	}
	return normal, nil
}

// Get returns a decision, or ErrNotFound; registry.ErrDecode if its row cannot be read.
func Get(ctx context.Context, q db.DBTX, id string) (Decision, error) {
	row, err := queries.GetDecision(ctx, q, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Decision{}, fmt.Errorf("decisionlog: get %q: %w", id, err)
	}
	d, err := decision(row)
	if err != nil {
		return Decision{}, fmt.Errorf("decisionlog: get %q: %w", id, err)
	}
	return d, nil
}

// Recent returns the newest decisions, at most limit of them (at least 1, else registry.ErrInvalid): by time, and those of the
// same time by the order in which they were logged, the newest first. A row that cannot be read is registry.ErrDecode, by its ID;
// the others are returned beside that error.
func Recent(ctx context.Context, q db.DBTX, limit int) ([]Decision, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: recent: %w", err)
	}
	rows, err := queries.ListRecentDecisions(ctx, q, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("decisionlog: recent: %w", err)
	}
	list, err := each(rows, decision)
	if err != nil {
		err = fmt.Errorf("decisionlog: recent: %w", err)
	}
	return list, err
}

// RecentWithModules does what Recent does, and adds what the registry says of the modules that decided.
func RecentWithModules(ctx context.Context, q db.DBTX, limit int) ([]WithModule, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: recent with modules: %w", err)
	}
	rows, err := queries.ListRecentDecisionsWithModules(ctx, q, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("decisionlog: recent with modules: %w", err)
	}
	list, err := each(rows, withModule)
	if err != nil {
		err = fmt.Errorf("decisionlog: recent with modules: %w", err)
	}
	return list, err
}

// ByActor does what Recent does, for the decisions of one actor.
func ByActor(ctx context.Context, q db.DBTX, actor string, limit int) ([]Decision, error) {
	if err := checkLimit(limit); err != nil {
		return nil, fmt.Errorf("decisionlog: by actor %q: %w", actor, err)
	}
	rows, err := queries.ListDecisionsByActor(ctx, q, db.ListDecisionsByActorParams{Actor: actor, MaxRows: int64(limit)})
	if err != nil {
		return nil, fmt.Errorf("decisionlog: by actor %q: %w", actor, err)
	}
	list, err := each(rows, decision)
	if err != nil {
		err = fmt.Errorf("decisionlog: by actor %q: %w", actor, err)
	}
	return list, err
}

// Count returns how many decisions there are.
func Count(ctx context.Context, q db.DBTX) (int64, error) {
	n, err := queries.CountDecisions(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("decisionlog: count: %w", err)
	}
	return n, nil
}
