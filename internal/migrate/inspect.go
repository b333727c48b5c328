package migrate

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// Status is what Inspect found in a database that it accepts.
type Status struct {
	New     bool      // it holds nothing at all
	Version int64     // the newest of the core's migrations that it has; 0 for one that is new or oxide-k's
	ID      string    // the registry's; "" for one that is new or oxide-k's
	Pending []Pending // in the order in which Apply runs them

	sets []string // the names of all sets, those that were applied and those that were given
}

// Pending is a migration that the database has not seen.
type Pending struct {
	Set string
	Migration
}

// oxideTable is the one table without which a file is no oxide-k database. That kernel makes its tables one by one, so
// an interrupted first start leaves modules without config.
const oxideTable = "modules"

// ledger is the table of applied migrations, which every registry has and no oxide-k database.
const ledger = "migrations"

// maxLedger is how many applied migrations a registry may have.
const maxLedger = 10_000

// Inspect looks at a database and changes nothing. It returns ErrNotRegistry for another program's, ErrCorrupt where a
// table or a guard of the core is missing, altered or foreign, by name, ErrNewer where the database has migrations that
// the core or a given set has not, and ErrChanged where one was edited since. Applied sets that are not given are ignored.
func Inspect(ctx context.Context, q db.DBTX, sets []Set) (Status, error) {
	c, err := loadCore()
	if err != nil {
		return Status{}, err
	}
	id, err := applicationID(ctx, q)
	if err != nil {
		return Status{}, err
	}
	if id != 0 && id != ApplicationID {
		return Status{}, refuse(ErrNotRegistry, "its application_id is %#x, another program's", id)
	}
	found, err := readCatalog(ctx, q, c.owns)
	switch {
	case err != nil:
		return Status{}, err
	case found.tooMuch != "" && id == ApplicationID:
		return Status{}, refuse(ErrCorrupt, "%s", found.tooMuch)
	case found.tooMuch != "":
		return Status{}, refuse(ErrNotRegistry, "%s", found.tooMuch)
	}
	status := Status{New: id == 0 && len(found.tables) == 0 && len(found.others) == 0 && len(found.strange) == 0}
	var applied map[string][]db.ListMigrationsRow
	if !status.New {
		if applied, status.ID, err = c.examine(ctx, q, id, found); err != nil {
			return Status{}, err
		}
	}
	for _, row := range applied[CoreName] {
		status.Version = max(status.Version, row.Number)
	}
	status.Pending, err = compare(append([]Set{c.set}, sets...), applied)
	status.sets = slices.Collect(maps.Keys(applied))
	for _, set := range sets {
		status.sets = append(status.sets, set.Name)
	}
	return status, err
}

// Guards lists what of the schema is missing, altered or foreign, in words: nothing, in a registry that Inspect accepts.
func Guards(ctx context.Context, q db.DBTX) ([]string, error) {
	c, err := loadCore()
	if err != nil {
		return nil, err
	}
	found, err := readCatalog(ctx, q, c.owns)
	if err != nil {
		return nil, err
	}
	return c.problems(ctx, q, found, c.versions[c.last])
}

// problems returns what in a database is not as want has it, and the foreign keys that no registry allows.
func (c core) problems(ctx context.Context, q db.DBTX, found, want catalog) ([]string, error) {
	diff := found.differences(want)
	if len(diff) > 0 {
		return diff, nil // a table of the wrong name could stand for what lists the foreign keys
	}
	return foreignReferences(ctx, q, c.owns)
}

// examine holds a database that is not empty against the version that its ledger claims, and returns the ledger and the
// registry's id.
func (c core) examine(
	ctx context.Context, q db.DBTX, id int64, found catalog,
) (applied map[string][]db.ListMigrationsRow, registryID string, err error) {
	if _, ok := found.tables[ledger]; !ok && id == 0 {
		return nil, "", c.examineOxide(ctx, q, found)
	}
	if id != ApplicationID {
		diff, err := c.problems(ctx, q, found, c.versions[c.last])
		if err != nil {
			return nil, "", err
		}
		if len(diff) > 0 {
			return nil, "", refuse(ErrNotRegistry, "its application_id is 0 and %s", strings.Join(diff, ", "))
		}
		// As after a dump and restore, which keeps everything else.
		return nil, "", refuse(ErrCorrupt, "its application_id is 0, set it with PRAGMA application_id = %d", ApplicationID)
	}
	if err := checkEncoding(ctx, q, ErrCorrupt); err != nil {
		return nil, "", err
	}
	if _, ok := found.tables[ledger]; !ok {
		return nil, "", refuse(ErrCorrupt, "table %s is missing", ledger)
	}
	if _, ok := found.tables["registry"]; !ok {
		return nil, "", refuse(ErrCorrupt, "table registry is missing")
	}
	rows, err := db.New().ListMigrations(ctx, q, maxLedger+1)
	switch {
	case err != nil && (sqlite.IsStatementError(err) || sqlite.IsTooBig(err) || !sqlite.IsSQLite(err) && ctx.Err() == nil):
		// The last of them: database/sql met a value of another type.
		return nil, "", refuse(ErrCorrupt, "table %s cannot be read: %w", ledger, err)
	case err != nil:
		return nil, "", err
	case len(rows) > maxLedger:
		return nil, "", refuse(ErrCorrupt, "table %s has more than %d rows", ledger, maxLedger)
	}
	applied = map[string][]db.ListMigrationsRow{}
	for _, row := range rows {
		applied[row.SetName] = append(applied[row.SetName], row)
	}
	version := int64(0)
	if own := applied[CoreName]; len(own) > 0 {
		version = own[len(own)-1].Number
	}
	if version > c.last {
		return nil, "", refuse(ErrNewer, "it is at version %d, this program knows %d", version, c.last)
	}
	want, ok := c.versions[version]
	if !ok || version == 0 {
		return nil, "", refuse(ErrCorrupt, "its ledger names no version of the core that ever was")
	}
	diff, err := c.problems(ctx, q, found, want)
	if err != nil {
		return nil, "", err
	}
	if len(diff) > 0 {
		return nil, "", refuse(ErrCorrupt, "%s", strings.Join(diff, ", "))
	}
	row, err := db.New().GetRegistry(ctx, q)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, "", refuse(ErrCorrupt, "table registry has no row")
	case err == nil && row.ID == "":
		return nil, "", refuse(ErrCorrupt, "table registry has no id")
	case err == nil && row.LogLimit < 1:
		return nil, "", refuse(ErrCorrupt, "table registry has no limit of the change log")
	}
	return applied, row.ID, err
}

// examineOxide accepts a database as oxide-k leaves it: its tables as they are, further ones if they do not take a name
// of ours, no trigger on its tables.
func (c core) examineOxide(ctx context.Context, q db.DBTX, found catalog) error {
	want := c.versions[0]
	if _, ok := found.tables[oxideTable]; !ok {
		return refuse(ErrNotRegistry, "it holds neither a registry's tables nor oxide-k's")
	}
	for table := range found.tables {
		if _, ok := want.tables[table]; !ok {
			return refuse(ErrNotRegistry, "it looks like oxide-k's, but has a table %s of its own", table)
		}
	}
	if _, ok := found.tables["config"]; !ok {
		found.tables["config"], found.indexes["config"] = want.tables["config"], want.indexes["config"] // migration 1 makes it
	}
	diff, err := c.problems(ctx, q, found, want)
	if err != nil {
		return err
	}
	if len(diff) > 0 {
		return refuse(ErrNotRegistry, "it looks like oxide-k's, but %s", strings.Join(diff, ", "))
	}
	return checkEncoding(ctx, q, ErrNotRegistry)
}

// compare returns what each set has that was not applied, after checking that what was applied is still the same.
func compare(sets []Set, applied map[string][]db.ListMigrationsRow) ([]Pending, error) {
	var pending []Pending
	for _, set := range sets {
		done := map[int64]db.ListMigrationsRow{}
		newest := int64(0)
		for _, row := range applied[set.Name] {
			done[row.Number] = row
			newest = max(newest, row.Number)
		}
		if last := set.Migrations[len(set.Migrations)-1].Number; newest > last {
			return nil, refuse(ErrNewer, "%s is at version %d, this program knows %d", set.Name, newest, last)
		}
		for _, m := range set.Migrations {
			row, ok := done[m.Number]
			switch {
			case ok && row.Checksum != m.Checksum:
				return nil, refuse(ErrChanged, "%s: %s was applied as %s with another text", set.Name, m.Name, row.Name)
			case !ok && m.Number < newest:
				return nil, refuse(ErrChanged, "%s: %s was added below version %d", set.Name, m.Name, newest)
			case !ok:
				pending = append(pending, Pending{Set: set.Name, Migration: m})
			}
			delete(done, m.Number)
		}
		for _, row := range done {
			return nil, refuse(ErrChanged, "%s: %s was applied and is no longer there", set.Name, row.Name)
		}
	}
	return pending, nil
}

func applicationID(ctx context.Context, q db.DBTX) (id int64, err error) {
	err = q.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id)
	return id, err
}

// checkEncoding refuses UTF-16, which no registry and no oxide-k database has: prefixes are ranges of UTF-8 bytes.
func checkEncoding(ctx context.Context, q db.DBTX, cause error) error {
	var encoding string
	if err := q.QueryRowContext(ctx, "PRAGMA encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF-8" {
		return refuse(cause, "its text encoding is %s", encoding)
	}
	return nil
}
