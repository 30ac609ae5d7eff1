package chassis

import (
	"context"
	"fmt"
	"strings"

	"github.com/sambatech/chassis/admin"
)

// consoleDead shows and settles the dead letters. A look takes them from the queue
// for a moment, so there is one at a time: two would each see a part.
type consoleDead struct {
	sys *System
	one chan struct{}
}

// shownBody is how much of a body is shown, in bytes.
const shownBody = 16 << 10

// List implements admin.DeadLetters.
func (d *consoleDead) List(ctx context.Context, limit int) (list []admin.DeadLetter, more bool, err error) {
	err = d.each(ctx, func(l *DeadLetter) (bool, error) {
		if len(list) == limit {
			more = true
			return false, nil
		}
		list = append(list, letter(l))
		return true, nil
	})
	return list, more, err
}

// SendBack implements admin.DeadLetters.
func (d *consoleDead) SendBack(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*DeadLetter).SendBack)
}

// Delete implements admin.DeadLetters.
func (d *consoleDead) Delete(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*DeadLetter).Delete)
}

func (d *consoleDead) settle(ctx context.Context, ids []string, how func(*DeadLetter, context.Context) error) (done []string, err error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	err = d.each(ctx, func(l *DeadLetter) (bool, error) {
		if !wanted[l.MessageID] {
			return true, nil
		}
		delete(wanted, l.MessageID)
		if err := how(l, ctx); err != nil {
			return false, err
		}
		done = append(done, l.MessageID)
		return len(wanted) > 0, nil
	})
	return done, err
}

func (d *consoleDead) each(ctx context.Context, f func(*DeadLetter) (bool, error)) error {
	select {
	case d.one <- struct{}{}:
		defer func() { <-d.one }()
	case <-ctx.Done():
		return fmt.Errorf("the dead letters are being looked through: %w", context.Cause(ctx))
	}
	for l, err := range d.sys.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		if more, err := f(l); err != nil || !more {
			return err
		}
	}
	return nil
}

func letter(l *DeadLetter) admin.DeadLetter {
	a := admin.DeadLetter{ID: l.MessageID, Task: l.Name, ExecID: l.ExecID, JobID: l.JobID, JobName: l.JobName, Pool: l.Pool,
		Reason: l.Reason, LastError: l.LastError, Failures: l.Failures, Sent: l.Sent, Body: l.Body}
	if len(a.Body) > shownBody {
		a.Body, a.Cut = strings.ToValidUTF8(a.Body[:shownBody], ""), true
	}
	if l.Defects != nil {
		a.Defects = l.Defects.Error()
	}
	return a
}
