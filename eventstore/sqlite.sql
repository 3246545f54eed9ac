-- The ledger's own file. Append-only by its own rules: nothing here is ever
-- updated or deleted, whoever asks.
--
-- One thing the rules cannot see: INSERT OR REPLACE deletes without asking the
-- triggers, unless the connection has said PRAGMA recursive_triggers = ON. A guard on
-- every INSERT would see it, and costs a third of what writing a row does. So streams
-- and meta, where rows are few, have it; an event or a command so replaced by
-- somebody with a shell is found at read or by verify, and named by its position.
--
-- An event is kept as one frame, a MessagePack array
--     [position, stream, version, ordinal, count, body, digest, recorded_at, check]
-- so that a page of events is one concatenation here and one decoding there,
-- and every value that a reader is given is covered by the check at its end.
-- body is in it byte for byte as it was sealed. The other columns are keys to
-- find frames by; people with a shell read the view log.

CREATE TABLE meta (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    origin         TEXT    NOT NULL
) STRICT;

CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT;

CREATE TABLE events (
    position  INTEGER PRIMARY KEY CHECK (position > 0),
    stream_id INTEGER NOT NULL,
    version   INTEGER NOT NULL CHECK (version > 0),
    size      INTEGER NOT NULL,  -- of body, in bytes: what the view log cuts it out by
    frame     BLOB    NOT NULL,
    UNIQUE (stream_id, version)
) STRICT;

-- Keyed by the id first: ids are made in the order of time, so new rows land together.
CREATE TABLE commands (
    command_id     BLOB    NOT NULL CHECK (length(command_id) = 16),
    owner          TEXT    NOT NULL,
    body_digest    BLOB    NOT NULL CHECK (length(body_digest) = 32),
    first_position INTEGER NOT NULL,
    count          INTEGER NOT NULL CHECK (count > 0),
    checked        INTEGER NOT NULL,  -- crc32 of the other columns
    PRIMARY KEY (command_id, owner)
) STRICT, WITHOUT ROWID;

-- After body a frame has 49 bytes: digest, recorded_at and check, each with its MessagePack marker.
CREATE VIEW log AS
    SELECT events.position, streams.name AS stream, events.version,
           CAST(substr(events.frame, -49 - events.size, events.size) AS TEXT) AS body,
           lower(hex(substr(events.frame, -47, 32))) AS digest
    FROM events JOIN streams ON streams.id = events.stream_id;

CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never updated'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TRIGGER commands_are_never_updated BEFORE UPDATE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never updated'); END;
CREATE TRIGGER commands_are_never_deleted BEFORE DELETE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never deleted'); END;

CREATE TRIGGER streams_are_never_updated BEFORE UPDATE ON streams
BEGIN SELECT RAISE(ABORT, 'streams are never updated'); END;
CREATE TRIGGER streams_are_never_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'streams are never deleted'); END;
CREATE TRIGGER streams_are_never_replaced BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'streams are never replaced'); END;

CREATE TRIGGER meta_is_never_updated BEFORE UPDATE ON meta
BEGIN SELECT RAISE(ABORT, 'meta is never updated'); END;
CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'meta is never deleted'); END;
CREATE TRIGGER meta_is_never_replaced BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta)
BEGIN SELECT RAISE(ABORT, 'meta is never replaced'); END;
