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
// the caller rolls back. It returns what it ran.
func Apply(ctx context.Context, tx *sqlite.Tx, sets []Set, now schema.Timestamp) ([]Pending, error) {
	conn := tx.Conn()
	status, err := Inspect(ctx, conn, sets)
	if err != nil || len(status.Pending) == 0 {
		return nil, err
	}
	c, err := loadCore()
	if err != nil {
		return nil, err
	}
	queries := db.New()
	for _, m := range status.Pending {
		if err := run(ctx, tx, c, m); err != nil {
			return nil, err
		}
	}
	for _, m := range status.Pending { // only now: the ledger itself may be new
		err := queries.InsertMigration(ctx, conn, db.InsertMigrationParams{
			SetName: m.Set, Number: m.Number, Name: m.Name, Checksum: m.Checksum, AppliedAt: now,
		})
		if err != nil {
			return nil, err
		}
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", ApplicationID)); err != nil {
		return nil, err
	}
	return status.Pending, nil
}

func run(ctx context.Context, tx *sqlite.Tx, c core, m Pending) error {
	before, err := readCatalog(ctx, tx.Conn(), c.owns)
	if err != nil {
		return err
	}
	err = tx.WithoutTransactionControl(func() error {
		_, err := tx.Conn().ExecContext(ctx, m.SQL)
		return err
	})
	if err != nil {
		if sqlite.IsNotAuthorized(err) {
			return refuse(ErrSet, "%s: %s begins, ends or leaves the transaction, which is the registry's", m.Set, m.Name)
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
		if !strings.HasPrefix(name, m.Set) && !slices.Contains(after.others, name) {
			return refuse(ErrSet, "%s: %s drops %s, which is not the set's", m.Set, m.Name, name)
		}
	}
	for _, name := range after.others {
		if !strings.HasPrefix(name, m.Set) && !slices.Contains(before.others, name) {
			return refuse(ErrSet, "%s: %s makes %s: its name must start with the set's", m.Set, m.Name, name)
		}
	}
	return nil
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
