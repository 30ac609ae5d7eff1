-- +goose Up
-- Results of Step, written with the effects of the steps.
CREATE TABLE IF NOT EXISTS chassis_outbox_steps (
	task    text NOT NULL,
	exec_id text NOT NULL,
	lane    text NOT NULL,                          -- empty: the main one
	number  integer NOT NULL,                       -- of the step in its lane, from 1
	name    text NOT NULL,
	result  text NOT NULL DEFAULT '',               -- JSON, ASCII
	done    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (exec_id, task, lane, number)
);

CREATE INDEX IF NOT EXISTS chassis_outbox_steps_by_time ON chassis_outbox_steps (done);
