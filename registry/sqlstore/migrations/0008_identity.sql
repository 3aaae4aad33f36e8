-- A user whose certificates were once registered signs in with registered ones only,
-- even while there are none. A certificate that was removed signs nobody in by its
-- name, until it is registered again. Who revokes a certificate looks for those that
-- it was renewed by.

-- +goose Up

ALTER TABLE users ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE users SET pinned = TRUE WHERE EXISTS (SELECT 1 FROM user_fingerprints f WHERE f.user_id = users.id);

CREATE TABLE removed_certificates (
    sha256  TEXT   NOT NULL PRIMARY KEY,
    removed BIGINT NOT NULL
);

CREATE INDEX issued_replaces ON issued (replaces);
