package task

import (
	"context"
	"encoding/json"
)

// Handler does the work of a task. Nil is done; an error or a panic is one
// failure, but see [Cancel], [Snooze] and [RetryAfter]. It must end when ctx
// ends: at its deadline, when its lease is lost, at the end of a drain.
type Handler[A any] func(ctx context.Context, job Job[A]) error

// RawHandler is a handler that gets the body as it is. The dispatcher runs
// these; [Erase] makes one of any handler.
type RawHandler = Handler[json.RawMessage]

// Middleware wraps a handler of any task.
type Middleware func(next RawHandler) RawHandler

// Erase decodes the body into A and calls h. A body that does not fit ends
// the task with an [ArgsError].
func Erase[A any](h Handler[A]) RawHandler {
	return func(ctx context.Context, job Job[json.RawMessage]) error {
		typed := Job[A]{Info: job.Info}
		if err := json.Unmarshal(job.Args, &typed.Args); err != nil {
			if job.hidden {
				err = withoutValues(err)
			}
			return &ArgsError{Task: job.Task, Err: err}
		}
		return h(ctx, typed)
	}
}

// Chain wraps h in mw; the first is the outermost.
func Chain(h RawHandler, mw ...Middleware) RawHandler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}
