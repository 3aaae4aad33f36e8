-- That a user was given no grant types is told apart from that nobody chose them yet:
-- the one stays, the other gets what its first credential calls for. Who has a
-- credential and no grant types had them taken away.

-- +goose Up

UPDATE users SET grant_types = '[]' WHERE grant_types = 'null'
    AND (password_hash <> '' OR EXISTS (SELECT 1 FROM user_fingerprints f WHERE f.user_id = users.id));
