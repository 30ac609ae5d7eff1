package parts

import (
	"context"
	"errors"
)

// Func returns a part that runs a function on a goroutine of its own. Its ctx ends
// with the stop of the part. An error that it returns before ends the service; nil
// ends the function alone.
func Func(run func(ctx context.Context) error) Part { return &function{run: run} }

type function struct {
	run  func(context.Context) error
	end  context.CancelCauseFunc
	done chan struct{} // closed at the end
	err  error         // of the end, once the stop has begun
}

// Start implements [Part].
func (f *function) Start(_ context.Context, host *Host) error {
	ctx, end := context.WithCancelCause(WithStopping(context.Background(), host.Draining))
	f.end, f.done = end, make(chan struct{})
	go call(func() error { return f.run(ctx) }, func(err error) {
		defer close(f.done)
		if context.Cause(ctx) == nil {
			host.Ended(err)
			return
		}
		if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopping) {
			f.err = err
		}
	})
	return nil
}

// Stop implements [Part].
func (f *function) Stop(ctx context.Context) error {
	f.end(ErrStopping)
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Closer returns a part that does nothing but call a function at the stop.
func Closer(stop func(ctx context.Context) error) Part { return closer(stop) }

type closer func(context.Context) error

// Start implements [Part].
func (closer) Start(context.Context, *Host) error { return nil }

// Stop implements [Part].
func (c closer) Stop(ctx context.Context) error { return c(ctx) }

// stoppingKey is the key of the Draining of a [Host] in a ctx.
type stoppingKey struct{}

// WithStopping returns ctx for code that runs within a part: see [Stopping].
func WithStopping(ctx, draining context.Context) context.Context {
	return context.WithValue(ctx, stoppingKey{}, draining.Done())
}

// Stopping returns a channel that is closed when the service begins to stop, for
// what should end in its own way before its ctx does: a stream of events, a
// WebSocket, a long poll. ctx is that of a request or of a [Func]; of another the
// channel is nil, and never closed.
func Stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return c
}
