-- A registry that lost its own row has an id that no keyset is bound to.
-- name: GetKeyset :one
SELECT CAST(coalesce(registry.id, '') AS TEXT) AS registry_id, keyset.generation, keyset.marker, keyset.kek, keyset.kek_params, keyset.wrapped, keyset.scrub
FROM keyset LEFT JOIN registry ON registry.one = keyset.one
WHERE keyset.one = 1;

-- name: InsertKeyset :exec
INSERT INTO keyset (one, generation, marker, kek, kek_params, wrapped, scrub)
VALUES (1, @generation, @marker, @kek, @kek_params, @wrapped, @scrub);

-- The next generation, unless another process was faster: then it changes no row.
-- name: UpdateKeyset :execrows
UPDATE keyset
SET generation = generation + 1,
    marker     = @marker,
    kek        = @kek,
    kek_params = @kek_params,
    wrapped    = @wrapped
WHERE one = 1 AND generation = @generation AND wrapped = @old_wrapped;

-- From here on values are plaintext again; the row can go.
-- name: ReleaseKeyset :exec
UPDATE keyset SET generation = generation + 1, marker = '' WHERE one = 1;

-- name: DeleteKeyset :exec
DELETE FROM keyset WHERE one = 1;

-- name: ClearScrub :exec
UPDATE keyset SET scrub = 0 WHERE one = 1;
