package decisionlog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/examples/decisionlog/db"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/schema"
)

// normal returns d as it is stored, or registry.ErrInvalid. No error quotes what it refuses.
func (d Decision) normal(newID string, now time.Time) (_ Decision, err error) {
	if d.ID == "" {
		d.ID = newID
	}
	if !uuid.MatchString(d.ID) {
		return d, invalid("the id is no UUID in lowercase with hyphens")
	}
	if d.At.IsZero() {
		d.At = now
	}
	at := schema.NewTimestamp(d.At)
	if _, err := at.Value(); err != nil {
		return d, invalid("the time: %w", err)
	}
	d.At = at.Time
	for _, f := range []struct{ name, text string }{{"actor", d.Actor}, {"action", d.Action}, {"rationale", d.Rationale}} {
		if f.text == "" && f.name != "rationale" {
			return d, invalid("the %s is empty", f.name)
		}
		if !utf8.ValidString(f.text) || strings.ContainsRune(f.text, 0) {
			return d, invalid("the %s is not UTF-8, or holds a NUL", f.name)
		}
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

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// newID returns a random UUID, of version 4 (RFC 9562, section 5.4).
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
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
		ID: d.ID, Timestamp: schema.NewTimestamp(d.At), Actor: d.Actor, Action: d.Action, Rationale: d.Rationale,
		Inputs: string(d.Inputs), Output: string(d.Output), Confidence: float64(d.Confidence),
	})
}

// decision converts a row. One that was there before this package's triggers may hold anything.
func decision(row db.XaiDecision) (Decision, error) {
	if row.Timestamp.Text != "" {
		return Decision{}, fmt.Errorf("%w: decision %q: its timestamp is no time", registry.ErrDecode, row.ID)
	}
	return Decision{
		ID: row.ID, At: row.Timestamp.Time, Actor: row.Actor, Action: row.Action, Rationale: row.Rationale,
		Inputs: json.RawMessage(row.Inputs), Output: json.RawMessage(row.Output), Confidence: float32(row.Confidence),
	}, nil
}

func withModule(row db.ListRecentDecisionsWithModulesRow) (WithModule, error) {
	d, err := decision(row.XaiDecision)
	return WithModule{Decision: d, ModuleName: row.ModuleName, ModuleState: row.ModuleState}, err
}

// each converts all rows that can be read, and returns the errors of the others. Of no rows it makes an empty list.
func each[R, D any](rows []R, convert func(R) (D, error)) ([]D, error) {
	list, errs := make([]D, 0, len(rows)), []error(nil)
	for _, row := range rows {
		d, err := convert(row)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, d)
	}
	return list, errors.Join(errs...)
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
