-- A role has a version, as a user has: the number of the last change that touched
-- it. Who holds a compiled role knows by it whether that is still the same.

-- +goose Up

ALTER TABLE roles ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
