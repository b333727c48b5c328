-- The decisions: who decided what, when and why, from what, with what result, and how sure of it. Append-only: a row is
-- inserted once, and neither changed nor removed by any statement that writes rows, as long as SQLite's checks are on. So
-- what could not be read back is refused here; no later write could mend it.
--
-- The set's name is decisions, and the names of its tables start with it. Syntax and functions of SQLite 3.24 at most: one
-- trigger that an older library cannot parse makes the whole file unreadable to it.

CREATE TABLE decisions (
    seq        INTEGER PRIMARY KEY CHECK (seq > 0), -- the order of insertion, which breaks ties of at; VACUUM keeps it
    id         TEXT NOT NULL UNIQUE CHECK (typeof(id) = 'text' AND id <> ''),
    at         TEXT NOT NULL CHECK ( -- RFC 3339 in UTC with nine fractional digits: text order is time order
        strftime('%Y-%m-%dT%H:%M:%S', substr(at, 1, 19)) IS substr(at, 1, 19)
        AND substr(at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]+00:00'
    ),
    actor      TEXT NOT NULL CHECK (typeof(actor) = 'text' AND actor <> ''), -- a module's id, or any other name
    action     TEXT NOT NULL CHECK (typeof(action) = 'text' AND action <> ''),
    rationale  TEXT NOT NULL CHECK (typeof(rationale) = 'text'),
    inputs     TEXT NOT NULL CHECK (typeof(inputs) = 'text' AND json_valid(inputs)),
    output     TEXT NOT NULL CHECK (typeof(output) = 'text' AND json_valid(output)),
    confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1) -- text and blobs sort after 1; NaN comes as NULL
);

-- Newest first, of everybody and of one actor. Each ends with seq, as every index ends with the rowid.
CREATE INDEX decisions_by_time  ON decisions (at);
CREATE INDEX decisions_by_actor ON decisions (actor, at);

-- REPLACE removes the row that is in its way without firing a DELETE trigger, and OR IGNORE would keep quiet about it, so
-- this comes before either: a taken id is refused, and so is any seq but the next. (Before an insert SQLite gives a seq
-- that it will assign as -1.)
CREATE TRIGGER decisions_insert BEFORE INSERT ON decisions
WHEN EXISTS (SELECT 1 FROM decisions WHERE id = NEW.id)
  OR NEW.seq > 0 AND NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM decisions) BEGIN
    SELECT RAISE(ABORT, 'decisions: append-only, each with an id of its own, one after the other');
END;
CREATE TRIGGER decisions_update BEFORE UPDATE ON decisions BEGIN
    SELECT RAISE(ABORT, 'decisions: append-only');
END;
CREATE TRIGGER decisions_delete BEFORE DELETE ON decisions BEGIN
    SELECT RAISE(ABORT, 'decisions: append-only');
END;

-- The registry's change log tells whoever follows it, under a subject of this set's own; the log gives the revision.
CREATE TRIGGER decisions_log AFTER INSERT ON decisions BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('decisions', NEW.id, 'put', NEW.at);
END;
