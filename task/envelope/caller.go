package envelope

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sambatech/chassis/task"
)

// maxOpenCalls is the number of calls to a store, or to a key service, that are under way at
// once, those included that were left because they did not return in time.
const maxOpenCalls = 64

// caller makes calls of code that may hang or panic.
type caller struct {
	what    string // for errors
	timeout time.Duration
	slots   chan struct{}
}

func newCaller(what string, timeout time.Duration) *caller {
	return &caller{what: what, timeout: timeout, slots: make(chan struct{}, maxOpenCalls)}
}

// ask calls f in a goroutine of its own, and leaves it at the end of ctx or of the timeout.
func ask[T any](c *caller, ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	var zero T
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout,
		fmt.Errorf("%s has not answered within %v: %w", c.what, c.timeout, context.DeadlineExceeded))
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return zero, context.Cause(ctx)
	}
	type result struct {
		value T
		err   error
	}
	got := make(chan result, 1)
	go func() {
		defer func() { <-c.slots }()
		defer cancel()
		r := result{err: fmt.Errorf("%s: %w", c.what, task.ErrGoexit)}
		defer func() {
			if v := recover(); v != nil {
				r = result{err: fmt.Errorf("%s: %w", c.what, &task.PanicError{Value: v, Stack: debug.Stack()})}
			}
			got <- r
		}()
		r.value, r.err = f(ctx)
	}()
	select {
	case r := <-got:
		return r.value, r.err
	case <-ctx.Done():
		select {
		case r := <-got: // both: the answer counts
			return r.value, r.err
		default:
			return zero, context.Cause(ctx)
		}
	}
}
