package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
	"github.com/oxide-k/stateregistry/schema"
)

// Apply runs everything pending in tx, which must hold the write lock: it looks again first, since another process may
// have been faster. A set's tables and views must start with its name, and it must leave the core's alone: ErrSet, and
// the caller rolls back. It returns what it found, whose Pending it has run.
//
// Foreign keys should be off on the connection (sqlite.WithoutForeignKeys): with them on, dropping a table, as rebuilding one takes,
// deletes the rows of the tables that refer to it. Apply checks them itself, and returns ErrSet if rows refer to nothing that did not
// before. The context bounds the migrations. If the migrations make the registry it gets newID, which the returned Status has then.
func Apply(ctx context.Context, tx *sqlite.Tx, sets []Set, now schema.Timestamp, newID string) (Status, error) {
	conn := tx.Conn()
	status, err := Inspect(ctx, conn, sets)
	if err != nil || len(status.Pending) == 0 {
		return status, err
	}
	c, err := loadCore()
	if err != nil {
		return Status{}, err
	}
	var before *dangling
	var catalogBefore catalog
	for _, m := range status.Pending {
		if m.Set == CoreName {
			err = runCore(ctx, tx, m)
		} else {
			if before == nil { // the core's come first, and refer to nothing
				if catalogBefore, err = readCatalog(ctx, conn, c.owns); err != nil {
					return Status{}, err
				}
				found, err := readDangling(ctx, conn, maxReferences)
				if err != nil {
					return Status{}, err
				}
				before = &found
			}
			err = runSet(ctx, tx, c, m, status.sets)
		}
		if err != nil {
			return Status{}, err
		}
	}
	if before != nil {
		catalogAfter, err := readCatalog(ctx, conn, c.owns)
		if err != nil {
			return Status{}, err
		}
		if err := before.check(ctx, conn, altered(tx, catalogBefore, catalogAfter)); err != nil {
			return Status{}, err
		}
	}
	queries := db.New()
	for _, m := range status.Pending { // only now: the ledger itself may be new
		err := queries.InsertMigration(ctx, sqlite.Privileged(conn, sqlite.Insert(ledger)), db.InsertMigrationParams{
			SetName: m.Set, Number: m.Number, Name: m.Name, Checksum: m.Checksum, AppliedAt: now,
		})
		if err != nil {
			return Status{}, err
		}
	}
	if status.ID == "" {
		rows, err := queries.SetRegistryID(ctx, sqlite.Privileged(conn, sqlite.Update("registry")), newID)
		if err == nil && rows != 1 {
			err = refuse(ErrCorrupt, "table registry has no row")
		}
		if err != nil {
			return Status{}, err
		}
		status.ID = newID
	}
	return status, tx.SetApplicationID(ApplicationID)
}

// altered returns the tables that the migrations made, dropped, renamed or altered. The catalogs alone do not show a table that was
// made anew under its name, and the statements do not show a table's new name.
func altered(tx *sqlite.Tx, before, after catalog) map[string]bool {
	tables := map[string]bool{}
	for _, name := range tx.Altered() {
		tables[name] = true
	}
	in := func(names []string) map[string]bool {
		set := make(map[string]bool, len(names))
		for _, name := range names {
			set[name] = true
		}
		return set
	}
	existed, exists := in(before.others), in(after.others)
	for _, name := range slices.Concat(before.others, after.others) {
		if existed[name] != exists[name] {
			tables[name] = true
		}
	}
	return tables
}

// runCore runs a migration of the core's. It ran on every other file: if it fails, the file is at fault.
func runCore(ctx context.Context, tx *sqlite.Tx, m Pending) error {
	err := tx.MigrateCore(func() error {
		_, err := tx.Conn().ExecContext(ctx, m.SQL)
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", m.Set, m.Name, err)
	}
	if sqlite.IsStatementError(err) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// runSet runs a migration of a set's, and looks at what it did to the schema.
func runSet(ctx context.Context, tx *sqlite.Tx, c core, m Pending, sets []string) error {
	before, err := readCatalog(ctx, tx.Conn(), c.owns)
	if err != nil {
		return err
	}
	err = tx.Migrate(func() error {
		_, err := tx.Conn().ExecContext(ctx, m.SQL)
		return err
	})
	switch {
	case sqlite.IsNotAuthorized(err):
		return refuse(ErrSet, "%s: %s: %s: %w", m.Set, m.Name, sqlite.Forbidden, err)
	case sqlite.IsStatementError(err):
		return fmt.Errorf("%w: %s: %s: %w", ErrSet, m.Set, m.Name, err)
	case err != nil:
		return fmt.Errorf("%s: %s: %w", m.Set, m.Name, err)
	}
	after, err := readCatalog(ctx, tx.Conn(), c.owns)
	if err != nil {
		return err
	}
	diff, err := c.problems(ctx, tx.Conn(), after, before)
	if err != nil {
		return err
	}
	if len(diff) > 0 {
		return refuse(ErrSet, "%s: %s leaves no registry behind that opens: %s", m.Set, m.Name, strings.Join(diff, ", "))
	}
	for _, name := range before.others {
		if owner(name, sets) != m.Set && !slices.Contains(after.others, name) {
			return refuse(ErrSet, "%s: %s drops %s, which is not the set's", m.Set, m.Name, sqltext.Quoted(name))
		}
	}
	for _, name := range after.others {
		if owner(name, sets) != m.Set && !slices.Contains(before.others, name) {
			return refuse(ErrSet, "%s: %s makes %s: its name must start with the set's, and with no longer one of another set",
				m.Set, m.Name, sqltext.Quoted(name))
		}
	}
	return nil
}

// owner is the set whose name is the longest that the table's name starts with, or "".
func owner(table string, names []string) (set string) {
	for _, name := range names {
		if strings.HasPrefix(table, name) && len(name) > len(set) {
			set = name
		}
	}
	return set
}
