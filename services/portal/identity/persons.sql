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
