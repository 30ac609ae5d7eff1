-- +goose Up
-- Results of Step, written with the effects of the steps. A row that is found again
-- counts it.
CREATE TABLE IF NOT EXISTS chassis_outbox_steps (
	task    VARBINARY(256) NOT NULL,
	exec_id VARBINARY(255) NOT NULL,
	lane    VARBINARY(200) NOT NULL,                -- empty: the main one
	number  INT NOT NULL,                           -- of the step in its lane, from 1
	name    VARBINARY(200) NOT NULL,
	result  MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL, -- JSON, ASCII
	done    DATETIME(6) NOT NULL,                   -- UTC
	again   INT NOT NULL DEFAULT 0,
	PRIMARY KEY (exec_id, task, lane, number),
	INDEX by_time (done)
) ENGINE = InnoDB;
