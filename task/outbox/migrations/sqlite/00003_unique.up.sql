-- +goose Up
-- Keys that Send has taken for one task. Times are Julian days, UTC.
CREATE TABLE IF NOT EXISTS chassis_outbox_unique (
	name       TEXT PRIMARY KEY,                    -- SHA-256 of task and key
	exec_id    TEXT NOT NULL,                       -- of the task that has it
	until_done INTEGER NOT NULL,                    -- 1: free when the task is done
	ends       REAL NOT NULL                        -- free from then on
);

CREATE INDEX IF NOT EXISTS chassis_outbox_unique_by_time ON chassis_outbox_unique (ends);
