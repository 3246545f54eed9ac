-- One file holds one projection: what was read of LEDGER, and what lists need of it.
-- Everything here can be made again from LEDGER.

CREATE TABLE progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    projection TEXT NOT NULL,
    version TEXT NOT NULL,
    origin TEXT,                     -- of the ledger; unknown until its first event
    position INTEGER NOT NULL,       -- the last event taken in, the end of a command
    digest BLOB,                     -- the running digest there
    recorded_at INTEGER NOT NULL,    -- the instant of that event, microseconds since 1970 UTC
    listed INTEGER NOT NULL          -- the position that the rows of conventions stand for
) STRICT;

CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Questions have two clocks: any past state must be foldable again.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    version INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_of_a_stream ON events (stream, version);

-- Independent of the day: what a day makes of it is computed when it is asked for.
CREATE TABLE conventions (
    stream INTEGER PRIMARY KEY REFERENCES streams (id),
    summary BLOB NOT NULL,
    words TEXT NOT NULL              -- where a search looks: no capitals, no accents
) STRICT;

CREATE TABLE memberships (
    institution TEXT NOT NULL,
    stream INTEGER NOT NULL REFERENCES streams (id),
    PRIMARY KEY (institution, stream)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_of_a_convention ON memberships (stream);

-- In which streams one gives to another, and since which position: never taken back, for any past to be asked.
CREATE TABLE aids (
    payer TEXT NOT NULL,
    beneficiary TEXT NOT NULL,
    stream INTEGER NOT NULL REFERENCES streams (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (payer, beneficiary, stream)
) STRICT, WITHOUT ROWID;
