// Package decisionlog is a subsystem of a stateregistry: an append-only log of what was decided by whom, why, from what
// inputs, with what output, and with how much confidence. It brings a table of its own, and its queries run in the
// registry's transactions, so that a decision and what it changed are committed together or not at all.
//
//	reg, err := registry.Open(ctx, path, registry.WithMigrations(decisionlog.Set, decisionlog.Migrations))
//	err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
//		if _, err := decisionlog.Log(ctx, tx, decisionlog.Decision{ … }); err != nil {
//			return err
//		}
//		_, err := tx.SetModuleState(ctx, "oxide-mirror", registry.StateFailed)
//		return err
//	})
//	newest, err := decisionlog.Recent(ctx, reg.ReadDB(), 10)
//
// What reads takes the [registry.Tx] of a View or an Update, or [registry.Registry.ReadDB].
//
// The table is the one that oxide-k's kernel keeps its decisions in. In a file that it wrote they are all there, and it reads and
// goes on with what this package appends. (Its own SQLite is too old to have a file open at the same time as a registry: one after
// the other.)
//
// Decisions are never changed and never removed: triggers refuse it, whoever tries with whatever statement that writes rows.
// (They are no help against one that alters or drops the table, or a trigger, or switches SQLite's checks off.) Each new one is a
// change in the registry's change log, under [Subject]. Like all tables of subsystems they are plaintext in the file, even if
// the values of the registry are encrypted.
//
// The package is meant to be copied, as the beginning of another subsystem: schema/ holds its table, queries/ its statements, db/
// what sqlc makes of both, and the rest the types and errors that callers see. json.go and oxide_test.go are about what oxide-k
// reads. It is under the licenses of the stateregistry itself, MIT or Apache-2.0 at your choice.
package decisionlog
