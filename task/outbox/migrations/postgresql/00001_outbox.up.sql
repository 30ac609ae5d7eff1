-- +goose Up
-- The tables of package task/outbox for PostgreSQL 11 and later.

-- Rows that are to be sent. A row leaves it once the queue has the message.
CREATE TABLE IF NOT EXISTS chassis_outbox (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	exec_id   text NOT NULL,
	task      text NOT NULL,
	pool      text NOT NULL,                        -- queue name or URL; empty: the relay's own
	order_key text,                                 -- rows with the same one go in the order of their id
	message   text NOT NULL,                        -- JSON, ASCII
	tries     integer NOT NULL DEFAULT 0,           -- sends of this row alone that failed
	due       timestamptz,                          -- not before; null: at once
	created   timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX IF NOT EXISTS chassis_outbox_by_key ON chassis_outbox (order_key, id) WHERE order_key IS NOT NULL;

-- Rows that no queue takes, with the reason.
CREATE TABLE IF NOT EXISTS chassis_outbox_aside (
	id        bigint PRIMARY KEY,
	exec_id   text NOT NULL,
	task      text NOT NULL,
	pool      text NOT NULL,
	order_key text,
	message   text NOT NULL,
	tries     integer NOT NULL,
	created   timestamptz NOT NULL,
	reason    text NOT NULL,
	since     timestamptz NOT NULL DEFAULT now()
);

-- What Once has done.
CREATE TABLE IF NOT EXISTS chassis_outbox_done (
	task    text NOT NULL,
	exec_id text NOT NULL,
	part    text NOT NULL,
	done    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (exec_id, task, part)
);

CREATE INDEX IF NOT EXISTS chassis_outbox_done_by_time ON chassis_outbox_done (done);
