-- +goose Up
-- Results of Step, written with the effects of the steps.
CREATE TABLE IF NOT EXISTS chassis_outbox_steps (
	task    TEXT NOT NULL,
	exec_id TEXT NOT NULL,
	lane    TEXT NOT NULL,                          -- empty: the main one
	number  INTEGER NOT NULL,                       -- of the step in its lane, from 1
	name    TEXT NOT NULL,
	result  TEXT NOT NULL DEFAULT '',               -- JSON, ASCII
	done    REAL NOT NULL DEFAULT (julianday('now')),
	PRIMARY KEY (exec_id, task, lane, number)
);

CREATE INDEX IF NOT EXISTS chassis_outbox_steps_by_time ON chassis_outbox_steps (done);
