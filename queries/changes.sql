-- name: GetRevision :one
SELECT CAST(coalesce(max(revision), 0) AS INTEGER) AS revision FROM changes;

-- name: GetOldestRevision :one
SELECT CAST(coalesce(min(revision), 0) AS INTEGER) AS revision FROM changes;

-- name: ListChanges :many
SELECT revision, subject, key, op, at
FROM changes
WHERE revision > @after
ORDER BY revision
LIMIT @max_rows;

-- name: GetLogBounds :one
SELECT CAST(coalesce(min(revision), 0) AS INTEGER) AS oldest,
       CAST(coalesce(max(revision), 0) AS INTEGER) AS newest,
       count(*) AS entries
FROM changes;

-- The change that a restore makes, at a revision that leaves numbers out. The log begins anew with it.
-- name: InsertRestore :exec
INSERT INTO changes (revision, subject, key, op, at)
SELECT @revision, 'registry', id, 'put', @at FROM registry WHERE one = 1;
