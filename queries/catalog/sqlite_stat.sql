-- Statistics that ANALYZE makes, and samples that it takes of indexed values, declared for sqlc only: it knows no built-in tables. Of the
-- samples SQLite makes one table or none, by how it was compiled. No database is ever given this file.
CREATE TABLE sqlite_stat1 (tbl TEXT, idx TEXT, stat TEXT);
CREATE TABLE sqlite_stat2 (tbl TEXT, idx TEXT, sampleno INTEGER, sample TEXT);
CREATE TABLE sqlite_stat3 (tbl TEXT, idx TEXT, neq INTEGER, nlt INTEGER, ndlt INTEGER, sample TEXT);
CREATE TABLE sqlite_stat4 (tbl TEXT, idx TEXT, neq TEXT, nlt TEXT, ndlt TEXT, sample BLOB);
