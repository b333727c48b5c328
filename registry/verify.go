package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/jsonvalue"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// VerifyReport is what Verify found.
type VerifyReport struct {
	Modules  int64 // rows that were looked at
	Config   int64
	Changes  int64
	Problems []Problem // the first 1,000; if there are others, one more at the end says how many
}

// Problem is one finding of Verify.
type Problem struct {
	Subject string // SubjectModule, SubjectConfig, or "database"
	Key     string // the module id or config key, or ""
	Text    string // what is wrong; never a value
}

// Verify looks at everything in one snapshot: SQLite's own integrity check and foreign keys, the registry's tables and
// triggers, each module, the keyset, each config value, the change log and the revisions in the rows. Encrypted values are
// opened, except where there is no key: then only their form is looked at. Damage is in the report, and gives ErrCorrupt.
// It takes time with the size of the registry, and the memory of the modules, of a page of entries, and of the longest
// value.
func (r *Registry) Verify(ctx context.Context) (VerifyReport, error) {
	v := verification{}
	err := why(r.View(ctx, func(ctx context.Context, tx *Tx) error {
		for _, step := range []func(context.Context, *Tx) error{
			v.keyset, // before the keyrings of this snapshot are forgotten: others may rewrap and rotate meanwhile
			v.integrity, v.guards, v.types, v.modules, v.config, v.log,
		} {
			err := step(ctx, tx)
			switch {
			case err == nil:
			case sqlite.IsCorrupt(err), sqlite.IsStatementError(err), errors.Is(err, ErrCorrupt),
				ctx.Err() == nil && len(v.report.Problems) > 0:
				// That is a finding, or comes of one, as of a NULL where text must be. The next step may have others.
				v.found("database", "", err.Error())
			default:
				return err
			}
		}
		return nil
	}))
	if err == nil && len(v.report.Problems) > 0 {
		err = fmt.Errorf("%w: %d problems, the first: %s", ErrCorrupt, len(v.report.Problems)+v.others, v.report.Problems[0])
	}
	if v.others > 0 {
		v.report.Problems = append(v.report.Problems, Problem{Subject: "database", Text: fmt.Sprintf("and %d more", v.others)})
	}
	return v.report, failed("verify", "", ended(ctx, err))
}

// String is the problem in one line.
func (p Problem) String() string {
	if p.Key == "" {
		return p.Subject + ": " + p.Text
	}
	return fmt.Sprintf("%s %q: %s", p.Subject, p.Key, p.Text)
}

type verification struct {
	report VerifyReport
	others int // problems that are only counted
}

func (v *verification) found(subject, key, text string) {
	const (
		most    = 1000    // a file may hold millions
		longest = 4 << 10 // names in the file may be of any length
	)
	if len(v.report.Problems) >= most {
		v.others++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{Subject: subject, Key: key, Text: sqltext.Printable(text, longest)})
}

func (v *verification) integrity(ctx context.Context, q *Tx) error {
	err := eachPragmaRow(ctx, q, "PRAGMA integrity_check", func(line []sql.NullString) {
		if text := line[0].String; text != "ok" {
			v.found("database", "", "integrity: "+text)
		}
	})
	if err != nil {
		return err
	}
	return eachPragmaRow(ctx, q, "PRAGMA foreign_key_check", func(line []sql.NullString) {
		v.found("database", "", fmt.Sprintf("table %s, row %s: refers to a missing row of %s",
			sqltext.Quoted(line[0].String), line[1].String, sqltext.Quoted(line[2].String)))
	})
}

func (v *verification) guards(ctx context.Context, q *Tx) error {
	missing, err := migrate.Guards(ctx, q)
	for _, text := range missing {
		v.found("database", "", text)
	}
	return err
}

// types finds the rows that Go's types, or a page's end, would hide from the steps that follow.
func (v *verification) types(ctx context.Context, q *Tx) error {
	ids, err := queries.ListUntypedModules(ctx, q)
	if err != nil {
		return err
	}
	for _, id := range ids {
		v.found(SubjectModule, id, "its id, or another column, is no text")
	}
	keys, err := queries.ListUntypedConfig(ctx, q)
	for _, key := range keys {
		v.found(SubjectConfig, key, "its key or its value is no text")
	}
	return err
}

func (v *verification) modules(ctx context.Context, q *Tx) error {
	rows, err := queries.ListModules(ctx, q)
	if err != nil {
		return err
	}
	for _, row := range rows {
		v.report.Modules++
		if err := checkStoredID(row.ID); err != nil {
			v.found(SubjectModule, row.ID, err.Error())
		}
		if _, err := newModuleRecord(row); err != nil {
			v.found(SubjectModule, row.ID, err.Error())
		}
	}
	misnumbered, err := queries.ListMisnumberedModules(ctx, q)
	v.misnumbered(SubjectModule, misnumbered)
	return err
}

func (v *verification) config(ctx context.Context, q *Tx) error {
	for first := ""; ; {
		rows, err := queries.ListConfigPage(ctx, q, db.ListConfigPageParams{
			MaxValue: scanShortValue, First: first, PageSize: scanPage,
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			v.report.Config++
			if err := v.configRow(ctx, q, row); err != nil {
				return err
			}
		}
		if len(rows) < scanPage {
			break
		}
		first = keyAfter(rows[len(rows)-1].Key)
	}
	misnumbered, err := queries.ListMisnumberedConfig(ctx, q)
	v.misnumbered(SubjectConfig, misnumbered)
	return err
}

func (v *verification) configRow(ctx context.Context, tx *Tx, row db.ListConfigPageRow) (err error) {
	if err := checkStoredKey(row.Key); err != nil {
		v.found(SubjectConfig, row.Key, err.Error())
	}
	if !row.UpdatedAt.Valid() {
		v.found(SubjectConfig, row.Key, "updated_at is no time")
	}
	value := row.ShortValue
	if row.Size > scanShortValue {
		if value, err = queries.GetConfigValue(ctx, tx, row.Key); err != nil {
			return err
		}
	}
	if tx.ring() == locked {
		if _, _, err := envelope.Open(value, nil); err != nil && !errors.Is(err, envelope.ErrVersion) {
			v.found(SubjectConfig, row.Key, "the value is not encrypted")
		}
		return nil
	}
	text, err := tx.opened(ctx, row.Key, value)
	switch {
	case isAboutValues(err), errors.Is(err, ErrTampered), errors.Is(err, ErrNewerSchema):
		v.found(SubjectConfig, row.Key, err.Error())
	case err != nil:
		return err
	case !jsonvalue.Valid(text):
		v.found(SubjectConfig, row.Key, "the value is not JSON")
	}
	return nil
}

// keyset looks whether the keyset of this snapshot opens.
func (v *verification) keyset(ctx context.Context, tx *Tx) error {
	row, err := tx.keysetRow(ctx)
	if errors.Is(err, sql.ErrNoRows) && tx.ring() == locked { // it was decrypted since it was opened
		tx.keys.Store(nil)
		return nil
	}
	ring := tx.ring()
	_, err = tx.renew(ctx, ring)
	_, malformed := envelope.KeyID(row.Marker)
	switch err = classify(err); {
	case errors.Is(err, ErrWrongKey) && row.Generation > ring.generation && malformed == nil:
		return err // another process rewrapped it, as it seems: no damage
	case errors.Is(err, ErrEncrypted): // and opened without a key
		tx.keys.Store(locked)
		return nil
	case errors.Is(err, ErrWrongKey):
		v.found("database", "", "keyset: "+err.Error())
		return nil
	}
	return err
}

func (v *verification) log(ctx context.Context, q *Tx) error {
	switch row, err := queries.GetRegistry(ctx, q); {
	case errors.Is(err, sql.ErrNoRows):
		v.found("database", "", "the registry's own row is missing")
	case err != nil:
		return err
	case row.LogLimit < 1:
		v.found("database", "", "the registry's own row has no limit of the change log")
	}
	bounds, err := queries.GetLogBounds(ctx, q)
	if err != nil {
		return err
	}
	v.report.Changes = bounds.Entries
	if bounds.Entries > 0 && bounds.Newest-bounds.Oldest+1 != bounds.Entries {
		v.found("database", "", fmt.Sprintf("the change log has %d entries from revision %d to %d",
			bounds.Entries, bounds.Oldest, bounds.Newest))
	}
	return nil
}

func (v *verification) misnumbered(subject string, keys []string) {
	for _, key := range keys {
		v.found(subject, key, "its revision is not the one that the change log gave it")
	}
}

// eachPragmaRow calls f with each row of a pragma, as text. The row is f's until it returns.
func eachPragmaRow(ctx context.Context, q db.DBTX, pragma string, f func(line []sql.NullString)) error {
	rows, err := q.QueryContext(ctx, pragma)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	line := make([]sql.NullString, len(columns))
	dst := make([]any, len(columns))
	for i := range line {
		dst[i] = &line[i]
	}
	for rows.Next() {
		if err := rows.Scan(dst...); err != nil {
			return err
		}
		f(line)
	}
	return rows.Err()
}
