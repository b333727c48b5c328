-- name: InsertDecision :exec
INSERT INTO decisions (id, at, actor, action, rationale, inputs, output, confidence)
VALUES (@id, @at, @actor, @action, @rationale, @inputs, @output, @confidence);

-- name: HasDecision :one
SELECT CAST(EXISTS (SELECT 1 FROM decisions WHERE id = @id) AS INTEGER) AS found;

-- name: GetDecision :one
SELECT seq, id, at, actor, action, rationale, inputs, output, confidence
FROM decisions
WHERE id = @id;

-- name: ListRecentDecisions :many
SELECT seq, id, at, actor, action, rationale, inputs, output, confidence
FROM decisions
ORDER BY at DESC, seq DESC
LIMIT @max_rows;

-- name: ListDecisionsByActor :many
SELECT seq, id, at, actor, action, rationale, inputs, output, confidence
FROM decisions
WHERE actor = @actor
ORDER BY at DESC, seq DESC
LIMIT @max_rows;

-- The newest decisions, each with what the registry says of the module that decided. Where the actor is no module, the
-- state is NULL, which its Go type reads as the zero value; a column without such a type needs the coalesce, and the cast
-- that tells sqlc its type.
-- name: ListRecentDecisionsWithModules :many
SELECT sqlc.embed(decisions), CAST(coalesce(modules.name, '') AS TEXT) AS module_name, modules.state AS module_state
FROM decisions LEFT JOIN modules ON modules.id = decisions.actor
ORDER BY decisions.at DESC, decisions.seq DESC
LIMIT @max_rows;

-- name: CountDecisions :one
SELECT count(*) FROM decisions;
