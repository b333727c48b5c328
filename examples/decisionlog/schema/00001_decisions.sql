-- The decisions: who decided what, when and why, from what, with what result, and how sure of it. Append-only: a row is
-- inserted once, and neither changed nor removed by any statement that writes rows.
--
-- The table and its first index are oxide-k's own, as its kernel makes them. A file that it wrote has them already, with its rows:
-- these are kept, and what follows is added. The set is named xai because the names of a set's tables start with the set's name.
--
-- Syntax and functions of SQLite 3.24 at most: one trigger that an older library cannot parse makes the whole file unreadable to it.

CREATE TABLE IF NOT EXISTS xai_decisions (
    id         TEXT PRIMARY KEY, -- a UUID, lowercase with hyphens
    timestamp  TEXT NOT NULL,    -- RFC 3339 in UTC; fractional digits as needed, and then +00:00
    actor      TEXT NOT NULL,    -- a module's id, or any other name
    action     TEXT NOT NULL,
    rationale  TEXT NOT NULL,
    inputs     TEXT NOT NULL,    -- JSON; null for none
    output     TEXT NOT NULL,    -- the same
    confidence REAL NOT NULL     -- 0 to 1, with the precision of 32 bits
);
CREATE INDEX IF NOT EXISTS idx_xai_actor_time ON xai_decisions (actor, timestamp DESC);

-- Newest first, of everybody. The text order of such timestamps is their order in time, whatever number of fractional digits they
-- have, because + comes before the point, and before the digits. (Of one moment the form with fewer digits counts as the earlier.)
-- Where they are the same, the rowid tells which was inserted first; VACUUM may change rowids, but not their order.
CREATE INDEX idx_xai_time ON xai_decisions (timestamp);

-- Append-only. REPLACE removes the row that is in its way without firing a DELETE trigger, and OR IGNORE would keep quiet about it,
-- so this comes before either: a taken id is refused, and so is any rowid but the next. (Before an insert SQLite gives a rowid that
-- it will assign as -1; afterwards there is none below 1.) No later write could mend a row that its readers refuse, so it does not
-- get in: oxide-k would read none of the others either.
CREATE TRIGGER xai_decisions_insert BEFORE INSERT ON xai_decisions BEGIN
    SELECT RAISE(ABORT, 'xai_decisions: append-only, each with an id of its own, one after the other')
    WHERE EXISTS (SELECT 1 FROM xai_decisions WHERE id = NEW.id)
       OR NEW.rowid <> -1 AND NEW.rowid <> (SELECT coalesce(max(rowid), 0) + 1 FROM xai_decisions);
    SELECT RAISE(ABORT, 'xai_decisions: not a decision that can be read')
    WHERE NOT (
        typeof(NEW.id) = 'text'
        AND NEW.id GLOB '????????-????-????-????-????????????' AND NEW.id NOT GLOB '*[^-0-9a-f]*'
        AND length(replace(NEW.id, '-', '')) = 32
        AND typeof(NEW.timestamp) = 'text'
        AND strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.timestamp, 1, 19)) IS substr(NEW.timestamp, 1, 19)
        AND (substr(NEW.timestamp, 20) = '+00:00'
             OR length(NEW.timestamp) BETWEEN 27 AND 35 AND substr(NEW.timestamp, 20) GLOB '.[0-9]*+00:00'
             AND substr(NEW.timestamp, 21, length(NEW.timestamp) - 26) NOT GLOB '*[^0-9]*')
        AND typeof(NEW.actor) = 'text' AND typeof(NEW.action) = 'text' AND typeof(NEW.rationale) = 'text'
        AND typeof(NEW.inputs) = 'text' AND json_valid(NEW.inputs)
        AND typeof(NEW.output) = 'text' AND json_valid(NEW.output)
        AND typeof(NEW.confidence) = 'real' AND NEW.confidence BETWEEN 0 AND 1
    );
END;
CREATE TRIGGER xai_decisions_rowid AFTER INSERT ON xai_decisions WHEN NEW.rowid < 1 BEGIN
    SELECT RAISE(ABORT, 'xai_decisions: append-only, one after the other');
END;
CREATE TRIGGER xai_decisions_update BEFORE UPDATE ON xai_decisions BEGIN
    SELECT RAISE(ABORT, 'xai_decisions: append-only');
END;
CREATE TRIGGER xai_decisions_delete BEFORE DELETE ON xai_decisions BEGIN
    SELECT RAISE(ABORT, 'xai_decisions: append-only');
END;

-- The registry's change log tells whoever follows it, under a subject of this set's own; the log gives the revision. Rows that were
-- there before are not in it.
CREATE TRIGGER xai_decisions_log AFTER INSERT ON xai_decisions BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('decisions', NEW.id, 'put', NEW.timestamp);
END;
