-- Registrations, certificates of our own authority, trust anchors.

-- +goose Up

CREATE TABLE registration_window (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    opened BIGINT  NOT NULL,
    closes BIGINT  NOT NULL
);

-- user_id is that of a granted one, which goes with its user.
CREATE TABLE registrations (
    id              TEXT   NOT NULL PRIMARY KEY,
    username        TEXT   NOT NULL,
    username_fold   TEXT   NOT NULL UNIQUE,
    pairing_code    TEXT   NOT NULL,
    password_hash   TEXT   NOT NULL,
    csr             TEXT   NOT NULL,
    context         TEXT   NOT NULL,
    roles           TEXT   NOT NULL,
    permissions     TEXT   NOT NULL,
    source          TEXT   NOT NULL CHECK (source IN ('http', 'mqtt')),
    remote          TEXT   NOT NULL,
    client_id       TEXT   NOT NULL,
    first_seen      BIGINT NOT NULL,
    last_seen       BIGINT NOT NULL,
    status          TEXT   NOT NULL CHECK (status IN ('pending', 'denied', 'granted')),
    user_id         TEXT   REFERENCES users (id) ON DELETE CASCADE,
    certificate     TEXT   NOT NULL,
    ca_certificates TEXT   NOT NULL,
    granted         BIGINT NOT NULL,
    collected       BIGINT NOT NULL
);
CREATE INDEX registrations_status ON registrations (status);
CREATE INDEX registrations_user ON registrations (user_id);

-- user_id refers to nothing: what was issued and revoked outlives the user.
CREATE TABLE issued (
    serial      TEXT    NOT NULL PRIMARY KEY,
    fingerprint TEXT    NOT NULL UNIQUE,
    authority   BIGINT  NOT NULL,
    user_id     TEXT    NOT NULL,
    username    TEXT    NOT NULL,
    replaces    TEXT    NOT NULL,
    not_before  BIGINT  NOT NULL,
    not_after   BIGINT  NOT NULL,
    issued      BIGINT  NOT NULL,
    revoked     BIGINT  NOT NULL,
    reason      INTEGER NOT NULL,
    pem         TEXT    NOT NULL
);
CREATE INDEX issued_in_order ON issued (issued, serial);
CREATE INDEX issued_user ON issued (user_id);
CREATE INDEX issued_username ON issued (username);
CREATE INDEX issued_end ON issued (not_after);
CREATE INDEX issued_revoked ON issued (authority) WHERE revoked > 0;

CREATE TABLE certificate_uses (
    sha256    TEXT   NOT NULL PRIMARY KEY,
    last_used BIGINT NOT NULL
);

-- Keys are sealed with the master key, bound to table, column and generation.
CREATE TABLE authorities (
    generation BIGINT NOT NULL PRIMARY KEY,
    chain      TEXT   NOT NULL,
    sealed_key BYTEA  NOT NULL,
    root_key   BYTEA  NOT NULL,
    created    BIGINT NOT NULL,
    crl        BIGINT NOT NULL
);

CREATE TABLE anchors (
    id         TEXT   NOT NULL PRIMARY KEY,
    subject    TEXT   NOT NULL,
    issuer     TEXT   NOT NULL,
    serial     TEXT   NOT NULL,
    not_before BIGINT NOT NULL,
    not_after  BIGINT NOT NULL,
    added      BIGINT NOT NULL,
    pem        TEXT   NOT NULL
);
