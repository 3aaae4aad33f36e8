-- A role has a permission once: of several that are the same the first one stays.

-- +goose Up

DELETE FROM permissions WHERE (role_id, id) NOT IN
    (SELECT role_id, MIN(id) FROM permissions GROUP BY role_id, resource, operation, context, effect);
