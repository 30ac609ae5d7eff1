-- +goose Up
CREATE TABLE orders (
    id              TEXT PRIMARY KEY,
    idempotency_key TEXT   NOT NULL UNIQUE,
    digest          TEXT   NOT NULL, -- of what was ordered with the key
    status          TEXT   NOT NULL,
    customer        TEXT   NOT NULL,
    items           TEXT   NOT NULL, -- JSON
    cents           BIGINT NOT NULL,
    placed_at       BIGINT NOT NULL, -- these are milliseconds since 1970; 0: not yet
    paid_at         BIGINT NOT NULL DEFAULT 0,
    refunded_at     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX orders_by_status ON orders (status, id);
CREATE INDEX orders_by_payment ON orders (paid_at) WHERE paid_at > 0;

CREATE TABLE invoices (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    cents    BIGINT NOT NULL,
    text     TEXT   NOT NULL
);

-- +goose Down
DROP TABLE invoices;
DROP TABLE orders;
