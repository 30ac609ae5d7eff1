package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sambatech/chassis/task"
)

// Arguments in an envelope. The message keeps it, and so does each copy; a handler gets
// what is in it.

// Open takes arguments out of their envelope, for one attempt. Its errors are
// [*task.UnopenedError]. It may ask a store or a key service, within ctx.
type Open func(ctx context.Context, info *task.Info, body []byte) ([]byte, error)

var (
	errNoOpener = errors.New("this process has neither keys nor a store: set tasks.key_file or tasks.claim_folder, " +
		"or give chassis.WithEnvelope")
	errPlain = errors.New("they are plain text, and the task takes only encrypted ones (task.OnlyEncrypted)")
)

// noOpener stands for an Open that is not given.
func noOpener(context.Context, *task.Info, []byte) ([]byte, error) {
	return nil, &task.UnopenedError{Err: errNoOpener, Wait: time.Minute, Within: time.Hour, Elsewhere: true}
}

// unseal returns the arguments of an attempt. Plain ones cost no call.
func (o Open) unseal(ctx context.Context, info *task.Info, spec *task.Spec, body []byte) ([]byte, error) {
	if !task.IsSealed(body) {
		if spec.OnlyEncrypted {
			return nil, &task.UnopenedError{Err: errPlain, Final: true}
		}
		return body, nil
	}
	plain, err := o(ctx, info, body)
	if err != nil {
		return nil, err
	}
	info.HideArgs()
	return plain, nil
}

// opening is the middleware that opens envelopes. It stands outside of the user's own.
func (o Open) opening(spec task.Spec) task.Middleware {
	return func(next task.RawHandler) task.RawHandler {
		return func(ctx context.Context, job task.Job[json.RawMessage]) error {
			args, err := o.unseal(ctx, job.Info, &spec, job.Args)
			if err != nil {
				return err
			}
			job.Args = args
			return next(ctx, job)
		}
	}
}

// open is the same for a task actor, before it is spawned.
func (a *attempt) open(open Open) error {
	args, err := open.unseal(a.ctx, &a.info, &a.exec.entry.spec, a.execute.Args)
	if err != nil {
		return err
	}
	a.execute.Args = args
	return nil
}

// noteOpening keeps since when a message cannot be opened, and makes a dead letter of one
// that has waited for too long.
func (e *execution) noteOpening(out outcome, now time.Time) outcome {
	if out.kind != outUnopened {
		e.msg.Unopened = time.Time{}
		return out
	}
	if e.msg.Unopened.IsZero() {
		e.msg.Unopened = e.theirs(now)
	}
	since := e.msg.Unopened
	if e.ledger.ordered { // no copy carries it
		since = later(e.firstReceived, e.msg.When)
	}
	if out.within > 0 && now.Sub(e.ours(since)) >= out.within {
		out.final = true
	}
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
