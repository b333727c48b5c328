-- Everything that the file's schema holds, SQLite's own objects too, as the look before opening reads it. An automatic index has no
-- definition.
-- name: ListCatalog :many
SELECT CAST(coalesce(type, '') AS TEXT) AS kind,
       CAST(coalesce(sqlite_schema.name, '') AS TEXT) AS object_name,
       CAST(coalesce(tbl_name, '') AS TEXT) AS table_name,
       CAST(coalesce(rootpage, 0) AS INTEGER) AS root,
       CAST(coalesce(sql, '') AS TEXT) AS definition
FROM sqlite_schema
ORDER BY type, sqlite_schema.name;
