-- +goose Up
-- The tables of package task/outbox for MySQL 8.0.1 and MariaDB 10.6, and later.
-- Keys are binary: text would compare without case and trailing spaces.

-- Rows that are to be sent. A row leaves it once the queue has the message.
CREATE TABLE IF NOT EXISTS chassis_outbox (
	id        BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	exec_id   VARBINARY(255) NOT NULL,
	task      VARBINARY(256) NOT NULL,
	pool      VARBINARY(1024) NOT NULL,             -- queue name or URL; empty: the relay's own
	order_key VARBINARY(128),                       -- rows with the same one go in the order of their id
	message   MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL, -- JSON, ASCII
	tries     INT NOT NULL DEFAULT 0,               -- sends of this row alone that failed
	due       DATETIME(6),                          -- UTC, not before; null: at once
	created   DATETIME(6) NOT NULL,                 -- UTC
	INDEX by_key (order_key, id)
) ENGINE = InnoDB;

-- Rows that no queue takes, with the reason.
CREATE TABLE IF NOT EXISTS chassis_outbox_aside (
	id        BIGINT NOT NULL PRIMARY KEY,
	exec_id   VARBINARY(255) NOT NULL,
	task      VARBINARY(256) NOT NULL,
	pool      VARBINARY(1024) NOT NULL,
	order_key VARBINARY(128),
	message   MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
	tries     INT NOT NULL,
	created   DATETIME(6) NOT NULL,
	reason    TEXT CHARACTER SET utf8mb4 NOT NULL,
	since     DATETIME(6) NOT NULL
) ENGINE = InnoDB;

-- What Once has done. A row that is found again counts it.
CREATE TABLE IF NOT EXISTS chassis_outbox_done (
	task    VARBINARY(256) NOT NULL,
	exec_id VARBINARY(255) NOT NULL,
	part    VARBINARY(100) NOT NULL,
	done    DATETIME(6) NOT NULL,                   -- UTC
	again   INT NOT NULL DEFAULT 0,
	PRIMARY KEY (exec_id, task, part),
	INDEX by_time (done)
) ENGINE = InnoDB;

-- A lock for each slot of order keys, held from Send to the commit.
CREATE TABLE IF NOT EXISTS chassis_outbox_slots (
	slot INT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
