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

-- Entries page by page, so that walking all of them needs the memory of one page.
-- name: ListConfigPage :many
SELECT key, value, updated_at, revision
FROM config
WHERE key >= @first
ORDER BY key
LIMIT @page_size;

-- The writer numbers the row itself (the trigger then finds it right): RETURNING gives the value from before triggers.
-- name: UpsertConfig :one
INSERT INTO config (key, value, updated_at, revision)
VALUES (@key, @value, @updated_at, (SELECT coalesce(max(changes.revision), 0) + 1 FROM changes))
ON CONFLICT (key) DO UPDATE SET
    value      = excluded.value,
    updated_at = excluded.updated_at,
    revision   = excluded.revision
RETURNING revision;

-- name: DeleteConfig :execrows
DELETE FROM config WHERE key = @key;

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
