-- A number in the line of changes names one change, also when the store was put back
-- to an earlier state and gives the same numbers out again: each commit has a random
-- mark.

-- +goose Up

ALTER TABLE changes ADD COLUMN mark BIGINT NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN mark BIGINT NOT NULL DEFAULT 0;
