-- One text for SQLite and PostgreSQL. Times are microseconds since 1970 in UTC,
-- lists are JSON, enumerations are the words of the API.

-- +goose Up

CREATE TABLE users (
    id             TEXT    NOT NULL PRIMARY KEY,
    username       TEXT    NOT NULL UNIQUE,
    username_fold  TEXT    NOT NULL UNIQUE,
    provider       TEXT    NOT NULL,
    active         BOOLEAN NOT NULL,
    auto_generated BOOLEAN NOT NULL,
    publish_prefix TEXT    NOT NULL,
    client_ids     TEXT    NOT NULL,
    grant_types    TEXT    NOT NULL,
    password_hash  TEXT    NOT NULL,
    password_set   BIGINT  NOT NULL,
    enforce_mfa    BOOLEAN NOT NULL,
    created        BIGINT  NOT NULL,
    updated        BIGINT  NOT NULL,
    version        BIGINT  NOT NULL
);

CREATE TABLE user_fingerprints (
    sha256   TEXT    NOT NULL PRIMARY KEY,
    user_id  TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    created  BIGINT  NOT NULL,
    expires  BIGINT  NOT NULL
);
CREATE INDEX user_fingerprints_user ON user_fingerprints (user_id);

-- A private role goes with its owner. Which of the two is made first does not
-- matter: the reference is checked at the end of the transaction.
CREATE TABLE roles (
    id              TEXT    NOT NULL PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    name_fold       TEXT    NOT NULL UNIQUE,
    shared          BOOLEAN NOT NULL,
    auto_generated  BOOLEAN NOT NULL,
    owner           TEXT    REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    ldap_group_dn   TEXT    NOT NULL,
    entra_group_ids TEXT    NOT NULL,
    created         BIGINT  NOT NULL,
    updated         BIGINT  NOT NULL
);
CREATE INDEX roles_owner ON roles (owner);

CREATE TABLE permissions (
    role_id   TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    id        TEXT NOT NULL,
    resource  TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('read', 'write', 'readWrite')),
    context   TEXT NOT NULL CHECK (context IN ('mqtt', 'http')),
    effect    TEXT NOT NULL CHECK (effect IN ('allow', 'deny')),
    PRIMARY KEY (role_id, id)
);
-- The few that make an administrator; see AdminCandidates.
CREATE INDEX permissions_on_everything ON permissions (role_id)
    WHERE context = 'http' AND effect = 'allow' AND resource IN ('/#', '#', '+/#');

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
);
CREATE INDEX user_roles_role ON user_roles (role_id, user_id);

CREATE TABLE tokens (
    id          TEXT   NOT NULL PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    fingerprint TEXT   NOT NULL,
    label       TEXT   NOT NULL,
    created     BIGINT NOT NULL,
    expires     BIGINT NOT NULL
);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expires ON tokens (expires);

-- user_id refers to nothing: the row outlives the user, and is empty when the
-- change touched nobody.
CREATE TABLE changes (
    number  BIGINT NOT NULL PRIMARY KEY,
    user_id TEXT   NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX changes_at ON changes (at);

CREATE TABLE audit (
    id     BIGINT NOT NULL PRIMARY KEY,
    change BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    door   TEXT   NOT NULL,
    remote TEXT   NOT NULL,
    action TEXT   NOT NULL,
    target TEXT   NOT NULL,
    detail TEXT   NOT NULL
);

CREATE TABLE settings (
    key   TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- One row: who this store is, and the last numbers given out. Whoever takes a
-- number holds the row until the end of the transaction, which is why numbers
-- become visible in the order of their commits.
CREATE TABLE store (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id     TEXT    NOT NULL,
    epoch  BIGINT  NOT NULL,
    change BIGINT  NOT NULL,
    audit  BIGINT  NOT NULL
);
