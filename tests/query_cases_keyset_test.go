package tests

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
)

// keysetCases are the cases of TestGeneratedQueries that are about encryption: the keyset's row, and what a rotation looks
// for. To the queries a marker is any text.
func keysetCases() map[string]queryCase {
	row := db.InsertKeysetParams{
		Generation: 7, Marker: "the marker", KEK: "the kind", KEKParams: "the parameters", Wrapped: []byte("the keyset"), Scrub: 1,
	}
	const columns = "SELECT generation, marker, kek, kek_params, wrapped, scrub FROM keyset"
	inserted := func(run queryCase) queryCase {
		return func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.NoError(t, q.InsertKeyset(ctx, tx, row))
			run(t, ctx, q, tx)
		}
	}
	return map[string]queryCase{
		"InsertKeyset": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.Equal(t, []string{"7", "the marker", "the kind", "the parameters", "the keyset", "1"}, cells(t, ctx, tx, columns))
		}),
		"GetKeyset": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, identityGuards, "UPDATE registry SET id = 'the id'")
			found, err := q.GetKeyset(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, db.GetKeysetRow{
				RegistryID: "the id", Generation: 7, Marker: "the marker", KEK: "the kind", KEKParams: "the parameters",
				Wrapped: []byte("the keyset"), Scrub: 1,
			}, found)
		}),
		"GetKeysetMarker": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			marker, err := q.GetKeysetMarker(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, "the marker", marker)
			mustExec(t, ctx, tx, "UPDATE keyset SET generation = 8, marker = printf('%.*c', 1025, 'x')")
			marker, err = q.GetKeysetMarker(ctx, tx)
			require.NoError(t, err)
			require.Empty(t, marker)
		}),
		"UpdateKeyset": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			next := db.UpdateKeysetParams{
				Marker: "another marker", KEK: "another kind", KEKParams: "others", Wrapped: []byte("another keyset"), Generation: 7,
				OldWrapped: []byte("not the keyset"),
			}
			rows, err := q.UpdateKeyset(ctx, tx, next)
			require.NoError(t, err)
			require.Zero(t, rows)
			next.OldWrapped = []byte("the keyset")
			rows, err = q.UpdateKeyset(ctx, tx, next)
			require.NoError(t, err)
			require.EqualValues(t, 1, rows)
			want := []string{"8", "another marker", "another kind", "others", "another keyset", "1"}
			require.Equal(t, want, cells(t, ctx, tx, columns))
			next.OldWrapped = next.Wrapped
			rows, err = q.UpdateKeyset(ctx, tx, next) // generation 7 is over
			require.NoError(t, err)
			require.Zero(t, rows)
			require.Equal(t, want, cells(t, ctx, tx, columns))
		}),
		"ReleaseKeyset": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.NoError(t, q.ReleaseKeyset(ctx, tx))
			require.Equal(t, []string{"8", "", "the kind", "the parameters", "the keyset", "1"}, cells(t, ctx, tx, columns))
		}),
		"DeleteKeyset": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.Error(t, q.DeleteKeyset(ctx, tx))
			require.NoError(t, q.ReleaseKeyset(ctx, tx))
			require.NoError(t, q.DeleteKeyset(ctx, tx))
			_, err := q.GetKeyset(ctx, tx)
			require.ErrorIs(t, err, sql.ErrNoRows)
		}),
		"ClearScrub": inserted(func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			require.NoError(t, q.ClearScrub(ctx, tx, []byte("not the keyset")))
			require.Equal(t, []string{"7", "the marker", "the kind", "the parameters", "the keyset", "1"}, cells(t, ctx, tx, columns))
			require.NoError(t, q.ClearScrub(ctx, tx, []byte("the keyset")))
			require.Equal(t, []string{"7", "the marker", "the kind", "the parameters", "the keyset", "0"}, cells(t, ctx, tx, columns))
		}),
		"HasConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			for want := range int64(2) {
				if want == 0 {
					mustExec(t, ctx, tx, "SAVEPOINT filled; DELETE FROM config")
				} else {
					mustExec(t, ctx, tx, "ROLLBACK TO filled")
				}
				found, err := q.HasConfig(ctx, tx)
				require.NoError(t, err)
				require.Equal(t, want, found)
			}
		},
		"CountConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			entries, err := q.CountConfig(ctx, tx)
			require.NoError(t, err)
			require.EqualValues(t, 3, entries)
		},
		"HasEncryptedConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			for want := range int64(2) {
				if want == 1 {
					withoutGuards(t, ctx, tx, configGuards, "UPDATE config SET value = 'enc:' WHERE key = 'greeting'")
				}
				found, err := q.HasEncryptedConfig(ctx, tx)
				require.NoError(t, err)
				require.Equal(t, want, found)
			}
		},
		"CountEncryptedConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, configGuards, "UPDATE config SET value = 'enc:' WHERE key = 'greeting'",
				"UPDATE config SET value = x'656e633a' WHERE key = 'max_threads'")
			rows, err := q.CountEncryptedConfig(ctx, tx)
			require.NoError(t, err)
			require.EqualValues(t, 2, rows)
		},
		"CountStaleConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, `UPDATE config SET value = '"sixteen bytes"...' WHERE key = 'greeting'`)
			withoutGuards(t, ctx, tx, configGuards, "UPDATE config SET value = CAST(value AS BLOB) WHERE key = 'max_threads'")
			for marker, want := range map[string]int64{`"sixteen bytes".`: 2, "2": 3, "no value has this": 3} {
				rows, err := q.CountStaleConfig(ctx, tx, marker)
				require.NoError(t, err)
				require.Equal(t, want, rows, marker)
			}
		},
		"ListSampleTables": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			tables, err := q.ListSampleTables(ctx, tx)
			require.NoError(t, err)
			require.Empty(t, tables)
			plantSamples(t, ctx, tx)
			tables, err = q.ListSampleTables(ctx, tx)
			require.NoError(t, err)
			require.Equal(t, []string{"sqlite_stat2", "sqlite_stat3", "sqlite_stat4"}, tables)
		},
		"DeleteSamples2": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			plantSamples(t, ctx, tx)
			require.NoError(t, q.DeleteSamples2(ctx, tx))
			require.Equal(t, []string{"0", "1", "1"}, cells(t, ctx, tx, countSamples))
		},
		"DeleteSamples3": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			plantSamples(t, ctx, tx)
			require.NoError(t, q.DeleteSamples3(ctx, tx))
			require.Equal(t, []string{"1", "0", "1"}, cells(t, ctx, tx, countSamples))
		},
		"DeleteSamples4": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			plantSamples(t, ctx, tx)
			require.NoError(t, q.DeleteSamples4(ctx, tx))
			require.Equal(t, []string{"1", "1", "0"}, cells(t, ctx, tx, countSamples))
		},
		"ListStaleConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, `UPDATE config SET value = '"ä longer one"' WHERE key = 'greeting'`)
			for _, c := range []struct {
				params db.ListStaleConfigParams
				want   []db.ListStaleConfigRow
			}{
				{db.ListStaleConfigParams{MaxValue: 14, First: "api/endpoint\x00", Marker: "2", PageSize: 5},
					[]db.ListStaleConfigRow{{Key: "greeting", Size: 15}}},
				{db.ListStaleConfigParams{MaxValue: 15, First: "api/endpoint\x00", Marker: "0", PageSize: 1},
					[]db.ListStaleConfigRow{{Key: "greeting", Size: 15, ShortValue: `"ä longer one"`}}},
				{db.ListStaleConfigParams{MaxValue: 1, First: "greeting\x00", Marker: "0", PageSize: 7},
					[]db.ListStaleConfigRow{{Key: "max_threads", Size: 1, ShortValue: "2"}}},
			} {
				rows, err := q.ListStaleConfig(ctx, tx, c.params)
				require.NoError(t, err)
				require.Equal(t, c.want, rows)
			}
		},
		"ListStaleMarkers": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, `UPDATE config SET value = '"sixteen bytes"...' WHERE key = 'greeting'`)
			mustExec(t, ctx, tx, `UPDATE config SET value = '"sixteen bytes",,,' WHERE key = 'max_threads'`)
			markers, err := q.ListStaleMarkers(ctx, tx, "1")
			require.NoError(t, err)
			require.Equal(t, []string{`"sixteen bytes",`, `"sixteen bytes".`, "0"}, markers)
			markers, err = q.ListStaleMarkers(ctx, tx, `"sixteen bytes".`)
			require.NoError(t, err)
			require.Equal(t, []string{`"sixteen bytes",`, "0"}, markers)
		},
		"ListStaleKeys": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			keys, err := q.ListStaleKeys(ctx, tx, db.ListStaleKeysParams{Marker: "no value has this", MaxRows: 2})
			require.NoError(t, err)
			all := cells(t, ctx, tx, "SELECT group_concat(key) FROM (SELECT key FROM config ORDER BY key LIMIT 2)")
			require.Equal(t, all, []string{strings.Join(keys, ",")})
			value := cells(t, ctx, tx, "SELECT value FROM config WHERE key = '"+keys[0]+"'")[0]
			rest, err := q.ListStaleKeys(ctx, tx, db.ListStaleKeysParams{Marker: value, MaxRows: 1})
			require.NoError(t, err)
			require.Equal(t, keys[1:], rest)
		},
		"HasStaleConfigSince": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			for params, want := range map[db.HasStaleConfigSinceParams]int64{
				{After: 4, Marker: "2"}: 0, {After: 4, Marker: "1"}: 1, {After: 3, Marker: "2"}: 1, {After: 5, Marker: "1"}: 0,
			} {
				found, err := q.HasStaleConfigSince(ctx, tx, params)
				require.NoError(t, err)
				require.Equal(t, want, found, "%+v", params)
			}
		},
		"ReencryptConfig": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			withoutGuards(t, ctx, tx, configGuards, "UPDATE config SET value = 'enc:old' WHERE key = 'greeting'")
			const revisions = "SELECT revision, (SELECT max(revision) FROM changes) FROM config WHERE key = 'greeting'"
			before := cells(t, ctx, tx, revisions)
			params := db.ReencryptConfigParams{Value: `"new"`, Key: "greeting", OldValue: "enc:old"}
			for _, want := range []int64{1, 0} { // once it is another value, it stays that
				rows, err := q.ReencryptConfig(ctx, tx, params)
				require.NoError(t, err)
				require.Equal(t, want, rows)
				require.Equal(t, []string{`"new"`}, cells(t, ctx, tx, "SELECT value FROM config WHERE key = 'greeting'"))
				require.Equal(t, before, cells(t, ctx, tx, revisions))
				params.Value = `"newer"`
			}
		},
		"GetOldestRevision": func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX) {
			mustExec(t, ctx, tx, "DELETE FROM changes WHERE revision < 3")
			revision, err := q.GetOldestRevision(ctx, tx)
			require.NoError(t, err)
			require.EqualValues(t, 3, revision)
		},
	}
}
