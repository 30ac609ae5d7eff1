package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
)

// dead implements [admin.DeadLetters]. A look takes the letters from the queue for
// a moment, so there is one at a time: two would each see a part.
type dead struct {
	pools *pools.Pools
	one   chan struct{} // holds a value while there is a look
}

// shownBody is how much of a body is shown, in bytes.
const shownBody = 16 << 10

func (d *dead) List(ctx context.Context, limit int) (list []admin.DeadLetter, more bool, err error) {
	err = d.each(ctx, func(l *pools.DeadLetter) (bool, error) {
		if len(list) == limit {
			more = true
			return false, nil
		}
		list = append(list, letter(l))
		return true, nil
	})
	return list, more, err
}

func (d *dead) SendBack(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*pools.DeadLetter).SendBack)
}

func (d *dead) Delete(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*pools.DeadLetter).Delete)
}

func (d *dead) settle(
	ctx context.Context, ids []string, how func(*pools.DeadLetter, context.Context) error,
) (done []string, err error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	err = d.each(ctx, func(l *pools.DeadLetter) (bool, error) {
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

func (d *dead) each(ctx context.Context, f func(*pools.DeadLetter) (bool, error)) error {
	select {
	case d.one <- struct{}{}:
		defer func() { <-d.one }()
	case <-ctx.Done():
		return fmt.Errorf("the dead letters are being looked through: %w", context.Cause(ctx))
	}
	for l, err := range d.pools.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		if more, err := f(l); err != nil || !more {
			return err
		}
	}
	return nil
}

func letter(l *pools.DeadLetter) admin.DeadLetter {
	a := admin.DeadLetter{
		ID: l.MessageID, Task: l.Name, ExecID: l.ExecID, JobID: l.JobID, JobName: l.JobName, Pool: l.Pool,
		Reason: l.Reason, LastError: l.LastError, Failures: l.Failures, Sent: l.Sent, Body: l.Body, Sealed: l.SealedAs(),
	}
	if len(a.Body) > shownBody {
		a.Body, a.Cut = strings.ToValidUTF8(a.Body[:shownBody], ""), true
	}
	if l.Defects != nil {
		a.Defects = l.Defects.Error()
	}
	return a
}
