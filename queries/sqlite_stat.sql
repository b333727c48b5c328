-- The tables that there are in which ANALYZE keeps samples of indexed values. (sqlite_stat1 holds counts only.)
-- name: ListSampleTables :many
SELECT CAST(lower(sqlite_schema.name) AS TEXT) AS table_name
FROM sqlite_schema
WHERE type = 'table' AND lower(sqlite_schema.name) IN ('sqlite_stat2', 'sqlite_stat3', 'sqlite_stat4')
ORDER BY table_name;

-- name: DeleteSamples2 :exec
DELETE FROM sqlite_stat2;

-- name: DeleteSamples3 :exec
DELETE FROM sqlite_stat3;

-- name: DeleteSamples4 :exec
DELETE FROM sqlite_stat4;
