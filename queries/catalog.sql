-- What the file holds, as SQLite lists it: the look before opening reads it. Internal objects (sqlite_autoindex and the
-- like) are left out.
-- name: ListCatalog :many
SELECT type, name, tbl_name, CAST(coalesce(sql, '') AS TEXT) AS definition
FROM sqlite_schema
WHERE substr(name, 1, 7) <> 'sqlite_'
ORDER BY type, name;
