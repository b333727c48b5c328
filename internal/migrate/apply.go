package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/schema"
)

// Apply runs everything pending in tx, which must hold the write lock: it looks again first, since another process may
// have been faster. A set's tables and views must start with its name, and it must leave the core's alone: ErrSet, and
// the caller rolls back. It returns what it found, whose Pending it has run.
func Apply(ctx context.Context, tx *sqlite.Tx, sets []Set, now schema.Timestamp) (Status, error) {
	conn := tx.Conn()
	status, err := Inspect(ctx, conn, sets)
	if err != nil || len(status.Pending) == 0 {
		return status, err
	}
	c, err := loadCore()
	if err != nil {
		return Status{}, err
	}
	queries := db.New()
	for _, m := range status.Pending {
		if err := run(ctx, tx, c, m, status.sets); err != nil {
			return Status{}, err
		}
	}
	for _, m := range status.Pending { // only now: the ledger itself may be new
		err := queries.InsertMigration(ctx, sqlite.Privileged(conn), db.InsertMigrationParams{
			SetName: m.Set, Number: m.Number, Name: m.Name, Checksum: m.Checksum, AppliedAt: now,
		})
		if err != nil {
			return Status{}, err
		}
	}
	return status, tx.SetApplicationID(ApplicationID)
}

func run(ctx context.Context, tx *sqlite.Tx, c core, m Pending, names []string) error {
	before, err := readCatalog(ctx, tx.Conn(), c.owns)
	if err != nil {
		return err
	}
	err = tx.Migrate(func() error {
		_, err := tx.Conn().ExecContext(ctx, m.SQL)
		return err
	})
	if err != nil {
		if sqlite.IsNotAuthorized(err) {
			return refuse(ErrSet, "%s: %s: %s: %w", m.Set, m.Name, sqlite.Forbidden, err)
		}
		return failedRun(m, err)
	}
	if m.Set == CoreName {
		return nil
	}
	after, err := readCatalog(ctx, tx.Conn(), c.owns)
	if err != nil {
		return err
	}
	if diff := after.differences(before); len(diff) > 0 {
		return refuse(ErrSet, "%s: %s changes the registry's own tables: %s", m.Set, m.Name, strings.Join(diff, ", "))
	}
	for _, name := range before.others {
		if owner(name, names) != m.Set && !slices.Contains(after.others, name) {
			return refuse(ErrSet, "%s: %s drops %s, which is not the set's", m.Set, m.Name, name)
		}
	}
	for _, name := range after.others {
		if owner(name, names) != m.Set && !slices.Contains(before.others, name) {
			return refuse(ErrSet, "%s: %s makes %s: its name must start with the set's, and with no longer one of another set",
				m.Set, m.Name, name)
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

// failedRun says whose fault it is that a migration failed: the set's, where its SQL or its constraints did; the file's,
// where the core's did, which ran on every other file.
func failedRun(m Pending, err error) error {
	err = fmt.Errorf("%s: %s: %w", m.Set, m.Name, err)
	if !sqlite.IsStatementError(err) {
		return err
	}
	if m.Set == CoreName {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("%w: %w", ErrSet, err)
}
