package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"weak"

	"github.com/sambatech/chassis/task"
)

// ErrTwiceInOneAttempt says that a handler called [Box.Once] a second time for the same
// part: the second effect would be left out in silence. Name the parts with [Part].
var ErrTwiceInOneAttempt = errors.New("outbox: Once was called twice for one part by one attempt: name the parts " +
	"with outbox.Part")

// OnceOption changes one call of [Box.Once].
type OnceOption func(*once)

type once struct {
	part string
	tx   *sql.TxOptions
}

// Part names one of several effects of a task, each in a transaction of its own. At
// most 100 bytes. It must be the same in every attempt.
func Part(name string) OnceOption { return func(o *once) { o.part = name } }

// TxOptions are those of the transaction; the default is the database's.
func TxOptions(opts *sql.TxOptions) OnceOption { return func(o *once) { o.tx = opts } }

const maxPart = 100

// Once runs effect in a transaction, together with the note that the task has been
// done. If an earlier delivery of the task has committed, it runs nothing and returns
// nil, and the handler's return deletes the message. Two deliveries at once wait for each
// other. An error of effect, or a panic, rolls both back.
//
// The note is kept by task name and exec_id, for [Settings].Retention. What effect does
// outside of tx is not undone: calls of other services carry job.ExecID as their
// idempotency key.
//
// An error of the commit does not say whether it happened; the next attempt finds out.
func (b *Box) Once(ctx context.Context, job *task.Info, effect func(tx *sql.Tx) error, opts ...OnceOption) error {
	var o once
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case job == nil:
		return errors.New("outbox: Once needs the job of the handler: give it job.Info")
	case job.ExecID == "" || job.Task == "":
		return fmt.Errorf("outbox: Once: the job has no exec_id or no task name (%q, %q): nothing would find it again",
			job.ExecID, job.Task)
	case len(o.part) > maxPart || len(job.ExecID) > maxID:
		return fmt.Errorf("outbox: Once: the part has %d bytes, the exec_id %d: at most %d and %d", len(o.part),
			len(job.ExecID), maxPart, maxID)
	}
	key := onceKey{weak.Make(job), o.part}
	if _, done := b.attempts.Load(key); done {
		return fmt.Errorf("task %q, part %q: %w", job.Task, o.part, ErrTwiceInOneAttempt)
	}
	failed := func(doing string, err error) error {
		return fmt.Errorf("outbox: run task %q once: %s: %w", job.Task, doing, err)
	}
	tx, err := b.db.BeginTx(ctx, o.tx)
	if err != nil {
		return failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // also if effect panics; after a commit it does nothing
	result, err := tx.ExecContext(ctx, b.sql.done, job.Task, job.ExecID, o.part)
	if err != nil {
		return failed("note it", err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return failed("note it", err)
	}
	if changed == 1 {
		if err := effect(tx); err != nil {
			return err
		}
	} else {
		b.repeated.Add(1) // MySQL counts it in the row
	}
	if o.part == "" { // else there are other effects
		if err := b.release(ctx, tx, job); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return failed("commit, which may have happened", err)
	}
	if changed == 1 {
		b.attempts.Store(key, nil)
		runtime.AddCleanup(job, func(key onceKey) { b.attempts.Delete(key) }, key)
		b.Wake() // effect may have sent
	}
	return nil
}
