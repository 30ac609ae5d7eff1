package life

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

// State is where a service is in its life.
type State int

// The states, in their order; there is no way back.
const (
	Created  State = iota // made: breakers, logs and Send work
	Starting              // Start is under way
	Running               // tasks are taken
	Stopping              // the drain is under way
	Stopped
)

// String returns the state in lower case.
func (s State) String() string {
	return [...]string{"created", "starting", "running", "stopping", "stopped"}[s]
}

// Errors of a service's life.
var (
	ErrStarted = errors.New("chassis: the system was started before")
	ErrStopped = errors.New("chassis: the system has stopped")
)

// Cycle is the life of a service: its state, one start and one stop.
type Cycle struct {
	halted context.Context // ends with the first Stop, and a Start under way with it
	halt   context.CancelFunc

	mu    sync.Mutex    // one Start or Stop at a time
	state atomic.Int32  // a State; written under mu, read from any goroutine
	ended chan struct{} // closed once the service has stopped
	err   error         // of Stop
	cut   context.CancelFunc
}

// NewCycle returns the life of a service that is created.
func NewCycle() *Cycle {
	c := &Cycle{ended: make(chan struct{})}
	c.halted, c.halt = context.WithCancel(context.Background())
	return c
}

// State returns the state now.
func (c *Cycle) State() State { return State(c.state.Load()) }

// Halted returns a ctx that ends with the first call of [Cycle.Stop].
func (c *Cycle) Halted() context.Context { return c.halted }

// UntilHalted returns ctx with an end at the first call of [Cycle.Stop], by the cause
// [ErrStopped]. The caller cancels it.
func (c *Cycle) UntilHalted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	unwatch := context.AfterFunc(c.halted, func() { end(ErrStopped) })
	return ctx, func() { unwatch(); end(nil) }
}

// Start runs start, and running once the state is Running. It may be called once. A
// [Cycle.Stop] meanwhile ends the ctx of start, with the cause [ErrStopped]. After an
// error the service can only be stopped.
func (c *Cycle) Start(ctx context.Context, start func(context.Context) error, running func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.halted.Err() != nil:
		return ErrStopped
	case c.State() != Created:
		return ErrStarted
	}
	ctx, cancel := c.UntilHalted(ctx)
	defer cancel()
	c.state.Store(int32(Starting))
	if err := start(ctx); err != nil {
		return err
	}
	c.state.Store(int32(Running))
	running()
	return nil
}

// Stop runs stop, once, and waits for it; all calls return its error. The ctx of stop
// ends with the ctx of a caller who waits: what is under way is to be cut short. With
// wait false Stop only begins the stop and returns nil.
func (c *Cycle) Stop(ctx context.Context, wait bool, stop func(drain context.Context) error) error {
	c.halt()
	c.mu.Lock()
	if c.State() < Stopping {
		c.state.Store(int32(Stopping))
		drain, cut := context.WithCancel(context.WithoutCancel(ctx))
		c.cut = cut
		go func() {
			defer close(c.ended)
			defer cut()
			c.err = stop(drain)
			c.state.Store(int32(Stopped))
		}()
	}
	c.mu.Unlock()
	if !wait {
		return nil
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.cut()
		<-c.ended
	}
	return c.err
}

// Run calls start, waits until ctx ends, the process gets SIGTERM or SIGINT, or the
// service is stopped by another call, and calls stop. A second signal ends the ctx of
// stop.
func (c *Cycle) Run(ctx context.Context, log *slog.Logger, start, stop func(context.Context) error) error {
	serving, stopping, done := Signals(ctx, c.ended, log)
	defer done()
	err := start(serving)
	if err == nil {
		select {
		case <-serving.Done():
		case <-c.halted.Done():
		}
	}
	return errors.Join(err, stop(stopping))
}
