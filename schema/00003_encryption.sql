-- Encryption at rest: a registry with a row in keyset is encrypted. Then a config value that is not marked with the
-- current primary key's id is refused, whoever writes it: a forgotten plaintext write, a process that slept through a
-- rotation, an oxide-k kernel. In a registry without that row a value that starts as an encrypted one does is refused.
-- docs/format.md says what the columns and values hold.
--
-- Syntax and functions of SQLite 3.24 at most, as in migration 2.

-- The keys that values are encrypted under, wrapped by the caller's key-encryption key (KEK): one row, or none.
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
CREATE TRIGGER keyset_insert BEFORE INSERT ON keyset WHEN EXISTS (SELECT 1 FROM keyset) BEGIN
    SELECT RAISE(ABORT, 'keyset: one row');
END;
CREATE TRIGGER keyset_update BEFORE UPDATE OF one, generation, marker, kek, kek_params, wrapped ON keyset
WHEN NEW.one <> OLD.one OR NEW.generation <> OLD.generation + 1 BEGIN
    SELECT RAISE(ABORT, 'keyset: each change is the next generation');
END;
-- Without its row no value could be read any more. Decrypt empties the marker first, in the same transaction.
CREATE TRIGGER keyset_delete BEFORE DELETE ON keyset WHEN OLD.marker <> '' BEGIN
    SELECT RAISE(ABORT, 'keyset: values are encrypted under it');
END;

-- A value is text, and encrypted exactly where the registry is; after the row, since an upsert that updates needs only the
-- second of these, and what REPLACE removed comes back. (Comparing with the NULL of a missing row, or of an empty
-- marker, gives NULL.)
CREATE TRIGGER config_insert_value AFTER INSERT ON config
WHEN typeof(NEW.value) <> 'text' OR coalesce(
    substr(NEW.value, 1, 16) <> (SELECT nullif(marker, '') FROM keyset WHERE one = 1), substr(NEW.value, 1, 4) = 'enc:'
) BEGIN
    SELECT RAISE(ABORT, 'config: the value is not encrypted as this registry demands');
END;
CREATE TRIGGER config_update_value AFTER UPDATE OF value ON config
WHEN typeof(NEW.value) <> 'text' OR coalesce(
    substr(NEW.value, 1, 16) <> (SELECT nullif(marker, '') FROM keyset WHERE one = 1), substr(NEW.value, 1, 4) = 'enc:'
) BEGIN
    SELECT RAISE(ABORT, 'config: the value is not encrypted as this registry demands');
END;

-- Re-encryption is no change: an update of the value alone, to one under another marker, or to or from plaintext. It gets
-- no revision and wakes nobody. All else is as in migration 2.
DROP TRIGGER config_update;
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
