package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/task"
)

// ErrStepGone says that a step is done, and that its result is in the table no more: it
// was swept, or the database is an older one. The step is not run a second time.
var ErrStepGone = errors.New("outbox: the step is done, and its result is not in the table any more: it was " +
	"swept by Settings.Retention, or the database was put back to an earlier state")

// maxCarried is the size of a result that travels on the task's message too. A larger one
// is read from the table by a later attempt.
const maxCarried = 16 << 10

// Step is task.Step for work in the database: fn runs in a transaction, and the step's
// result is written in the same one. So a process that is killed at any moment, and a
// lease that is lost, leave a step that is done with its result or a step that has not
// happened. No later attempt runs it again, and fn may call [Send].
//
//	receipt, err := outbox.Step(ctx, box, "book", func(ctx context.Context, tx *sql.Tx) (Receipt, error) {
//		...
//	})
//
// An error of fn, or a panic, rolls all back, and the step runs again in the next attempt.
// Of the options [TxOptions] counts. Names and order are those of task.Step; the two may
// be mixed. Results are JSON, and are kept for [Settings].Retention; the small ones travel
// on the message as well.
//
// An error of the commit does not say whether it happened. Return it, or call the same
// step again: that finds out. A handler that goes on with another step makes it a failure.
func Step[R any](
	ctx context.Context, b *Box, name string, fn func(ctx context.Context, tx *sql.Tx) (R, error), opts ...OnceOption,
) (result R, err error) {
	p, err := task.BeginStep(ctx, name)
	if err != nil {
		return result, err
	}
	defer p.End()
	data, ok := p.Result()
	if !ok {
		data, err = b.step(p, func(tx *sql.Tx) (any, error) { return fn(p, tx) }, opts)
		if err != nil {
			p.Fail(err)
			return result, err
		}
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return result, task.Cancel(fmt.Errorf("outbox: step %q of task %q: its result, %.100s, does not fit %T: %w",
			name, p.Info().Task, data, result, err))
	}
	return result, nil
}

// step returns the result of a step that the message does not carry: from the table, or
// of fn.
func (b *Box) step(
	p *task.Place, fn func(tx *sql.Tx) (any, error), opts []OnceOption,
) (result json.RawMessage, err error) {
	failed := func(doing string, err error) (json.RawMessage, error) {
		return nil, fmt.Errorf("outbox: step %q of task %q: %s: %w", p.Name(), p.Info().Task, doing, err)
	}
	var o once
	for _, opt := range opts {
		opt(&o)
	}
	if n := len(p.Info().ExecID); n == 0 || n > maxID {
		return failed("find its row", fmt.Errorf("the exec_id has %d bytes: want 1 to %d", n, maxID))
	}
	tx, err := b.db.BeginTx(p, o.tx)
	if err != nil {
		return failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // also if fn panics; after a commit it does nothing
	row := []any{p.Info().Task, p.Info().ExecID, p.Lane(), p.Number()}
	// The row comes first: a second delivery of the task waits here for the first one's end.
	fresh, err := changed(tx.ExecContext(p, b.sql.step, append(row, p.Name())...))
	if err != nil {
		return failed("note it", err)
	}
	if fresh != 1 {
		var was, text string
		if err := tx.QueryRowContext(p, b.sql.stepDone, row...).Scan(&was, &text); err != nil {
			return failed("read its result", err)
		}
		if was != p.Name() {
			return nil, &task.StepMismatchError{Task: p.Info().Task, Lane: p.Lane(), Number: p.Number(), Was: was,
				Is: p.Name()}
		}
		b.repeated.Add(1)
		result = json.RawMessage(text)
	} else if p.Noted() {
		return failed("read its result", task.Cancel(ErrStepGone))
	} else if result, err = b.runStep(p, tx, fn, row); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return failed("commit, which may have happened", err)
	}
	if fresh == 1 {
		b.Wake() // fn may have sent
	}
	if len(result) > maxCarried {
		return result, p.Note()
	}
	return result, p.Keep(result)
}

// runStep runs fn and writes its result into the step's row.
func (b *Box) runStep(
	p *task.Place, tx *sql.Tx, fn func(tx *sql.Tx) (any, error), row []any,
) (json.RawMessage, error) {
	made, err := fn(tx)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(made)
	if err != nil {
		return nil, task.Cancel(fmt.Errorf("outbox: step %q of task %q: %w: a %T: %w", p.Name(), p.Info().Task,
			task.ErrNotEncodable, made, err))
	}
	text := ascii(string(data))
	if _, err := tx.ExecContext(p, b.sql.stepResult, append([]any{text}, row...)...); err != nil {
		return nil, fmt.Errorf("outbox: step %q of task %q: write its result of %d bytes: %w", p.Name(), p.Info().Task,
			len(text), err)
	}
	return json.RawMessage(text), nil
}

// changed returns how many rows a statement has changed.
func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
