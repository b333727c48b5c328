-- name: GetRegistry :one
SELECT id, log_limit FROM registry WHERE one = 1;

-- name: SetLogLimit :exec
UPDATE registry SET log_limit = @log_limit WHERE one = 1;
