-- +goose Up
-- The tables of package task/outbox for SQLite 3.35 and later. Times are Julian days, UTC.

-- Rows that are to be sent. A row leaves it once the queue has the message.
CREATE TABLE IF NOT EXISTS chassis_outbox (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	exec_id   TEXT NOT NULL,
	task      TEXT NOT NULL,
	pool      TEXT NOT NULL,                        -- queue name or URL; empty: the relay's own
	order_key TEXT,                                 -- rows with the same one go in the order of their id
	message   TEXT NOT NULL,                        -- JSON, ASCII
	tries     INTEGER NOT NULL DEFAULT 0,           -- sends of this row alone that failed
	due       REAL,                                 -- not before; null: at once
	created   REAL NOT NULL DEFAULT (julianday('now'))
);

CREATE INDEX IF NOT EXISTS chassis_outbox_by_key ON chassis_outbox (order_key, id) WHERE order_key IS NOT NULL;

-- Rows that no queue takes, with the reason.
CREATE TABLE IF NOT EXISTS chassis_outbox_aside (
	id        INTEGER PRIMARY KEY,
	exec_id   TEXT NOT NULL,
	task      TEXT NOT NULL,
	pool      TEXT NOT NULL,
	order_key TEXT,
	message   TEXT NOT NULL,
	tries     INTEGER NOT NULL,
	created   REAL NOT NULL,
	reason    TEXT NOT NULL,
	since     REAL NOT NULL DEFAULT (julianday('now'))
);

-- What Once has done.
CREATE TABLE IF NOT EXISTS chassis_outbox_done (
	task    TEXT NOT NULL,
	exec_id TEXT NOT NULL,
	part    TEXT NOT NULL,
	done    REAL NOT NULL DEFAULT (julianday('now')),
	PRIMARY KEY (exec_id, task, part)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS chassis_outbox_done_by_time ON chassis_outbox_done (done);

-- The relay that may send: SQLite has no locks of rows.
CREATE TABLE IF NOT EXISTS chassis_outbox_relay (
	one   INTEGER PRIMARY KEY CHECK (one = 1),
	owner TEXT NOT NULL,
	until REAL NOT NULL
);
