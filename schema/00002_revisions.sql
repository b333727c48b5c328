-- Revisions and the change log: whoever changes a row of modules or config, with whatever statement, the row gets the
-- next revision and the log a row that says so. Triggers do it, so that no writer can forget it.
--
-- Syntax and functions of SQLite 3.24 at most: one trigger that an older library cannot parse makes the whole file
-- unreadable to it, and an oxide-k kernel may bring such a library along.

-- The ledger of migrations: one row for each that was applied, written in the transaction that applied it.
CREATE TABLE migrations (
    set_name   TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL, -- SHA-256 of the file's text, lowercase hex
    applied_at TEXT    NOT NULL,
    PRIMARY KEY (set_name, number)
);

-- What is true of the registry as a whole: one row.
CREATE TABLE registry (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    id        TEXT    NOT NULL,                -- 16 random bytes, lowercase hex; copies of a file share it. The program
                                               -- gives it, in the transaction of this migration: it binds a keyset to
                                               -- the id before that transaction begins.
    log_limit INTEGER NOT NULL DEFAULT 100000 CHECK (typeof(log_limit) = 'integer' AND log_limit >= 1)
);
INSERT INTO registry (one, id) VALUES (1, '');
CREATE TRIGGER registry_insert BEFORE INSERT ON registry BEGIN
    SELECT RAISE(ABORT, 'registry: its row stays');
END;
CREATE TRIGGER registry_update BEFORE UPDATE OF one, id ON registry
WHEN NEW.one <> OLD.one OR OLD.id <> '' AND NEW.id IS NOT OLD.id BEGIN
    SELECT RAISE(ABORT, 'registry: its id stays');
END;
CREATE TRIGGER registry_delete BEFORE DELETE ON registry BEGIN
    SELECT RAISE(ABORT, 'registry: its row stays');
END;

-- The change log. Its newest row is the registry's revision and is never removed, so revisions never repeat.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY CHECK (revision > 0),
    subject  TEXT NOT NULL,                    -- 'module', 'config', 'registry', or a subsystem's own
    key      TEXT NOT NULL,
    op       TEXT NOT NULL,                    -- 'put' or 'delete'
    at       TEXT NOT NULL
);

ALTER TABLE modules ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE config  ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- changes: consecutive, append-only, bounded, never empty again. Before the insert, when REPLACE has removed nothing yet
-- and nothing is compacted; a row that comes without a revision, which SQLite then numbers, has none above 0 here.
--
-- A change of the registry as a whole may leave numbers out, up to 2^62: what was restored from a backup goes on above every
-- revision that its predecessor gave. It is always the first of the log: what was before it is removed with it, below. Its key
-- is the registry's id, so that no subsystem of that name does this by mistake.
CREATE TRIGGER changes_insert BEFORE INSERT ON changes
WHEN NEW.revision > 0 AND NEW.revision <> (SELECT coalesce(max(revision), 0) + 1 FROM changes)
 AND (NEW.subject <> 'registry'
   OR NEW.revision NOT BETWEEN (SELECT coalesce(max(revision), 0) FROM changes) + 1 AND 4611686018427387904) BEGIN
    SELECT RAISE(ABORT, 'changes: append-only, revisions are consecutive');
END;
CREATE TRIGGER changes_insert_registry BEFORE INSERT ON changes
WHEN NEW.subject = 'registry' AND NEW.key IS NOT (SELECT id FROM registry WHERE one = 1) BEGIN
    SELECT RAISE(ABORT, 'changes: the subject registry is for the registry itself');
END;
CREATE TRIGGER changes_update BEFORE UPDATE ON changes BEGIN
    SELECT RAISE(ABORT, 'changes: append-only');
END;
CREATE TRIGGER changes_delete BEFORE DELETE ON changes
WHEN OLD.revision = (SELECT max(revision) FROM changes)
  OR EXISTS (SELECT 1 FROM changes WHERE revision = OLD.revision - 1) BEGIN
    SELECT RAISE(ABORT, 'changes: the oldest go first, and the newest stays');
END;
-- In steps of 64, so that most writes touch only the end of the log.
CREATE TRIGGER changes_compact AFTER INSERT ON changes WHEN NEW.revision % 64 = 0 OR NEW.subject = 'registry' BEGIN
    DELETE FROM changes WHERE revision <= NEW.revision - (
        SELECT CASE NEW.subject WHEN 'registry' THEN 1 ELSE log_limit END FROM registry WHERE one = 1
    );
END;

-- modules. A row's identity is its id and its rowid: REPLACE would remove the row that holds a taken rowid, and UPDATE
-- OR REPLACE the row that holds a taken id, without a trace in the log, so both stay as they are. (Before an insert
-- SQLite gives a rowid that it will assign as -1: that one is no row's.)
CREATE TRIGGER modules_insert_identity BEFORE INSERT ON modules
WHEN typeof(NEW.id) <> 'text' OR EXISTS (
    SELECT 1 FROM modules WHERE rowid = NEW.rowid AND rowid >= 0 AND id IS NOT NEW.id
) BEGIN
    SELECT RAISE(ABORT, 'modules: a row needs an id that is text, and a rowid of its own');
END;
CREATE TRIGGER modules_update_identity BEFORE UPDATE ON modules
WHEN typeof(NEW.id) <> 'text' OR NEW.id IS NOT OLD.id OR NEW.rowid <> OLD.rowid BEGIN
    SELECT RAISE(ABORT, 'modules: a row keeps its id, which is text (delete and insert)');
END;
-- A writer that knows about revisions has set the next one already; for the others, oxide-k among them, the trigger does.
-- That assignment is an update too, the one that is no change: it gives the row the revision that the log's newest row,
-- about this very row, has.
CREATE TRIGGER modules_insert AFTER INSERT ON modules BEGIN
    SELECT RAISE(ABORT, 'modules: rowids are not negative') WHERE NEW.rowid < 0;
    INSERT INTO changes (subject, key, op, at) VALUES ('module', NEW.id, 'put', NEW.updated_at);
    UPDATE modules SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
CREATE TRIGGER modules_update AFTER UPDATE ON modules
WHEN NEW.revision = OLD.revision OR NOT EXISTS (
    SELECT 1 FROM changes
    WHERE revision = NEW.revision AND subject = 'module' AND key = NEW.id AND revision = (SELECT max(revision) FROM changes)
) BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('module', NEW.id, 'put', NEW.updated_at);
    UPDATE modules SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
CREATE TRIGGER modules_delete AFTER DELETE ON modules BEGIN
    INSERT INTO changes (subject, key, op, at)
    VALUES ('module', OLD.id, 'delete', strftime('%Y-%m-%dT%H:%M:%f000000+00:00', 'now'));
END;

-- config: the same.
CREATE TRIGGER config_insert_identity BEFORE INSERT ON config
WHEN typeof(NEW.key) <> 'text' OR EXISTS (
    SELECT 1 FROM config WHERE rowid = NEW.rowid AND rowid >= 0 AND key IS NOT NEW.key
) BEGIN
    SELECT RAISE(ABORT, 'config: a row needs a key that is text, and a rowid of its own');
END;
CREATE TRIGGER config_update_identity BEFORE UPDATE ON config
WHEN typeof(NEW.key) <> 'text' OR NEW.key IS NOT OLD.key OR NEW.rowid <> OLD.rowid BEGIN
    SELECT RAISE(ABORT, 'config: a row keeps its key, which is text (delete and insert)');
END;
CREATE TRIGGER config_insert AFTER INSERT ON config BEGIN
    SELECT RAISE(ABORT, 'config: rowids are not negative') WHERE NEW.rowid < 0;
    INSERT INTO changes (subject, key, op, at) VALUES ('config', NEW.key, 'put', NEW.updated_at);
    UPDATE config SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
CREATE TRIGGER config_update AFTER UPDATE ON config
WHEN NEW.revision = OLD.revision OR NOT EXISTS (
    SELECT 1 FROM changes
    WHERE revision = NEW.revision AND subject = 'config' AND key = NEW.key AND revision = (SELECT max(revision) FROM changes)
) BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('config', NEW.key, 'put', NEW.updated_at);
    UPDATE config SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
CREATE TRIGGER config_delete AFTER DELETE ON config BEGIN
    INSERT INTO changes (subject, key, op, at)
    VALUES ('config', OLD.key, 'delete', strftime('%Y-%m-%dT%H:%M:%f000000+00:00', 'now'));
END;

-- Rows that were there before are numbered by these triggers.
UPDATE modules SET updated_at = updated_at;
UPDATE config  SET updated_at = updated_at;
