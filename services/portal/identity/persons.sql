-- Who the persons and programs are behind the opaque principals of the ledger.
-- No table of the ledger refers to this file, and nothing of it is in the ledger: what is erased here is erased.
-- Instants are seconds since 1970-01-01T00:00:00Z. Secrets are kept as SHA-256 of what was handed out.

CREATE TABLE tokens (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    name        TEXT NOT NULL UNIQUE,       -- the public part of the token, by which it is listed and revoked
    institution TEXT NOT NULL,
    principal   TEXT NOT NULL,
    rights      TEXT NOT NULL,              -- those given, by commas
    purpose     TEXT NOT NULL,
    made_by     TEXT,                       -- the principal of the administrator; none: the operator
    made_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_of_institution ON tokens (institution, made_at);

CREATE TABLE persons (
    person  TEXT PRIMARY KEY,               -- opaque, and known to this file alone
    address TEXT NOT NULL UNIQUE,           -- of electronic mail, in lower case
    name    TEXT NOT NULL,
    issuer  TEXT,                           -- who signed the person in, and as whom: once it has happened
    subject TEXT,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

-- The mapping: one principal for a person at an institution. Erasing the row erases who the principal was.
CREATE TABLE members (
    principal    TEXT PRIMARY KEY,
    person       TEXT NOT NULL REFERENCES persons ON DELETE CASCADE,
    institution  TEXT NOT NULL,
    rights       TEXT NOT NULL,             -- those given, by commas
    enters_by    TEXT NOT NULL CHECK (enters_by IN ('link', 'provider')),
    invited_at   INTEGER NOT NULL,
    entered_at   INTEGER,                   -- when the person first acted for the institution
    withdrawn_at INTEGER,
    UNIQUE (person, institution)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_of_institution ON members (institution);

-- Auditors: their principal is that of the mandate.
CREATE TABLE mandates (
    principal    TEXT PRIMARY KEY,
    person       TEXT NOT NULL REFERENCES persons ON DELETE CASCADE,
    institutions TEXT NOT NULL,             -- by commas
    first_year   INTEGER NOT NULL,
    last_year    INTEGER NOT NULL,
    purpose      TEXT NOT NULL,
    granted_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX mandates_of_person ON mandates (person);

-- What was looked at under a mandate. It outlives the mandate's row, and names nobody.
CREATE TABLE consultations (
    number      INTEGER PRIMARY KEY,
    principal   TEXT NOT NULL,
    institution TEXT NOT NULL,
    asked       TEXT NOT NULL,              -- the method and the path, with its query
    at          INTEGER NOT NULL
) STRICT;

CREATE INDEX consultations_of_institution ON consultations (institution, number);
CREATE INDEX consultations_by_instant ON consultations (at);

-- One-time links: using one deletes it.
CREATE TABLE links (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    person      TEXT NOT NULL REFERENCES persons ON DELETE CASCADE,
    made_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX links_of_person ON links (person);

CREATE TABLE sessions (
    digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
    person      TEXT NOT NULL REFERENCES persons ON DELETE CASCADE,
    entered_by  TEXT NOT NULL CHECK (entered_by IN ('link', 'provider')),
    siret       TEXT,                       -- as the provider says it
    id_token    TEXT,                       -- to sign out at the provider with
    principal   TEXT,                       -- of a member or a mandate; none until an institution is chosen
    institution TEXT,
    began_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_person ON sessions (person);

-- Sign-ins that have left for the provider and not come back.
CREATE TABLE departures (
    state    BLOB PRIMARY KEY CHECK (length(state) = 32),
    browser  BLOB NOT NULL CHECK (length(browser) = 32),
    nonce    TEXT NOT NULL,
    verifier TEXT NOT NULL,                 -- RFC 7636
    left_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX departures_by_instant ON departures (left_at);

-- Which kinds of facts need the word of two persons.
CREATE TABLE seconded (
    institution TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('payment', 'mise-en-demeure', 'resiliation')),
    PRIMARY KEY (institution, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE proposals (
    proposal     TEXT PRIMARY KEY,
    institution  TEXT NOT NULL,
    stream       TEXT NOT NULL,
    declaration  BLOB NOT NULL,             -- JSON, as it was asked for
    command      TEXT NOT NULL,             -- its command id
    proposed_by  TEXT NOT NULL,
    proposed_at  INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    recorded_at  INTEGER,
    UNIQUE (institution, command)
) STRICT, WITHOUT ROWID;

CREATE INDEX proposals_of_institution ON proposals (institution, proposed_at);

-- Whose word a proposal has: principals of persons.
CREATE TABLE words (
    proposal  TEXT NOT NULL REFERENCES proposals ON DELETE CASCADE,
    principal TEXT NOT NULL,
    given_at  INTEGER NOT NULL,
    PRIMARY KEY (proposal, principal)
) STRICT, WITHOUT ROWID;
