-- Changes have kinds, audit entries have types, a time that is not there is NULL,
-- the Entra ID groups of a role are a list.

-- +goose Up

-- What a change of before was about is not known: everybody hears of it.
ALTER TABLE changes RENAME COLUMN user_id TO id;
ALTER TABLE changes ADD COLUMN kind TEXT NOT NULL DEFAULT 'user';
UPDATE changes SET kind = 'any' WHERE id = '';

-- What was told in words before stands where the name of the target stands now.
ALTER TABLE audit RENAME COLUMN actor TO actor_name;
ALTER TABLE audit RENAME COLUMN target TO target_id;
ALTER TABLE audit RENAME COLUMN detail TO target_name;
ALTER TABLE audit ADD COLUMN actor_id TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN target_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN fields TEXT NOT NULL DEFAULT '[]';
UPDATE audit SET target_kind = CASE
    WHEN action LIKE 'user.%' OR action LIKE 'token.%' OR action = 'certificate.issue' THEN 'user'
    WHEN action LIKE 'role.%' THEN 'role'
    WHEN action IN ('registration.open', 'registration.lock') THEN 'registration window'
    WHEN action LIKE 'registration.%' THEN 'registration'
    WHEN action LIKE 'certificate.%' THEN 'user'
    WHEN action LIKE 'anchor.%' THEN 'trust anchor'
    WHEN action LIKE 'authority.%' THEN 'certificate authority'
    WHEN action LIKE 'retained.%' THEN 'retained messages'
    ELSE '' END;

-- A time that is not there was a number of long before 1970.

DROP INDEX tokens_expires;
DROP INDEX issued_in_order;
DROP INDEX issued_end;
DROP INDEX issued_revoked;


ALTER TABLE users ADD COLUMN password_set_at BIGINT;
ALTER TABLE users ADD COLUMN created_at BIGINT;
ALTER TABLE users ADD COLUMN updated_at BIGINT;
UPDATE users SET password_set_at = NULLIF(password_set, -62135596800000000), created_at = NULLIF(created, -62135596800000000), updated_at = NULLIF(updated, -62135596800000000);
ALTER TABLE users DROP COLUMN password_set;
ALTER TABLE users RENAME COLUMN password_set_at TO password_set;
ALTER TABLE users DROP COLUMN created;
ALTER TABLE users RENAME COLUMN created_at TO created;
ALTER TABLE users DROP COLUMN updated;
ALTER TABLE users RENAME COLUMN updated_at TO updated;

ALTER TABLE user_fingerprints ADD COLUMN created_at BIGINT;
ALTER TABLE user_fingerprints ADD COLUMN expires_at BIGINT;
UPDATE user_fingerprints SET created_at = NULLIF(created, -62135596800000000), expires_at = NULLIF(expires, -62135596800000000);
ALTER TABLE user_fingerprints DROP COLUMN created;
ALTER TABLE user_fingerprints RENAME COLUMN created_at TO created;
ALTER TABLE user_fingerprints DROP COLUMN expires;
ALTER TABLE user_fingerprints RENAME COLUMN expires_at TO expires;

ALTER TABLE roles ADD COLUMN created_at BIGINT;
ALTER TABLE roles ADD COLUMN updated_at BIGINT;
UPDATE roles SET created_at = NULLIF(created, -62135596800000000), updated_at = NULLIF(updated, -62135596800000000);
ALTER TABLE roles DROP COLUMN created;
ALTER TABLE roles RENAME COLUMN created_at TO created;
ALTER TABLE roles DROP COLUMN updated;
ALTER TABLE roles RENAME COLUMN updated_at TO updated;

ALTER TABLE tokens ADD COLUMN created_at BIGINT;
ALTER TABLE tokens ADD COLUMN expires_at BIGINT;
UPDATE tokens SET created_at = NULLIF(created, -62135596800000000), expires_at = NULLIF(expires, -62135596800000000);
ALTER TABLE tokens DROP COLUMN created;
ALTER TABLE tokens RENAME COLUMN created_at TO created;
ALTER TABLE tokens DROP COLUMN expires;
ALTER TABLE tokens RENAME COLUMN expires_at TO expires;

ALTER TABLE issued ADD COLUMN not_before_at BIGINT;
ALTER TABLE issued ADD COLUMN not_after_at BIGINT;
ALTER TABLE issued ADD COLUMN issued_at BIGINT;
ALTER TABLE issued ADD COLUMN revoked_at BIGINT;
UPDATE issued SET not_before_at = NULLIF(not_before, -62135596800000000), not_after_at = NULLIF(not_after, -62135596800000000), issued_at = NULLIF(issued, -62135596800000000), revoked_at = NULLIF(revoked, -62135596800000000);
ALTER TABLE issued DROP COLUMN not_before;
ALTER TABLE issued RENAME COLUMN not_before_at TO not_before;
ALTER TABLE issued DROP COLUMN not_after;
ALTER TABLE issued RENAME COLUMN not_after_at TO not_after;
ALTER TABLE issued DROP COLUMN issued;
ALTER TABLE issued RENAME COLUMN issued_at TO issued;
ALTER TABLE issued DROP COLUMN revoked;
ALTER TABLE issued RENAME COLUMN revoked_at TO revoked;

ALTER TABLE registrations ADD COLUMN first_seen_at BIGINT;
ALTER TABLE registrations ADD COLUMN last_seen_at BIGINT;
ALTER TABLE registrations ADD COLUMN granted_at BIGINT;
ALTER TABLE registrations ADD COLUMN collected_at BIGINT;
UPDATE registrations SET first_seen_at = NULLIF(first_seen, -62135596800000000), last_seen_at = NULLIF(last_seen, -62135596800000000), granted_at = NULLIF(granted, -62135596800000000), collected_at = NULLIF(collected, -62135596800000000);
ALTER TABLE registrations DROP COLUMN first_seen;
ALTER TABLE registrations RENAME COLUMN first_seen_at TO first_seen;
ALTER TABLE registrations DROP COLUMN last_seen;
ALTER TABLE registrations RENAME COLUMN last_seen_at TO last_seen;
ALTER TABLE registrations DROP COLUMN granted;
ALTER TABLE registrations RENAME COLUMN granted_at TO granted;
ALTER TABLE registrations DROP COLUMN collected;
ALTER TABLE registrations RENAME COLUMN collected_at TO collected;

ALTER TABLE authorities ADD COLUMN created_at BIGINT;
UPDATE authorities SET created_at = NULLIF(created, -62135596800000000);
ALTER TABLE authorities DROP COLUMN created;
ALTER TABLE authorities RENAME COLUMN created_at TO created;

ALTER TABLE anchors ADD COLUMN not_before_at BIGINT;
ALTER TABLE anchors ADD COLUMN not_after_at BIGINT;
ALTER TABLE anchors ADD COLUMN added_at BIGINT;
UPDATE anchors SET not_before_at = NULLIF(not_before, -62135596800000000), not_after_at = NULLIF(not_after, -62135596800000000), added_at = NULLIF(added, -62135596800000000);
ALTER TABLE anchors DROP COLUMN not_before;
ALTER TABLE anchors RENAME COLUMN not_before_at TO not_before;
ALTER TABLE anchors DROP COLUMN not_after;
ALTER TABLE anchors RENAME COLUMN not_after_at TO not_after;
ALTER TABLE anchors DROP COLUMN added;
ALTER TABLE anchors RENAME COLUMN added_at TO added;

CREATE INDEX tokens_expires ON tokens (expires);
CREATE INDEX issued_in_order ON issued (issued, serial);
CREATE INDEX issued_end ON issued (not_after);
CREATE INDEX issued_revoked ON issued (authority) WHERE revoked IS NOT NULL;

-- A window that was never opened, or that was locked, is no row.
DELETE FROM registration_window WHERE closes < 0;

UPDATE roles SET entra_group_ids = CASE WHEN entra_group_ids = '' THEN 'null' ELSE
    '["' || replace(replace(replace(replace(entra_group_ids, ' ', ''), '\', '\\'), '"', '\"'), ',', '","') || '"]' END;
