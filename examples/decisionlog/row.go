package decisionlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/examples/decisionlog/db"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/schema"
)

// normal is d as it is stored, or registry.ErrInvalid. No error quotes what it refuses.
func (d Decision) normal(newID string, now time.Time) (_ Decision, err error) {
	if d.ID == "" {
		d.ID = newID
	}
	if d.At.IsZero() {
		d.At = now
	}
	at := schema.NewTimestamp(d.At)
	if _, err := at.Value(); err != nil {
		return d, invalid("the time: %w", err)
	}
	d.At = at.Time
	for _, f := range []struct{ name, text string }{
		{"id", d.ID}, {"actor", d.Actor}, {"action", d.Action}, {"rationale", d.Rationale},
	} {
		if f.text == "" && f.name != "rationale" {
			return d, invalid("the %s is empty", f.name)
		}
		if !utf8.ValidString(f.text) || strings.ContainsRune(f.text, 0) {
			return d, invalid("the %s is not UTF-8, or holds a NUL", f.name)
		}
	}
	if len(d.ID) > registry.MaxKey {
		return d, invalid("the id has %d bytes, at most %d are allowed", len(d.ID), registry.MaxKey)
	}
	if d.Inputs, err = compact("inputs", d.Inputs); err != nil {
		return d, err
	}
	if d.Output, err = compact("output", d.Output); err != nil {
		return d, err
	}
	if !(d.Confidence >= 0 && d.Confidence <= 1) { // so that NaN is refused too
		return d, invalid("the confidence is not between 0 and 1")
	}
	return d, nil
}

// compact is JSON without the spaces between its tokens, in memory of its own.
func compact(name string, text json.RawMessage) (json.RawMessage, error) {
	if len(text) == 0 {
		return json.RawMessage("null"), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil || !utf8.Valid(text) { // err quotes the text
		return nil, invalid("the %s: no JSON", name)
	}
	return b.Bytes(), nil
}

// insert writes a normal decision. Nobody else writes before the transaction ends, so asking first is safe; the table's
// own refusal looks like that of any trigger.
func insert(ctx context.Context, tx *registry.Tx, d Decision) error {
	found, err := queries.HasDecision(ctx, tx, d.ID)
	if err != nil {
		return err
	}
	if found > 0 {
		return ErrExists
	}
	return queries.InsertDecision(ctx, tx, db.InsertDecisionParams{
		ID: d.ID, At: schema.NewTimestamp(d.At), Actor: d.Actor, Action: d.Action, Rationale: d.Rationale,
		Inputs: string(d.Inputs), Output: string(d.Output), Confidence: d.Confidence,
	})
}

func decision(row db.Decision) Decision {
	return Decision{
		ID: row.ID, At: row.At.Time, Actor: row.Actor, Action: row.Action, Rationale: row.Rationale,
		Inputs: json.RawMessage(row.Inputs), Output: json.RawMessage(row.Output), Confidence: row.Confidence,
	}
}

func withModule(row db.ListRecentDecisionsWithModulesRow) WithModule {
	return WithModule{Decision: decision(row.Decision), ModuleName: row.ModuleName, ModuleState: row.ModuleState}
}

// each converts all rows; of none it makes an empty list.
func each[R, D any](rows []R, convert func(R) D) []D {
	list := make([]D, len(rows))
	for i, row := range rows {
		list[i] = convert(row)
	}
	return list
}

// checkLimit refuses what SQLite would take for no limit at all.
func checkLimit(limit int) error {
	if limit < 1 {
		return invalid("at most %d decisions", limit)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", registry.ErrInvalid, fmt.Errorf(format, args...))
}
