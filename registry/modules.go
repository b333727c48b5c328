package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/schema"
)

// ModuleKind is a module's execution layer. See [schema.ModuleKind].
type ModuleKind = schema.ModuleKind

// ModuleState is where a module stands in its life cycle. See [schema.ModuleState] for its methods: Valid, and CanBecome,
// which knows oxide-k's transitions.
type ModuleState = schema.ModuleState

// The kinds and states that there are.
const (
	KindNative = schema.KindNative
	KindWasm   = schema.KindWasm

	StateLoaded   = schema.StateLoaded
	StateStarting = schema.StateStarting
	StateRunning  = schema.StateRunning
	StateStopping = schema.StateStopping
	StateStopped  = schema.StateStopped
	StateFailed   = schema.StateFailed
)

// ModuleMetadata is what a module says of itself. The texts are UTF-8 without NUL; only the ID must not be empty. The ID has
// at most [MaxKey] bytes, each of the other texts as many as a config value: see [WithMaxValue].
type ModuleMetadata struct {
	ID          string
	Name        string
	Version     string
	Kind        ModuleKind
	Description *string // nil: none
}

// Validate returns ErrInvalid, naming the field, if UpsertModule of a registry without [WithMaxValue] would: it takes
// [DefaultMaxValue] for the most that a text may have.
func (m ModuleMetadata) Validate() error { return m.validate(DefaultMaxValue) }

// validate does what Validate does, for a registry in which a text has at most limit bytes.
func (m ModuleMetadata) validate(limit int) error {
	if err := checkID(m.ID); err != nil {
		return err
	}
	if !m.Kind.Valid() {
		return invalid("the kind %.40q is not %q or %q", string(m.Kind), KindNative, KindWasm)
	}
	texts := []struct{ what, text string }{{"the name", m.Name}, {"the version", m.Version}}
	if m.Description != nil {
		texts = append(texts, struct{ what, text string }{"the description", *m.Description})
	}
	for _, t := range texts {
		if len(t.text) > limit {
			return invalid("%s has %d bytes, at most %d are allowed", t.what, len(t.text), limit)
		}
		if err := checkText(t.what, t.text); err != nil {
			return err
		}
	}
	return nil
}

// ModuleRecord is a module as one read found it.
type ModuleRecord struct {
	ModuleMetadata
	State     ModuleState
	UpdatedAt time.Time // in UTC
	Revision  int64     // of the newest change of this module
}

// ModuleFilter says which modules to list.
type ModuleFilter func(ModuleRecord) bool

// ByKind lists the modules of one of the kinds.
func ByKind(kinds ...ModuleKind) ModuleFilter {
	return func(m ModuleRecord) bool { return slices.Contains(kinds, m.Kind) }
}

// ByState lists the modules in one of the states.
func ByState(states ...ModuleState) ModuleFilter {
	return func(m ModuleRecord) bool { return slices.Contains(states, m.State) }
}

// GetModule returns a module, or ErrUnknownModule: see [Reader].
func (a *access) GetModule(ctx context.Context, id string) (ModuleRecord, error) {
	record, err := a.getModule(ctx, id)
	return record, failed("get module", id, err)
}

func (a *access) getModule(ctx context.Context, id string) (ModuleRecord, error) {
	if err := checkStoredID(id); err != nil {
		return ModuleRecord{}, err
	}
	var row db.Module
	err := a.read(ctx, func(q *sql.Conn) (err error) {
		row, err = queries.GetModule(background, q, id)
		return err
	})
	if err != nil {
		return ModuleRecord{}, unknownModule(err)
	}
	return newModuleRecord(row)
}

// ListModules returns the modules that pass all filters, by id: see [Reader].
func (a *access) ListModules(ctx context.Context, filters ...ModuleFilter) ([]ModuleRecord, error) {
	var rows []db.Module
	err := a.read(ctx, func(q *sql.Conn) (err error) {
		rows, err = queries.ListModules(ctx, q)
		return err
	})
	if err != nil {
		return nil, failed("list modules", "", ended(ctx, err))
	}
	var unreadable []error
	records := make([]ModuleRecord, 0, len(rows))
	for _, row := range rows {
		record, err := newModuleRecord(row)
		if err != nil {
			unreadable = append(unreadable, failed("list modules", row.ID, err))
			continue
		}
		if !slices.ContainsFunc(filters, func(pass ModuleFilter) bool { return pass != nil && !pass(record) }) {
			records = append(records, record)
		}
	}
	return records, errors.Join(unreadable...)
}

// UpsertModule adds a module or replaces its metadata and state, and returns the revision of that: see [Writer].
func (a *access) UpsertModule(
	ctx context.Context, m ModuleMetadata, s ModuleState, opts ...WriteOption,
) (int64, error) {
	revision, err := a.upsertModule(ctx, m, s, opts)
	return revision, failed("upsert module", m.ID, err)
}

func (a *access) upsertModule(
	ctx context.Context, m ModuleMetadata, s ModuleState, opts []WriteOption,
) (revision int64, err error) {
	cond, err := newCondition(opts)
	if err != nil {
		return 0, err
	}
	if err := m.validate(a.settings().maxValue); err != nil {
		return 0, err
	}
	if err := checkState(s); err != nil {
		return 0, err
	}
	at, err := a.settings().now()
	if err != nil {
		return 0, err
	}
	row := db.UpsertModuleParams{
		ID: m.ID, Name: m.Name, Version: m.Version, Kind: m.Kind, State: s, Description: m.Description, UpdatedAt: at,
	}
	check := cond.onRow("upsert module", m.ID, queries.GetModuleRevision)
	err = a.write(ctx, check, func(q *sql.Conn) (err error) {
		revision, err = queries.UpsertModule(background, q, row)
		return err
	})
	return revisionOf(revision, err)
}

// SetModuleState changes a module's state and nothing else, and returns the revision of that: see [Writer].
func (a *access) SetModuleState(
	ctx context.Context, id string, s ModuleState, opts ...WriteOption,
) (int64, error) {
	cond, err := newCondition(opts)
	if err != nil {
		return 0, failed("set module state", id, err)
	}
	revision, err := a.changeState(ctx, id, s, func(row db.Module) error {
		return cond.check("set module state", id, row.Revision)
	})
	return revision, failed("set module state", id, err)
}

// TransitionModule changes a module from one state to another, or gives ErrConflict: see [Writer].
func (a *access) TransitionModule(ctx context.Context, id string, from, to ModuleState) (int64, error) {
	if err := checkState(from); err != nil {
		return 0, failed("transition module", id, err)
	}
	revision, err := a.changeState(ctx, id, to, func(row db.Module) error {
		if row.State == from {
			return nil
		}
		why := fmt.Errorf("%w: the module is %.60q, not %q", ErrConflict, string(row.State), string(from))
		return &Error{Op: "transition module", Key: id, Revision: row.Revision, Err: why}
	})
	return revision, failed("transition module", id, err)
}

// DeleteModule removes a module, and reports whether there was one: see [Writer].
func (a *access) DeleteModule(ctx context.Context, id string, opts ...WriteOption) (bool, error) {
	deleted, err := a.deleteRow(ctx, "delete module", id, checkStoredID, opts, queries.GetModuleRevision, nil, queries.DeleteModule)
	if sqlite.IsReferenced(err) || sqlite.IsRefusedByTrigger(err) { // the latter of ON DELETE RESTRICT
		record, _ := a.getModule(ctx, id)
		err = &Error{Op: "delete module", Key: id, Revision: record.Revision,
			Err: fmt.Errorf("%w: rows of other tables refer to it: %w", ErrConflict, err)}
	}
	return deleted, failed("delete module", id, err)
}

// changeState sets the state of a module that passes check.
func (a *access) changeState(
	ctx context.Context, id string, s ModuleState, check func(db.Module) error,
) (revision int64, err error) {
	if err := checkID(id); err != nil {
		return 0, err
	}
	if err := checkState(s); err != nil {
		return 0, err
	}
	at, err := a.settings().now()
	if err != nil {
		return 0, err
	}
	inState := func(q *sql.Conn) error {
		row, err := queries.GetModule(background, q, id)
		if err != nil {
			return unknownModule(err)
		}
		return check(row)
	}
	err = a.write(ctx, inState, func(q *sql.Conn) (err error) {
		revision, err = queries.SetModuleState(background, q, db.SetModuleStateParams{State: s, UpdatedAt: at, ID: id})
		return err
	})
	return revisionOf(revision, err)
}

func checkState(s ModuleState) error {
	if !s.Valid() {
		return invalid("unknown module state %.40q", string(s))
	}
	return nil
}

// newModuleRecord is the row with what in it could be read, and ErrDecode where that is not all.
func newModuleRecord(row db.Module) (ModuleRecord, error) {
	record := ModuleRecord{
		ModuleMetadata: ModuleMetadata{
			ID: row.ID, Name: row.Name, Version: row.Version, Kind: row.Kind, Description: row.Description,
		},
		State:     row.State,
		UpdatedAt: row.UpdatedAt.Time,
		Revision:  row.Revision,
	}
	switch {
	case !row.Kind.Valid():
		return record, fmt.Errorf("%w: unknown kind %.60q", ErrDecode, string(row.Kind))
	case !row.State.Valid():
		return record, fmt.Errorf("%w: unknown state %.60q", ErrDecode, string(row.State))
	case !row.UpdatedAt.Valid():
		return record, fmt.Errorf("%w: updated_at %.60q is no time", ErrDecode, row.UpdatedAt.Text)
	}
	return record, nil
}

func unknownModule(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknownModule
	}
	return err
}
