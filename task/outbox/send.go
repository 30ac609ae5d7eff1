package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Execer is the caller's transaction: a *sql.Tx, or a pgx.Tx by package pgxoutbox.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Send writes one task into the outbox, in the caller's transaction, and returns its
// exec_id. The task is sent once the transaction has committed, and never if it is rolled
// back. A duplicate by [task.Unique] is a *task.DuplicateError. ctx and the options are
// those of chassis.Send; a task.Delay counts from the moment that a relay sends it.
//
// On a FIFO pool the tasks of a group go in the order of their commits: Send takes a lock
// of the group, which others wait for until the transaction ends. A transaction that
// sends to several groups should do so in one order everywhere, as with all locks.
func Send[A any](
	ctx context.Context, b *Box, tx Execer, def *task.Definition[A], args A, opts ...task.Option,
) (execID string, err error) {
	if err := def.Spec().Err(); err != nil {
		return "", err
	}
	return b.Send(ctx, tx, def.Name(), args, def.Options(opts)...)
}

// Send is the function [Send] for a task by its name; args are anything that
// encoding/json takes.
func (b *Box) Send(ctx context.Context, tx Execer, name string, args any, opts ...task.Option) (string, error) {
	s, err := b.encode(ctx, name, args, opts)
	if err != nil {
		return "", err
	}
	if err := b.take(ctx, tx, s.out); err != nil {
		return "", fmt.Errorf("outbox: %w", err)
	}
	if err := b.put(ctx, tx, s.out, s.text); err != nil {
		return "", b.notWritten(name, err)
	}
	return s.out.ExecID, nil
}

// sending is a task, and the text of its row.
type sending struct {
	out  *task.Outgoing
	text string
}

// encode makes the row of a task, or returns what no queue would take.
func (b *Box) encode(ctx context.Context, name string, args any, opts []task.Option) (sending, error) {
	opts = append([]task.Option{task.FromContext(ctx), task.SealedBy(b.sealer)}, opts...)
	out, err := task.EncodeContext(ctx, name, args, time.Now(), opts...)
	if err != nil {
		return sending{}, err
	}
	if out.Pool == "" {
		out.Pool = b.pool
	}
	text := ""
	if err = check(out); err == nil {
		text, err = write(out)
	}
	if err != nil {
		return sending{}, fmt.Errorf("outbox: send task %q: %w", name, err)
	}
	return sending{out, text}, nil
}

func (b *Box) notWritten(name string, err error) error {
	return fmt.Errorf("outbox: send task %q: write its row into %s: %w", name, b.table, err)
}

func (b *Box) put(ctx context.Context, tx Execer, out *task.Outgoing, text string) error {
	if key := orderKey(out); key != "" {
		if b.sql.lockKey != "" {
			if _, err := tx.ExecContext(ctx, b.sql.lockKey, key); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, b.sql.ordered, out.ExecID, out.Name, out.Pool, key, text)
		return err
	}
	_, err := tx.ExecContext(ctx, b.sql.insert, out.ExecID, out.Name, out.Pool, text)
	return err
}

// orderKey returns what the order of a task is kept by, or "". A pool without a name
// may be a FIFO pool.
func orderKey(out *task.Outgoing) string {
	if out.Pool != "" && !isFIFO(out.Pool) {
		return ""
	}
	return out.GroupID
}

// isFIFO reports whether a pool, a name or a URL, is a FIFO queue.
func isFIFO(pool string) bool { return strings.HasSuffix(pool, ".fifo") }

// maxID is the length of the column exec_id on MySQL.
const maxID = 255

// check returns what no queue would take, while the transaction can still be given up.
func check(out *task.Outgoing) error {
	if len(out.ExecID) > maxID {
		return fmt.Errorf("the exec_id has %d bytes: at most %d", len(out.ExecID), maxID)
	}
	if out.Pool == "" {
		return nil // the relay knows it
	}
	if err := checkPool(out.Pool); err != nil {
		return err
	}
	switch fifo := isFIFO(out.Pool); {
	case fifo && out.GroupID == "":
		return fmt.Errorf("pool %q is a FIFO queue and needs a group: give one with task.Group", out.Pool)
	case fifo && out.Delay > 0:
		return fmt.Errorf("pool %q is a FIFO queue and takes no delay for one message: leave out task.Delay", out.Pool)
	case !fifo && out.DedupID != "":
		return errors.New("a deduplication id is for FIFO queues only: leave out task.Dedup")
	}
	return nil
}

// checkPool returns an error for what is neither a name nor a URL that a queue can have.
func checkPool(pool string) error {
	if !strings.Contains(pool, "://") {
		return poller.CheckQueueName(pool)
	}
	u, err := url.Parse(pool)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return fmt.Errorf("%w: %.200q is not the URL of a queue, as https://sqs.eu-west-1.amazonaws.com/123/jobs is",
			poller.ErrQueueName, pool)
	}
	return nil
}
