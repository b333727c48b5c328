package tests

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/schema"
)

// queryCases are the cases of TestGeneratedQueries, by the query's name; keysetCases are the others.
func queryCases() map[string]queryCase {
	description := "the description"
	module := db.UpsertModuleParams{
		ID: "the id", Name: "the name", Version: "the version", Kind: schema.KindWasm, State: schema.StateStopping,
		Description: &description, UpdatedAt: moment,
	}
	return map[string]queryCase{
		"UpsertModule": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			columns := []string{"the id", "the name", "the version", `"wasm"`, `"stopping"`, "the description", momentText, "6"}
			revision, err := q.UpsertModule(ctx, tx, module)
			require.NoError(t, err)
			require.EqualValues(t, 6, revision)
			const row = "SELECT id, name, version, kind, state, description, updated_at, revision FROM modules WHERE id = ?"
			require.Equal(t, columns, cells(t, ctx, tx, row, module.ID))

			again := module // the other half of the statement: the row is there already
			again.ID, again.Description = "echo", nil
			revision, err = q.UpsertModule(ctx, tx, again)
			require.NoError(t, err)
			require.EqualValues(t, 7, revision)
			columns[0], columns[5], columns[7] = "echo", "NULL", "7"
			require.Equal(t, columns, cells(t, ctx, tx, row, "echo"))
		},
		"GetModule": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			_, err := q.UpsertModule(ctx, tx, module)
			require.NoError(t, err)
			row, err := q.GetModule(ctx, tx, "the id")
			require.NoError(t, err)
			require.Equal(t, db.Module{
				ID: "the id", Name: "the name", Version: "the version", Kind: schema.KindWasm, State: schema.StateStopping,
				Description: &description, UpdatedAt: moment, Revision: 6,
			}, row)
		},
		"ListModules": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			_, err := q.UpsertModule(ctx, tx, module)
			require.NoError(t, err)
			rows, err := q.ListModules(ctx, tx)
			require.NoError(t, err)
			require.Len(t, rows, 3)
			for i, id := range []string{"echo", "oxide-mirror", "the id"} {
				row, err := q.GetModule(ctx, tx, id)
				require.NoError(t, err)
				require.Equal(t, row, rows[i])
			}
		},
		"GetModuleRevision": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			revision, err := q.GetModuleRevision(ctx, tx, "oxide-mirror")
			require.NoError(t, err)
			require.EqualValues(t, 2, revision)
		},
		"SetModuleState": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			revision, err := q.SetModuleState(ctx, tx, db.SetModuleStateParams{
				State: schema.StateFailed, UpdatedAt: moment, ID: "echo",
			})
			require.NoError(t, err)
			require.EqualValues(t, 6, revision)
			require.Equal(t, []string{`"failed"`, momentText, "6", "Module echo"},
				cells(t, ctx, tx, "SELECT state, updated_at, revision, name FROM modules WHERE id = 'echo'"))
			require.Equal(t, []string{`"loaded"`}, cells(t, ctx, tx, "SELECT state FROM modules WHERE id = 'oxide-mirror'"))
		},
		"DeleteModule": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			rows, err := q.DeleteModule(ctx, tx, "echo")
			require.NoError(t, err)
			require.EqualValues(t, 1, rows)
			require.Equal(t, []string{"oxide-mirror"}, cells(t, ctx, tx, "SELECT id FROM modules"))
		},
		"ListMisnumberedModules": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, revisionGuards, "UPDATE modules SET revision = 3 WHERE id = 'echo'")
			ids, err := q.ListMisnumberedModules(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, []string{"echo"}, ids)
		},
		"ListUntypedModules": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, identityGuards, "INSERT INTO modules VALUES (x'61', '', '', '', '', NULL, '', 0)")
			_, err := tx.ExecContext(ctx, "UPDATE modules SET description = x'' WHERE id = 'echo'")
			require.NoError(t, err)
			ids, err := q.ListUntypedModules(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, []string{"echo", "a"}, ids)
		},
		"UpsertConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			revision := int64(5)
			for _, key := range []string{"the key", "greeting"} { // one that is new, and one that is there
				for _, off := range []int64{0, 1, -1, -1000} { // whoever numbers it wrongly
					revision++
					row := db.UpsertConfigParams{Key: key, Value: `"the value"`, UpdatedAt: moment, Revision: revision + off}
					require.NoError(t, q.UpsertConfig(ctx, tx, row))
					require.Equal(t, []string{key, `"the value"`, momentText, fmt.Sprint(revision)},
						cells(t, ctx, tx, "SELECT key, value, updated_at, revision FROM config WHERE key = ?", key))
					require.Equal(t, []string{fmt.Sprint(revision), key},
						cells(t, ctx, tx, "SELECT revision, key FROM changes ORDER BY revision DESC LIMIT 1"))
				}
			}
		},
		"GetConfigValue": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			value, err := q.GetConfigValue(ctx, tx, "max_threads")
			require.NoError(t, err)
			require.Equal(t, "2", value)
		},
		"GetConfigEntry": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			err := q.UpsertConfig(ctx, tx, db.UpsertConfigParams{Key: "the key", Value: "7", UpdatedAt: moment, Revision: 6})
			require.NoError(t, err)
			row, err := q.GetConfigEntry(ctx, tx, "the key")
			require.NoError(t, err)
			require.Equal(t, db.Config{Key: "the key", Value: "7", UpdatedAt: moment, Revision: 6}, row)
		},
		"GetConfigRevision": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			revision, err := q.GetConfigRevision(ctx, tx, "greeting")
			require.NoError(t, err)
			require.EqualValues(t, 4, revision)
		},
		"ListConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			rows, err := q.ListConfig(ctx, tx, db.ListConfigParams{First: "b", Before: "m"})
			require.NoError(t, err)
			requireEntries(t, ctx, q, tx, rows, "greeting")
			rows, err = q.ListConfig(ctx, tx, db.ListConfigParams{First: "greeting", Before: "max_threads"})
			require.NoError(t, err)
			requireEntries(t, ctx, q, tx, rows, "greeting")
		},
		"ListConfigPage": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			greeting, err := q.GetConfigEntry(ctx, tx, "greeting")
			require.NoError(t, err)
			want := db.ListConfigPageRow{
				Key: "greeting", UpdatedAt: greeting.UpdatedAt, Revision: 4, Size: int64(len(greeting.Value)), ShortValue: greeting.Value,
			}
			arg := db.ListConfigPageParams{MaxValue: want.Size, First: "b", PageSize: 1}
			rows, err := q.ListConfigPage(ctx, tx, arg)
			require.NoError(t, err)
			require.Equal(t, []db.ListConfigPageRow{want}, rows)
			arg.MaxValue--
			want.ShortValue = ""
			rows, err = q.ListConfigPage(ctx, tx, arg)
			require.NoError(t, err)
			require.Equal(t, []db.ListConfigPageRow{want}, rows)
			for _, statement := range []string{
				"INSERT INTO config (key, value, updated_at) VALUES (CAST(x'ffff' AS TEXT), '1', '2026-01-01T00:00:00Z')",
				"INSERT INTO config (key, value, updated_at) VALUES (x'ffff', '1', '2026-01-01T00:00:00Z')", // no text
			} {
				withoutGuards(t, ctx, tx, rowGuards, statement)
			}
			rows, err = q.ListConfigPage(ctx, tx, db.ListConfigPageParams{First: "max_threads", PageSize: 5})
			require.NoError(t, err)
			require.Len(t, rows, 2)
			require.Equal(t, []string{"max_threads", "\xff\xff"}, []string{rows[0].Key, rows[1].Key})
		},
		"ScanConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			scan := func(arg db.ScanConfigParams) (rows []db.ScanConfigRow) {
				rows, err := q.ScanConfig(ctx, tx, arg)
				require.NoError(t, err)
				return rows
			}
			greeting, err := q.GetConfigEntry(ctx, tx, "greeting")
			require.NoError(t, err)
			want := db.ScanConfigRow{
				Key: "greeting", UpdatedAt: greeting.UpdatedAt, Revision: 4, Size: int64(len(greeting.Value)), ShortValue: greeting.Value,
			}
			arg := db.ScanConfigParams{MaxValue: want.Size, First: "b", Before: "m", PageSize: 5}
			require.Equal(t, []db.ScanConfigRow{want}, scan(arg))
			arg.MaxValue--
			want.ShortValue = ""
			require.Equal(t, []db.ScanConfigRow{want}, scan(arg))
			arg.First, arg.Before, arg.PageSize = "greeting", "max_threads", 5
			require.Len(t, scan(arg), 1)
			arg.First, arg.Before, arg.PageSize = "", "z", 2
			require.Len(t, scan(arg), 2)
		},
		"DeleteConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			rows, err := q.DeleteConfig(ctx, tx, "greeting")
			require.NoError(t, err)
			require.EqualValues(t, 1, rows)
			require.Equal(t, []string{"api/endpoint,max_threads"}, cells(t, ctx, tx, "SELECT group_concat(key) FROM (SELECT key FROM config ORDER BY key)"))
		},
		"ListMisnumberedConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, revisionGuards, "UPDATE config SET revision = 1 WHERE key = 'greeting'")
			keys, err := q.ListMisnumberedConfig(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, []string{"greeting"}, keys)
		},
		"ListUntypedConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, rowGuards, "UPDATE config SET value = x'31' WHERE key = 'greeting'",
				"INSERT INTO config (key, value, updated_at) VALUES (x'61', '1', '')")
			keys, err := q.ListUntypedConfig(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, []string{"greeting", "a"}, keys)
		},
		"GetRevision": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			revision, err := q.GetRevision(ctx, tx)
			require.NoError(t, err)
			require.EqualValues(t, 5, revision)
		},
		"ListChanges": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, "UPDATE config SET value = '9', updated_at = '"+momentText+"' WHERE key = 'greeting'")
			rows, err := q.ListChanges(ctx, tx, db.ListChangesParams{After: 3, MaxRows: 2})
			require.NoError(t, err)
			require.Len(t, rows, 2)
			require.EqualValues(t, 4, rows[0].Revision)
			require.EqualValues(t, 5, rows[1].Revision)
			rows, err = q.ListChanges(ctx, tx, db.ListChangesParams{After: 5, MaxRows: 7})
			require.NoError(t, err)
			require.Equal(t, []db.Change{{Revision: 6, Subject: "config", Key: "greeting", Op: "put", At: moment}}, rows)
		},
		"InsertRestore": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.NoError(t, q.InsertRestore(ctx, tx, db.InsertRestoreParams{Revision: 1 << 33, At: moment}))
			id := cells(t, ctx, tx, "SELECT id FROM registry")[0]
			rows, err := q.ListChanges(ctx, tx, db.ListChangesParams{After: 0, MaxRows: 7})
			require.NoError(t, err)
			require.Equal(t, []db.Change{{Revision: 1 << 33, Subject: "registry", Key: id, Op: "put", At: moment}}, rows)
		},
		"GetLogBounds": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, "DELETE FROM changes WHERE revision < 3")
			bounds, err := q.GetLogBounds(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, db.GetLogBoundsRow{Oldest: 3, Newest: 5, Entries: 3}, bounds)
		},
		"InsertMigration": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			row := db.InsertMigrationParams{
				SetName: "the set", Number: 7, Name: "the name", Checksum: "the checksum", AppliedAt: moment,
			}
			require.NoError(t, q.InsertMigration(ctx, tx, row))
			require.Equal(t, []string{"the set", "7", "the name", "the checksum", momentText},
				cells(t, ctx, tx, "SELECT set_name, number, name, checksum, applied_at FROM migrations WHERE number = 7"))
		},
		"ListMigrations": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			row := db.InsertMigrationParams{
				SetName: "a set", Number: 7, Name: "the name", Checksum: "the checksum", AppliedAt: moment,
			}
			require.NoError(t, q.InsertMigration(ctx, tx, row))
			rows, err := q.ListMigrations(ctx, tx, 100)
			require.NoError(t, err)
			require.Len(t, rows, 1+coreMigrations(t))
			require.Equal(t, db.ListMigrationsRow{SetName: "a set", Number: 7, Name: "the name", Checksum: "the checksum"}, rows[0])
			first, err := q.ListMigrations(ctx, tx, 1)
			require.NoError(t, err)
			require.Equal(t, rows[:1], first)
			for i, row := range rows[1:] {
				require.EqualValues(t, i+1, row.Number)
			}
		},
		"GetRegistry": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, identityGuards, "UPDATE registry SET log_limit = 77, id = 'the id'")
			row, err := q.GetRegistry(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, db.GetRegistryRow{ID: "the id", LogLimit: 77}, row)
		},
		"SetLogLimit": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.NoError(t, q.SetLogLimit(ctx, tx, 77))
			require.Equal(t, []string{"1", "77"}, cells(t, ctx, tx, "SELECT one, log_limit FROM registry"))
		},
		"SetRegistryID": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			rows, err := q.SetRegistryID(ctx, tx, "another")
			require.NoError(t, err)
			require.Zero(t, rows, "a registry keeps its id")
			withoutGuards(t, ctx, tx, identityGuards, "UPDATE registry SET id = ''")
			rows, err = q.SetRegistryID(ctx, tx, "the first")
			require.NoError(t, err)
			require.Equal(t, int64(1), rows)
			require.Equal(t, []string{"1", "the first"}, cells(t, ctx, tx, "SELECT one, id FROM registry"))
		},
		"MeasureCatalog": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			all, err := q.ListCatalog(ctx, tx)
			require.NoError(t, err)
			var sum, largest int64
			for _, o := range all {
				size := int64(len(o.Kind) + len(o.ObjectName) + len(o.TableName) + len(o.Definition))
				sum, largest = sum+size, max(largest, size)
			}
			whole, err := q.MeasureCatalog(ctx, tx, 1000)
			require.NoError(t, err)
			require.Equal(t, db.MeasureCatalogRow{Objects: int64(len(all)), Size: sum, Largest: largest}, whole)
			first, err := q.MeasureCatalog(ctx, tx, 2)
			require.NoError(t, err)
			require.EqualValues(t, 2, first.Objects)
		},
		"ListCatalog": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			const index = "CREATE INDEX an_index ON config (value)"
			mustExec(t, ctx, tx, index)
			rows, err := q.ListCatalog(ctx, tx)
			require.NoError(t, err)
			require.Positive(t, rows[0].Root)
			rows[0].Root = 0
			require.Equal(t, db.ListCatalogRow{Kind: "index", ObjectName: "an_index", TableName: "config", Definition: index,
				Types: "text text text integer text"}, rows[0])
			automatic := slices.IndexFunc(rows, func(r db.ListCatalogRow) bool { return r.ObjectName == "sqlite_autoindex_config_1" })
			require.Positive(t, automatic)
			require.Empty(t, rows[automatic].Definition)
			require.Equal(t, "text text text integer null", rows[automatic].Types)
		},
		"MeasureStatistics": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, "ANALYZE")
			mustExec(t, ctx, tx, "INSERT INTO sqlite_stat1 VALUES ('a table', NULL, hex(zeroblob(50)))")
			whole, err := q.MeasureStatistics(ctx, tx, 1000)
			require.NoError(t, err)
			require.EqualValues(t, 107, whole.Largest)
			require.Greater(t, whole.Entries, int64(2))
			first, err := q.MeasureStatistics(ctx, tx, 2)
			require.NoError(t, err)
			require.EqualValues(t, 2, first.Entries)
		},
	}
}

// requireEntries fails unless rows are the entries with those keys, whole.
func requireEntries(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX, rows []db.Config, keys ...string) {
	t.Helper()
	require.Len(t, rows, len(keys))
	for i, key := range keys {
		row, err := q.GetConfigEntry(ctx, tx, key)
		require.NoError(t, err)
		require.Equal(t, row, rows[i])
	}
}
