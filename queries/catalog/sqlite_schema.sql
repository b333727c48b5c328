-- SQLite's own catalogue, declared for sqlc only: it knows no built-in tables. No database is ever given this file.
CREATE TABLE sqlite_schema (
    type     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    tbl_name TEXT    NOT NULL,
    rootpage INTEGER NOT NULL,
    sql      TEXT
);
