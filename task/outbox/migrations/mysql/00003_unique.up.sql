-- +goose Up
-- Keys that Send has taken for one task. A second Send counts in its row.
CREATE TABLE IF NOT EXISTS chassis_outbox_unique (
	name       VARBINARY(64) NOT NULL PRIMARY KEY,  -- SHA-256 of task and key
	exec_id    VARBINARY(255) NOT NULL,             -- of the task that has it
	until_done INT NOT NULL,                        -- 1: free when the task is done
	ends       DATETIME(6) NOT NULL,                -- UTC, free from then on
	again      INT NOT NULL DEFAULT 0,
	INDEX by_time (ends)
) ENGINE = InnoDB;
