package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// Errors of the store, as the API answers them.
var (
	errNoOrder = refuse(http.StatusNotFound, "There is no order with this id.")
	errKeyUsed = refuse(http.StatusUnprocessableEntity, "This Idempotency-Key is of another order: send a new one.")
)

// Store keeps the orders, and the tasks that follow from a change with it: they are rows
// of the same transaction. SQLite and PostgreSQL take the same statements.
type Store struct {
	db  *sql.DB
	box *outbox.Box
}

const columns = "id, status, customer, items, cents, placed_at, paid_at, refunded_at"

// Place keeps an order, and sends its task to charge it. If the key is known it returns
// the order that is there, and fresh is false.
func (s *Store) Place(ctx context.Context, key string, d Draft) (o Order, fresh bool, err error) {
	draft, err := json.Marshal(d)
	if err != nil {
		return o, false, err
	}
	items, err := json.Marshal(d.Items)
	if err != nil {
		return o, false, err
	}
	id := uuid.Must(uuid.NewV7()).String() // in the order of time, so lists have an order
	digest, kept := fmt.Sprintf("%x", sha256.Sum256(draft)), ""
	if err := s.change(ctx, func(tx *sql.Tx) error { fresh = true; return s.send(ctx, tx, Charge, id) },
		`INSERT INTO orders (id, idempotency_key, digest, status, customer, items, cents, placed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (idempotency_key) DO NOTHING`,
		id, key, digest, Placed, d.Customer, string(items), d.Cents(), time.Now().UnixMilli()); err != nil {
		return o, false, err
	}
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
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+` FROM orders
		WHERE (status = $1 OR $1 = '') AND id > $2 ORDER BY id LIMIT $3`, status, after, limit)
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

// Paid notes that an order is paid, unless it was cancelled meanwhile, and sends the task
// of its invoice.
func (s *Store) Paid(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.send(ctx, tx, Invoice, id) },
		"UPDATE orders SET status = $2, paid_at = $3 WHERE id = $1 AND status = $4",
		id, Paid, time.Now().UnixMilli(), Placed)
}

// Decline notes that the payment of an order is refused, and sends a mail.
func (s *Store) Decline(ctx context.Context, id string, mail Letter) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.mail(ctx, tx, "declined-"+id, mail) },
		"UPDATE orders SET status = $2 WHERE id = $1 AND status = $3", id, Declined, Placed)
}

// Cancel cancels an order that is placed or paid, and sends its task to refund it. It
// returns the order as it is now.
func (s *Store) Cancel(ctx context.Context, id string) (Order, error) {
	if o, err := s.Get(ctx, id); err != nil {
		return o, err
	}
	if err := s.change(ctx, func(tx *sql.Tx) error { return s.send(ctx, tx, Refund, id) },
		"UPDATE orders SET status = $2 WHERE id = $1 AND status IN ($3, $4)",
		id, Cancelled, Placed, Paid); err != nil {
		return Order{}, err
	}
	return s.Get(ctx, id)
}

// Refunded notes that the money of a cancelled order is on its way back, and sends a mail.
func (s *Store) Refunded(ctx context.Context, id string, mail Letter) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.mail(ctx, tx, "cancelled-"+id, mail) },
		"UPDATE orders SET refunded_at = $2 WHERE id = $1 AND refunded_at = 0", id, time.Now().UnixMilli())
}

// change runs a statement and, if that has changed a row, then in the same transaction.
func (s *Store) change(ctx context.Context, then func(tx *sql.Tx) error, statement string, args ...any) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	res, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if err := then(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.box.Wake()
	return nil
}

// send sends a task of an order, in a transaction.
func (s *Store) send(ctx context.Context, tx *sql.Tx, def *task.Definition[ForOrder], order string) error {
	_, err := outbox.Send(ctx, s.box, tx, def, ForOrder{order}, task.ExecID(def.Name()+"-"+order))
	return err
}

// mail has a mail sent, in a transaction.
func (s *Store) mail(ctx context.Context, tx *sql.Tx, id string, mail Letter) error {
	_, err := outbox.Send(ctx, s.box, tx, Mail, mail, task.ExecID("mail-"+id))
	return err
}

// scan reads an order, and what stands behind its columns.
func scan(row interface{ Scan(...any) error }, more ...any) (o Order, err error) {
	var items string
	var placed, paid, refunded int64
	into := []any{&o.ID, &o.Status, &o.Customer, &items, &o.Cents, &placed, &paid, &refunded}
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
