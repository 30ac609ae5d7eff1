package pools

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// Hold pauses the tasks of all pools, or ends that, for one check. What runs goes on,
// and messages stay on the queue. A pause of an operator is apart from it. It may be
// called before the start.
func (p *Pools) Hold(by string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds[by] = on
	if p.begun.Load() != nil {
		p.hold(by, on)
	}
}

// hold is called under p.mu, so that the messages come in the order of the calls.
func (p *Pools) hold(by string, on bool) {
	for _, l := range p.lanes() {
		r := l.running.Load()
		switch {
		case r == nil:
		case on:
			p.actors.Send(r.dispatcher, &dispatcher.Pause{By: by})
		default:
			p.actors.Send(r.dispatcher, &dispatcher.Resume{By: by})
		}
	}
}

// pausing returns the checks that pause the pools now.
func (p *Pools) pausing() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for by, on := range p.holds {
		if on {
			names = append(names, by)
		}
	}
	return names
}

// judged asks judge about each failure of a handler that would spend the budget.
func judged(judge func(context.Context, error) error) task.Middleware {
	return func(next task.RawHandler) task.RawHandler {
		return func(ctx context.Context, job task.Job[json.RawMessage]) error {
			err := next(ctx, job)
			if err == nil || ctx.Err() != nil || !spends(err) {
				return err
			}
			return judge(ctx, err)
		}
	}
}

// spends reports whether an error of a handler counts as a failure.
func spends(err error) bool {
	return !errors.As(err, new(*task.CancelError)) && !errors.As(err, new(*task.ArgsError)) &&
		!errors.As(err, new(*task.SnoozeError)) && !errors.As(err, new(task.OpenBreaker))
}
