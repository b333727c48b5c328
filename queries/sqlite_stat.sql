-- How much the statistics hold that SQLite reads with each schema, of the first max_rows rows. Any text may be in them.
-- name: MeasureStatistics :one
SELECT count(*) AS entries, CAST(coalesce(max(row_size), 0) AS INTEGER) AS largest
FROM (
    SELECT coalesce(octet_length(tbl), 0) + coalesce(octet_length(idx), 0) + coalesce(octet_length(stat), 0) AS row_size
    FROM sqlite_stat1
    LIMIT @max_rows
);

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
