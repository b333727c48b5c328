-- name: InsertDecision :exec
INSERT INTO xai_decisions (id, timestamp, actor, action, rationale, inputs, output, confidence)
VALUES (@id, @timestamp, @actor, @action, @rationale, @inputs, @output, @confidence);

-- name: HasDecision :one
SELECT CAST(EXISTS (SELECT 1 FROM xai_decisions WHERE id = @id) AS INTEGER) AS found;

-- name: GetDecision :one
SELECT id, timestamp, actor, action, rationale, inputs, output, confidence
FROM xai_decisions
WHERE id = @id;

-- name: ListRecentDecisions :many
SELECT id, timestamp, actor, action, rationale, inputs, output, confidence
FROM xai_decisions
ORDER BY timestamp DESC, rowid DESC
LIMIT @max_rows;

-- name: ListDecisionsByActor :many
SELECT id, timestamp, actor, action, rationale, inputs, output, confidence
FROM xai_decisions
WHERE actor = @actor
ORDER BY timestamp DESC, rowid DESC
LIMIT @max_rows;

-- The newest decisions, each with what the registry says of the module that decided. Where the actor is no module, the
-- state is NULL, which its Go type reads as the zero value; a column without such a type needs the coalesce, and the cast
-- that tells sqlc its type.
-- name: ListRecentDecisionsWithModules :many
SELECT sqlc.embed(xai_decisions), CAST(coalesce(modules.name, '') AS TEXT) AS module_name, modules.state AS module_state
FROM xai_decisions LEFT JOIN modules ON modules.id = xai_decisions.actor
ORDER BY xai_decisions.timestamp DESC, xai_decisions.rowid DESC
LIMIT @max_rows;

-- name: CountDecisions :one
SELECT count(*) FROM xai_decisions;
