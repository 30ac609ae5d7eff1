package outbox

import (
	"context"
	"database/sql"
	"fmt"
)

// Aside is a row that no queue takes.
type Aside struct {
	ID     int64
	ExecID string
	Task   string
	Pool   string
	Reason string
	Tries  int
}

// Aside returns the rows that were set aside, the oldest first, at most limit.
func (b *Box) Aside(ctx context.Context, limit int) (list []Aside, err error) {
	rows, err := b.db.QueryContext(ctx, fmt.Sprintf("SELECT id, exec_id, task, pool, reason, tries FROM %s_aside "+
		"ORDER BY id LIMIT %d", b.table, limit))
	if err != nil {
		return nil, fmt.Errorf("outbox: list what was set aside in %s: %w", b.table, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a Aside
		if err := rows.Scan(&a.ID, &a.ExecID, &a.Task, &a.Pool, &a.Reason, &a.Tries); err != nil {
			return nil, fmt.Errorf("outbox: list what was set aside in %s: %w", b.table, err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// PutBack puts a row that was set aside back into the outbox, with its exec_id, behind
// those that are there. pool is where it goes to; empty leaves it. It reports whether
// there was a row of that id.
func (b *Box) PutBack(ctx context.Context, id int64, pool string) (bool, error) {
	failed := func(err error) (bool, error) {
		return false, fmt.Errorf("outbox: put row %d back into %s: %w", id, b.table, err)
	}
	if pool != "" {
		if err := checkPool(pool); err != nil {
			return failed(err)
		}
	}
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = tx.Rollback() }()
	var execID, name, home, text string
	var key sql.NullString
	err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT exec_id, task, pool, order_key, message FROM %s_aside "+
		"WHERE id = %d", b.table, id)).Scan(&execID, &name, &home, &key, &text)
	if err == sql.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return failed(err)
	}
	if pool != "" {
		home = pool
	}
	if key.Valid {
		if b.sql.lockKey != "" {
			if _, err := tx.ExecContext(ctx, b.sql.lockKey, key.String); err != nil {
				return failed(err)
			}
		}
		_, err = tx.ExecContext(ctx, b.sql.ordered, execID, name, home, key.String, text)
	} else {
		_, err = tx.ExecContext(ctx, b.sql.insert, execID, name, home, text)
	}
	if err != nil {
		return failed(err)
	}
	result, err := tx.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s_aside WHERE id = %d", b.table, id))
	if err != nil {
		return failed(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err // another call was faster
	}
	if err := tx.Commit(); err != nil {
		return failed(err)
	}
	b.Wake()
	return true, nil
}

// Discard deletes a row that was set aside. It reports whether there was one.
func (b *Box) Discard(ctx context.Context, id int64) (bool, error) {
	result, err := b.db.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s_aside WHERE id = %d", b.table, id))
	if err != nil {
		return false, fmt.Errorf("outbox: discard row %d of %s_aside: %w", id, b.table, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
