-- index sqlite_autoindex_config_1
-- index sqlite_autoindex_migrations_1
-- index sqlite_autoindex_modules_1
-- table changes
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY CHECK (revision > 0),
    subject  TEXT NOT NULL,                    -- 'module', 'config', 'registry', or a subsystem's own
    key      TEXT NOT NULL,
    op       TEXT NOT NULL,                    -- 'put' or 'delete'
    at       TEXT NOT NULL
);
-- table config
CREATE TABLE config (
    key        TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at TEXT NOT NULL
, revision INTEGER NOT NULL DEFAULT 0);
-- table keyset
CREATE TABLE keyset (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL CHECK (typeof(generation) = 'integer' AND generation > 0), -- grows by one with each change
    marker     TEXT    NOT NULL CHECK (typeof(marker) = 'text'),  -- what values start with: enc:v1:<primary key's id>:
    kek        TEXT    NOT NULL CHECK (typeof(kek) = 'text'),     -- the KEK's kind
    kek_params TEXT    NOT NULL CHECK (typeof(kek_params) = 'text'),
    wrapped    BLOB    NOT NULL CHECK (typeof(wrapped) = 'blob'),
    scrub      INTEGER NOT NULL DEFAULT 0 CHECK (typeof(scrub) = 'integer' AND scrub IN (0, 1)) -- 1 while free pages or
                                                                                                -- the WAL may hold plaintext
);
-- table migrations
CREATE TABLE migrations (
    set_name   TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL, -- SHA-256 of the file's text, lowercase hex
    applied_at TEXT    NOT NULL,
    PRIMARY KEY (set_name, number)
);
-- table modules
CREATE TABLE modules (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    description TEXT,
    updated_at  TEXT NOT NULL
, revision INTEGER NOT NULL DEFAULT 0);
-- table registry
CREATE TABLE registry (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    id        TEXT    NOT NULL,                -- 16 random bytes, lowercase hex; copies of a file share it. The program
                                               -- gives it, in the transaction of this migration: it binds a keyset to
                                               -- the id before that transaction begins.
    log_limit INTEGER NOT NULL DEFAULT 100000 CHECK (typeof(log_limit) = 'integer' AND log_limit >= 1)
);
-- trigger changes_compact
CREATE TRIGGER changes_compact AFTER INSERT ON changes WHEN NEW.revision % 64 = 0 OR NEW.subject = 'registry' BEGIN
    DELETE FROM changes WHERE revision <= NEW.revision - (
        SELECT CASE NEW.subject WHEN 'registry' THEN 1 ELSE log_limit END FROM registry WHERE one = 1
    );
END;
-- trigger changes_delete
CREATE TRIGGER changes_delete BEFORE DELETE ON changes
WHEN OLD.revision = (SELECT max(revision) FROM changes)
  OR EXISTS (SELECT 1 FROM changes WHERE revision = OLD.revision - 1) BEGIN
    SELECT RAISE(ABORT, 'changes: the oldest go first, and the newest stays');
END;
-- trigger changes_insert
CREATE TRIGGER changes_insert BEFORE INSERT ON changes
WHEN NEW.revision > 0 AND NEW.revision <> (SELECT coalesce(max(revision), 0) + 1 FROM changes)
 AND (NEW.subject <> 'registry'
   OR NEW.revision NOT BETWEEN (SELECT coalesce(max(revision), 0) FROM changes) + 1 AND 4611686018427387904) BEGIN
    SELECT RAISE(ABORT, 'changes: append-only, revisions are consecutive');
END;
-- trigger changes_insert_registry
CREATE TRIGGER changes_insert_registry BEFORE INSERT ON changes
WHEN NEW.subject = 'registry' AND NEW.key IS NOT (SELECT id FROM registry WHERE one = 1) BEGIN
    SELECT RAISE(ABORT, 'changes: the subject registry is for the registry itself');
END;
-- trigger changes_update
CREATE TRIGGER changes_update BEFORE UPDATE ON changes BEGIN
    SELECT RAISE(ABORT, 'changes: append-only');
END;
-- trigger config_delete
CREATE TRIGGER config_delete AFTER DELETE ON config BEGIN
    INSERT INTO changes (subject, key, op, at)
    VALUES ('config', OLD.key, 'delete', strftime('%Y-%m-%dT%H:%M:%f000000+00:00', 'now'));
END;
-- trigger config_insert
CREATE TRIGGER config_insert AFTER INSERT ON config BEGIN
    SELECT RAISE(ABORT, 'config: rowids are not negative') WHERE NEW.rowid < 0;
    INSERT INTO changes (subject, key, op, at) VALUES ('config', NEW.key, 'put', NEW.updated_at);
    UPDATE config SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
-- trigger config_insert_identity
CREATE TRIGGER config_insert_identity BEFORE INSERT ON config
WHEN typeof(NEW.key) <> 'text' OR EXISTS (
    SELECT 1 FROM config WHERE rowid = NEW.rowid AND rowid >= 0 AND key IS NOT NEW.key
) BEGIN
    SELECT RAISE(ABORT, 'config: a row needs a key that is text, and a rowid of its own');
END;
-- trigger config_insert_value
CREATE TRIGGER config_insert_value AFTER INSERT ON config
WHEN typeof(NEW.value) <> 'text' OR coalesce(
    substr(NEW.value, 1, 16) <> (SELECT nullif(marker, '') FROM keyset WHERE one = 1), substr(NEW.value, 1, 4) = 'enc:'
) BEGIN
    SELECT RAISE(ABORT, 'config: the value is not encrypted as this registry demands');
END;
-- trigger config_update
CREATE TRIGGER config_update AFTER UPDATE ON config
WHEN CASE
    WHEN NEW.revision <> OLD.revision THEN NOT EXISTS (
        SELECT 1 FROM changes
        WHERE revision = NEW.revision AND subject = 'config' AND key = NEW.key AND revision = (SELECT max(revision) FROM changes)
    )
    WHEN NEW.updated_at IS NOT OLD.updated_at OR substr(NEW.value, 1, 16) IS substr(OLD.value, 1, 16) THEN 1
    ELSE substr(OLD.value, 1, 4) <> 'enc:' AND substr(NEW.value, 1, 4) <> 'enc:'
    END
BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('config', NEW.key, 'put', NEW.updated_at);
    UPDATE config SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
-- trigger config_update_identity
CREATE TRIGGER config_update_identity BEFORE UPDATE ON config
WHEN typeof(NEW.key) <> 'text' OR NEW.key IS NOT OLD.key OR NEW.rowid <> OLD.rowid BEGIN
    SELECT RAISE(ABORT, 'config: a row keeps its key, which is text (delete and insert)');
END;
-- trigger config_update_value
CREATE TRIGGER config_update_value AFTER UPDATE OF value ON config
WHEN typeof(NEW.value) <> 'text' OR coalesce(
    substr(NEW.value, 1, 16) <> (SELECT nullif(marker, '') FROM keyset WHERE one = 1), substr(NEW.value, 1, 4) = 'enc:'
) BEGIN
    SELECT RAISE(ABORT, 'config: the value is not encrypted as this registry demands');
END;
-- trigger keyset_delete
CREATE TRIGGER keyset_delete BEFORE DELETE ON keyset WHEN OLD.marker <> '' BEGIN
    SELECT RAISE(ABORT, 'keyset: values are encrypted under it');
END;
-- trigger keyset_insert
CREATE TRIGGER keyset_insert BEFORE INSERT ON keyset WHEN EXISTS (SELECT 1 FROM keyset) BEGIN
    SELECT RAISE(ABORT, 'keyset: one row');
END;
-- trigger keyset_update
CREATE TRIGGER keyset_update BEFORE UPDATE OF one, generation, marker, kek, kek_params, wrapped ON keyset
WHEN NEW.one <> OLD.one OR NEW.generation <> OLD.generation + 1 BEGIN
    SELECT RAISE(ABORT, 'keyset: each change is the next generation');
END;
-- trigger modules_delete
CREATE TRIGGER modules_delete AFTER DELETE ON modules BEGIN
    INSERT INTO changes (subject, key, op, at)
    VALUES ('module', OLD.id, 'delete', strftime('%Y-%m-%dT%H:%M:%f000000+00:00', 'now'));
END;
-- trigger modules_insert
CREATE TRIGGER modules_insert AFTER INSERT ON modules BEGIN
    SELECT RAISE(ABORT, 'modules: rowids are not negative') WHERE NEW.rowid < 0;
    INSERT INTO changes (subject, key, op, at) VALUES ('module', NEW.id, 'put', NEW.updated_at);
    UPDATE modules SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
-- trigger modules_insert_identity
CREATE TRIGGER modules_insert_identity BEFORE INSERT ON modules
WHEN typeof(NEW.id) <> 'text' OR EXISTS (
    SELECT 1 FROM modules WHERE rowid = NEW.rowid AND rowid >= 0 AND id IS NOT NEW.id
) BEGIN
    SELECT RAISE(ABORT, 'modules: a row needs an id that is text, and a rowid of its own');
END;
-- trigger modules_update
CREATE TRIGGER modules_update AFTER UPDATE ON modules
WHEN NEW.revision = OLD.revision OR NOT EXISTS (
    SELECT 1 FROM changes
    WHERE revision = NEW.revision AND subject = 'module' AND key = NEW.id AND revision = (SELECT max(revision) FROM changes)
) BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('module', NEW.id, 'put', NEW.updated_at);
    UPDATE modules SET revision = last_insert_rowid() WHERE rowid = NEW.rowid AND revision <> last_insert_rowid();
END;
-- trigger modules_update_identity
CREATE TRIGGER modules_update_identity BEFORE UPDATE ON modules
WHEN typeof(NEW.id) <> 'text' OR NEW.id IS NOT OLD.id OR NEW.rowid <> OLD.rowid BEGIN
    SELECT RAISE(ABORT, 'modules: a row keeps its id, which is text (delete and insert)');
END;
-- trigger registry_delete
CREATE TRIGGER registry_delete BEFORE DELETE ON registry BEGIN
    SELECT RAISE(ABORT, 'registry: its row stays');
END;
-- trigger registry_insert
CREATE TRIGGER registry_insert BEFORE INSERT ON registry BEGIN
    SELECT RAISE(ABORT, 'registry: its row stays');
END;
-- trigger registry_update
CREATE TRIGGER registry_update BEFORE UPDATE OF one, id ON registry
WHEN NEW.one <> OLD.one OR OLD.id <> '' AND NEW.id IS NOT OLD.id BEGIN
    SELECT RAISE(ABORT, 'registry: its id stays');
END;
-- columns of changes: cid, name, type, not null, default, primary key, hidden
--   "0" "revision" "INTEGER" "0" NULL "1" "0"
--   "1" "subject" "TEXT" "1" NULL "0" "0"
--   "2" "key" "TEXT" "1" NULL "0" "0"
--   "3" "op" "TEXT" "1" NULL "0" "0"
--   "4" "at" "TEXT" "1" NULL "0" "0"
-- columns of config: cid, name, type, not null, default, primary key, hidden
--   "0" "key" "TEXT" "0" NULL "1" "0"
--   "1" "value" "TEXT" "1" NULL "0" "0"
--   "2" "updated_at" "TEXT" "1" NULL "0" "0"
--   "3" "revision" "INTEGER" "1" "0" "0" "0"
-- columns of keyset: cid, name, type, not null, default, primary key, hidden
--   "0" "one" "INTEGER" "0" NULL "1" "0"
--   "1" "generation" "INTEGER" "1" NULL "0" "0"
--   "2" "marker" "TEXT" "1" NULL "0" "0"
--   "3" "kek" "TEXT" "1" NULL "0" "0"
--   "4" "kek_params" "TEXT" "1" NULL "0" "0"
--   "5" "wrapped" "BLOB" "1" NULL "0" "0"
--   "6" "scrub" "INTEGER" "1" "0" "0" "0"
-- columns of migrations: cid, name, type, not null, default, primary key, hidden
--   "0" "set_name" "TEXT" "1" NULL "1" "0"
--   "1" "number" "INTEGER" "1" NULL "2" "0"
--   "2" "name" "TEXT" "1" NULL "0" "0"
--   "3" "checksum" "TEXT" "1" NULL "0" "0"
--   "4" "applied_at" "TEXT" "1" NULL "0" "0"
-- columns of modules: cid, name, type, not null, default, primary key, hidden
--   "0" "id" "TEXT" "0" NULL "1" "0"
--   "1" "name" "TEXT" "1" NULL "0" "0"
--   "2" "version" "TEXT" "1" NULL "0" "0"
--   "3" "kind" "TEXT" "1" NULL "0" "0"
--   "4" "state" "TEXT" "1" NULL "0" "0"
--   "5" "description" "TEXT" "0" NULL "0" "0"
--   "6" "updated_at" "TEXT" "1" NULL "0" "0"
--   "7" "revision" "INTEGER" "1" "0" "0" "0"
-- columns of registry: cid, name, type, not null, default, primary key, hidden
--   "0" "one" "INTEGER" "0" NULL "1" "0"
--   "1" "id" "TEXT" "1" NULL "0" "0"
--   "2" "log_limit" "INTEGER" "1" "100000" "0" "0"
