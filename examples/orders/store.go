package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Errors of the store, as the API answers them.
var (
	errNoOrder = refuse(http.StatusNotFound, "There is no order with this id.")
	errKeyUsed = refuse(http.StatusUnprocessableEntity, "This Idempotency-Key is of another order: send a new one.")
)

// Store keeps the orders. Each change is one statement, so there is no transaction to
// hold. SQLite and PostgreSQL take the same ones.
type Store struct{ db *sql.DB }

const columns = "id, status, customer, items, cents, unsent, placed_at, paid_at, refunded_at"

// Place keeps an order, and that its task to charge it is not sent yet. If the key is
// known it returns the order that is there, and fresh is false.
func (s *Store) Place(ctx context.Context, key string, d Draft) (o Order, fresh bool, err error) {
	id, err := uuid.NewV7() // in the order of time, so lists have an order
	if err != nil {
		return o, false, err
	}
	draft, err := json.Marshal(d)
	if err != nil {
		return o, false, err
	}
	items, err := json.Marshal(d.Items)
	if err != nil {
		return o, false, err
	}
	sum := sha256.Sum256(draft)
	digest := hex.EncodeToString(sum[:])
	fresh, err = s.change(ctx, `INSERT INTO orders
		(id, idempotency_key, digest, status, customer, items, cents, unsent, placed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (idempotency_key) DO NOTHING`,
		id.String(), key, digest, Placed, d.Customer, string(items), d.Cents(), Charge.Name(), time.Now().UnixMilli())
	if err != nil {
		return o, false, err
	}
	var kept string
	row := s.db.QueryRowContext(ctx, "SELECT "+columns+", digest FROM orders WHERE idempotency_key = $1", key)
	if o, err = scan(row, &kept); err == nil && kept != digest {
		err = errKeyUsed
	}
	return o, fresh, err
}

// Get returns an order.
func (s *Store) Get(ctx context.Context, id string) (Order, error) {
	if !plain(id) {
		return Order{}, errNoOrder
	}
	return scan(s.db.QueryRowContext(ctx, "SELECT "+columns+" FROM orders WHERE id = $1", id))
}

// List returns orders of a status, or of any if it is empty, that come after an id.
func (s *Store) List(ctx context.Context, status Status, after string, limit int) ([]Order, error) {
	return s.query(ctx, "WHERE (status = $1 OR $1 = '') AND id > $2 ORDER BY id LIMIT $3", status, after, limit)
}

// Unsent returns orders that were placed before a time and still need a task.
func (s *Store) Unsent(ctx context.Context, before time.Time, limit int) ([]Order, error) {
	return s.query(ctx, "WHERE unsent <> '' AND placed_at < $1 ORDER BY id LIMIT $2", before.UnixMilli(), limit)
}

// Sent notes that a task of an order is on the queue.
func (s *Store) Sent(ctx context.Context, id, task string) error {
	_, err := s.change(ctx, "UPDATE orders SET unsent = '' WHERE id = $1 AND unsent = $2", id, task)
	return err
}

// Paid notes that an order is paid, unless it was cancelled meanwhile.
func (s *Store) Paid(ctx context.Context, id string) error {
	_, err := s.change(ctx, "UPDATE orders SET status = $2, paid_at = $3 WHERE id = $1 AND status = $4",
		id, Paid, time.Now().UnixMilli(), Placed)
	return err
}

// Decline notes that the payment of an order is refused.
func (s *Store) Decline(ctx context.Context, id string) error {
	_, err := s.change(ctx, "UPDATE orders SET status = $2 WHERE id = $1 AND status = $3", id, Declined, Placed)
	return err
}

// Cancel cancels an order that is placed or paid, and keeps that its task to refund it is
// not sent yet. It returns the order as it is now.
func (s *Store) Cancel(ctx context.Context, id string) (Order, error) {
	if o, err := s.Get(ctx, id); err != nil {
		return o, err
	}
	if _, err := s.change(ctx, "UPDATE orders SET status = $2, unsent = $3 WHERE id = $1 AND status IN ($4, $5)",
		id, Cancelled, Refund.Name(), Placed, Paid); err != nil {
		return Order{}, err
	}
	return s.Get(ctx, id)
}

// Refunded notes that the money of a cancelled order is on its way back.
func (s *Store) Refunded(ctx context.Context, id string) error {
	_, err := s.change(ctx, "UPDATE orders SET refunded_at = $2 WHERE id = $1 AND refunded_at = 0",
		id, time.Now().UnixMilli())
	return err
}

// change runs a statement, and reports whether it has changed a row.
func (s *Store) change(ctx context.Context, statement string, args ...any) (bool, error) {
	res, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func (s *Store) query(ctx context.Context, where string, args ...any) ([]Order, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM orders "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	orders := []Order{}
	for rows.Next() {
		o, err := scan(rows)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}

// scan reads an order, and what stands behind its columns.
func scan(row interface{ Scan(...any) error }, more ...any) (o Order, err error) {
	var items string
	var placed, paid, refunded int64
	into := []any{&o.ID, &o.Status, &o.Customer, &items, &o.Cents, &o.Unsent, &placed, &paid, &refunded}
	err = row.Scan(append(into, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return o, errNoOrder
	}
	if err != nil {
		return o, err
	}
	o.PlacedAt, o.PaidAt, o.RefundedAt = timeOf(placed), timeOf(paid), timeOf(refunded)
	return o, json.Unmarshal([]byte(items), &o.Items)
}

// timeOf returns the time of a column; 0 is the zero time.
func timeOf(milliseconds int64) time.Time {
	if milliseconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds).UTC()
}
