package outbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// take takes the key of a task for its window, in the caller's transaction. Another
// transaction that has taken it and has not ended yet is waited for. A duplicate is a
// [*task.DuplicateError], and leaves the transaction as it was: the caller may go on.
func (b *Box) take(ctx context.Context, tx Execer, out *task.Outgoing) error {
	one := out.OneOf
	if one.Key == "" {
		return nil
	}
	window, name := one.Window.Round(time.Second)/time.Second, uniqueName(out.Name, one.Key)
	done := 0
	if one.UntilDone {
		done = 1
	}
	failed := func(err error) error { return fmt.Errorf("take the key %q in %s_unique: %w", one.Key, b.table, err) }
	fresh, err := changed(tx.ExecContext(ctx, b.sql.unique(window), name, out.ExecID, done))
	if err != nil {
		return failed(err)
	}
	if fresh == 1 {
		return nil
	}
	// The window of the one that has it may be over. One statement finds out and takes it,
	// so of two senders one does.
	late, err := changed(tx.ExecContext(ctx, b.sql.uniqueLate(window), out.ExecID, done, name))
	if err != nil {
		return failed(err)
	}
	if late == 1 {
		return nil
	}
	return &task.DuplicateError{Task: out.Name, Key: one.Key, ExecID: b.holder(ctx, tx, name)}
}

// holder returns the exec_id of the task that has a key, where the transaction can be asked.
func (b *Box) holder(ctx context.Context, tx Execer, name string) (execID string) {
	q, ok := tx.(interface {
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	})
	if !ok || q.QueryRowContext(ctx, b.sql.uniqueHolder, name).Scan(&execID) != nil {
		return ""
	}
	return execID
}

// uniqueName is the primary key of a task's key. Its length does not depend on that.
func uniqueName(name, key string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + key))
	return hex.EncodeToString(sum[:])
}

// Free frees a key that [task.Unique] has taken, before its window is over: for an operator
// who knows that its task is gone. It reports whether it was taken.
func (b *Box) Free(ctx context.Context, name, key string) (bool, error) {
	n, err := changed(b.db.ExecContext(ctx, b.sql.free, uniqueName(name, key)))
	if err != nil {
		return false, fmt.Errorf("outbox: free the key %q of task %q: %w", key, name, err)
	}
	return n > 0, nil
}

// ReleaseUnique is middleware that frees the key of [task.UniqueUntilDone] when its task is
// done. Tasks without one cost no statement. [Box.Once] frees it in the transaction of the
// effect, so it needs no middleware. A process that is killed between the end of a handler
// and this leaves the key to the next delivery of the task, or to the end of its time.
func (b *Box) ReleaseUnique(next task.RawHandler) task.RawHandler {
	return func(ctx context.Context, job task.Job[json.RawMessage]) error {
		if err := next(ctx, job); err != nil || job.Unique == "" {
			return err
		}
		return b.release(ctx, b.db, job.Info)
	}
}

// release frees the key of a task that is done. Another task may have taken it meanwhile:
// then it stays.
func (b *Box) release(ctx context.Context, tx Execer, job *task.Info) error {
	if job.Unique == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, b.sql.release, uniqueName(job.Task, job.Unique), job.ExecID); err != nil {
		return fmt.Errorf("outbox: free the key %q of task %q, which is done: %w", job.Unique, job.Task, err)
	}
	return nil
}

// unique inserts a row for a window: name, exec_id, until_done.
func (s *statements) unique(window time.Duration) string {
	insert := "INSERT INTO " + s.table + "_unique (name, exec_id, until_done, ends) VALUES (?, ?, ?, " +
		s.after(window*time.Second) + ") "
	switch s.dialect {
	case MySQL: // as in done
		return insert + "ON DUPLICATE KEY UPDATE again = again + 1"
	case PostgreSQL:
		return numbered(insert + "ON CONFLICT DO NOTHING")
	}
	return insert + "ON CONFLICT DO NOTHING"
}

// uniqueLate takes over a row with a window that is over: exec_id, until_done; name.
func (s *statements) uniqueLate(window time.Duration) string {
	update := "UPDATE " + s.table + "_unique SET exec_id = ?, until_done = ?, ends = " +
		s.after(window*time.Second) + " WHERE name = ? AND ends < " + s.after(0)
	if s.dialect == PostgreSQL {
		return numbered(update)
	}
	return update
}

// uniques writes the statements about keys that do not depend on a window.
func (s *statements) uniques() {
	s.uniqueHolder = "SELECT exec_id FROM " + s.table + "_unique WHERE name = ?"
	s.free = "DELETE FROM " + s.table + "_unique WHERE name = ?"
	s.release = s.free + " AND exec_id = ? AND until_done = 1"
	if s.dialect == PostgreSQL {
		s.uniqueHolder, s.free, s.release = numbered(s.uniqueHolder), numbered(s.free), numbered(s.release)
	}
}
