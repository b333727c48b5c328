-- name: GetConfigValue :one
SELECT value FROM config WHERE key = @key;

-- name: GetConfigEntry :one
SELECT key, value, updated_at, revision FROM config WHERE key = @key;

-- name: GetConfigRevision :one
SELECT revision FROM config WHERE key = @key;

-- name: ListConfig :many
SELECT key, value, updated_at, revision
FROM config
WHERE key >= @first AND key < @before
ORDER BY key;

-- ListConfig page by page. A value that is longer than max_value is left out, so that a page stays small: GetConfigEntry
-- has it.
-- name: ScanConfig :many
SELECT key, updated_at, revision, CAST(octet_length(value) AS INTEGER) AS size,
       CAST(CASE WHEN octet_length(value) <= CAST(@max_value AS INTEGER) THEN value ELSE '' END AS TEXT) AS short_value
FROM config
WHERE key >= @first AND key < @before
ORDER BY key
LIMIT @page_size;

-- ScanConfig without an end: also of keys that are no UTF-8, which come after all that a prefix can have.
-- name: ListConfigPage :many
SELECT key, updated_at, revision, CAST(octet_length(value) AS INTEGER) AS size,
       CAST(CASE WHEN octet_length(value) <= CAST(@max_value AS INTEGER) THEN value ELSE '' END AS TEXT) AS short_value
FROM config
WHERE key >= @first AND typeof(key) = 'text'
ORDER BY key
LIMIT @page_size;

-- The writer numbers the row itself, with the revision that comes next, and the trigger finds it right. One that is wrong, and
-- not the row's present one, the trigger puts right. (RETURNING, and finding the next revision here, cost a twentieth of a
-- write that shares its transaction.)
-- name: UpsertConfig :exec
INSERT INTO config (key, value, updated_at, revision)
VALUES (@key, @value, @updated_at, @revision)
ON CONFLICT (key) DO UPDATE SET
    value      = excluded.value,
    updated_at = excluded.updated_at,
    revision   = excluded.revision;

-- name: DeleteConfig :execrows
DELETE FROM config WHERE key = @key;

-- The table itself is asked, as by all statements that say NOT INDEXED: a damaged index may lack a row.
-- name: HasConfig :one
SELECT CAST(EXISTS (SELECT 1 FROM config NOT INDEXED) AS INTEGER) AS found;

-- name: CountConfig :one
SELECT count(*) FROM config;

-- The entries that are not under a marker, page by page: whom a rotation has to visit. A value that is longer than
-- max_value is left out, so that a page stays small; GetConfigValue has it. Keys that are no text, which sort after all
-- others, are left out too: ListUntypedConfig has them.
-- name: ListStaleConfig :many
SELECT key, CAST(octet_length(value) AS INTEGER) AS size,
       CAST(CASE WHEN octet_length(value) <= CAST(@max_value AS INTEGER) THEN value ELSE '' END AS TEXT) AS short_value
FROM config
WHERE key >= @first AND typeof(key) = 'text' AND substr(value, 1, 16) <> @marker
ORDER BY key
LIMIT @page_size;

-- name: ListStaleKeys :many
SELECT CAST(config.key AS TEXT) AS stale_key
FROM config
WHERE substr(value, 1, 16) <> @marker
ORDER BY config.key
LIMIT @max_rows;

-- name: ListStaleMarkers :many
SELECT DISTINCT CAST(substr(value, 1, 16) AS TEXT) AS marker
FROM config NOT INDEXED
WHERE substr(value, 1, 16) <> @marker
ORDER BY marker;

-- The rows that are not under a marker, also those that no index leads to.
-- name: CountStaleConfig :one
SELECT count(*) FROM config NOT INDEXED WHERE substr(value, 1, 16) IS NOT @marker;

-- Whether an entry that changed after a revision is not under a marker.
-- name: HasStaleConfigSince :one
SELECT CAST(EXISTS (
    SELECT 1 FROM changes JOIN config ON config.key = changes.key
    WHERE changes.revision > @after AND changes.subject = 'config' AND substr(config.value, 1, 16) <> @marker
) AS INTEGER) AS found;

-- Another form of the same value, unless somebody wrote a new one meanwhile: no change, so no revision.
-- name: ReencryptConfig :execrows
UPDATE config SET value = @value WHERE key = @key AND value = @old_value;

-- Entries whose revision is not the one that the change log gave them last.
-- name: ListMisnumberedConfig :many
SELECT config.key
FROM config LEFT JOIN changes ON changes.revision = config.revision
WHERE CASE
    WHEN changes.revision IS NULL
    THEN config.revision NOT BETWEEN 1 AND (SELECT coalesce(min(c.revision), 0) FROM changes AS c)
    ELSE changes.subject <> 'config' OR changes.op <> 'put' OR changes.key <> config.key
    END
ORDER BY config.key;

-- Entries whose key or value is no text. Such a key sorts after all text and equals none: no reader finds it.
-- name: ListUntypedConfig :many
SELECT CAST(coalesce(config.key, '') AS TEXT) AS config_key
FROM config
WHERE typeof(config.key) <> 'text' OR typeof(config.value) <> 'text'
ORDER BY config.key;

-- name: HasEncryptedConfig :one
SELECT CAST(EXISTS (SELECT 1 FROM config NOT INDEXED WHERE substr(value, 1, 4) = 'enc:') AS INTEGER) AS found;

-- The rows that are still encrypted, also those that no index leads to and those whose value is no text.
-- name: CountEncryptedConfig :one
SELECT count(*) FROM config NOT INDEXED WHERE CAST(substr(value, 1, 4) AS TEXT) = 'enc:';
