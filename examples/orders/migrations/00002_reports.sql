-- +goose Up
CREATE TABLE reports (
    day      TEXT PRIMARY KEY, -- 2026-11-28
    orders   BIGINT NOT NULL,
    cents    BIGINT NOT NULL,
    refunded BIGINT NOT NULL -- cents
);
CREATE INDEX orders_by_refund ON orders (refunded_at) WHERE refunded_at > 0;

-- +goose Down
DROP INDEX orders_by_refund;
DROP TABLE reports;
