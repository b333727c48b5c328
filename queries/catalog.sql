-- How much the file's schema holds, at most one row more than max_rows. Rows may share their pages, so that a small file holds much.
-- name: MeasureCatalog :one
SELECT count(*) AS objects,
       CAST(coalesce(sum(row_size), 0) AS INTEGER) AS size,
       CAST(coalesce(max(row_size), 0) AS INTEGER) AS largest
FROM (
    SELECT coalesce(octet_length(type), 0) + coalesce(octet_length(sqlite_schema.name), 0) + coalesce(octet_length(tbl_name), 0)
           + coalesce(octet_length(sql), 0) AS row_size
    FROM sqlite_schema
    LIMIT @max_rows
);

-- Everything that the file's schema holds, SQLite's own objects too, as the look before opening reads it. An automatic index has no
-- definition.
-- name: ListCatalog :many
SELECT CAST(coalesce(type, '') AS TEXT) AS kind,
       CAST(coalesce(sqlite_schema.name, '') AS TEXT) AS object_name,
       CAST(coalesce(tbl_name, '') AS TEXT) AS table_name,
       CAST(coalesce(rootpage, 0) AS INTEGER) AS root,
       CAST(coalesce(sql, '') AS TEXT) AS definition,
       CAST(typeof(type) || ' ' || typeof(sqlite_schema.name) || ' ' || typeof(tbl_name) || ' ' || typeof(rootpage) || ' '
            || typeof(sql) AS TEXT) AS types
FROM sqlite_schema
ORDER BY type, sqlite_schema.name;
