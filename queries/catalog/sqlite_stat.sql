-- Samples that ANALYZE takes of indexed values, declared for sqlc only: it knows no built-in tables. SQLite makes one of them, or
-- none, by how it was compiled. No database is ever given this file.
CREATE TABLE sqlite_stat2 (tbl TEXT, idx TEXT, sampleno INTEGER, sample TEXT);
CREATE TABLE sqlite_stat3 (tbl TEXT, idx TEXT, neq INTEGER, nlt INTEGER, ndlt INTEGER, sample TEXT);
CREATE TABLE sqlite_stat4 (tbl TEXT, idx TEXT, neq TEXT, nlt TEXT, ndlt TEXT, sample BLOB);
