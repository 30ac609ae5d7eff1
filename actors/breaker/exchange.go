package breaker

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one HTTP call, from the request to the end of the body. It is
// also the ctx of the request: the caller's, which in addition ends when the
// service keeps it waiting for longer than request_timeout. What that takes is
// made when somebody first asks for Done.
type exchange struct {
	b        *Breaker
	parent   context.Context
	span     *callSpan // nil: the call is none
	patience time.Duration
	half     int64 // ns: a probe whose body flows at this time has shown enough; 0 for no probe

	reader  io.ReadCloser // the body, once there is one; read by one goroutine
	left    int64         // bytes of it still to come; below 0 if not known
	reading atomic.Bool

	mu       sync.Mutex
	permit   Permit
	settled  bool
	timeout  bool // the service was given up
	closing  bool // the caller has closed the body
	released bool
	inner    context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
}

// Deadline implements context.Context.
func (x *exchange) Deadline() (time.Time, bool) { return x.parent.Deadline() }

// Done implements context.Context. The first call starts the clock.
func (x *exchange) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.inner == nil {
		x.inner, x.cancel = context.WithCancelCause(x.parent)
		if x.released {
			x.cancel(nil)
		} else {
			x.timer = time.AfterFunc(x.patience, x.giveUp)
		}
	}
	return x.inner.Done()
}

func (x *exchange) ctx() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.inner != nil {
		return x.inner
	}
	return x.parent
}

// Err implements context.Context.
func (x *exchange) Err() error { return x.ctx().Err() }

// Value implements context.Context.
func (x *exchange) Value(key any) any { return x.ctx().Value(key) }

// giveUp is the timer: the service has kept us waiting for too long. That is a
// failure now, whenever the transport takes notice.
func (x *exchange) giveUp() {
	x.mu.Lock()
	late := !x.closing
	x.timeout = late
	cancel := x.cancel
	x.mu.Unlock()
	if late {
		x.settle(Failure, 0)
	}
	cancel(ErrTimeout)
}

// wait starts the clock for the next piece of the body, pause stops it.
func (x *exchange) wait() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timer != nil && !x.timeout {
		x.timer.Reset(x.patience)
	}
}

// pause stops the clock, and says whether the service has been given up. What
// comes after that may look whole and is not: a server ends its answer properly
// when it is hung up on.
func (x *exchange) pause() (late bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timer != nil {
		x.timer.Stop()
	}
	return x.timeout
}

// settle registers the outcome, once.
func (x *exchange) settle(v Verdict, hold time.Duration) {
	x.mu.Lock()
	p := x.permit
	x.permit.b = nil // a settled permit settles nothing
	first := !x.settled
	x.settled = true
	x.mu.Unlock()
	p.settle(v, hold)
	if first {
		x.span.settled(v)
	}
}

// fail ends the exchange by an error and returns it, with ErrTimeout if we caused it.
func (x *exchange) fail(err error) error {
	x.mu.Lock()
	timeout, settled := x.timeout, x.settled
	x.mu.Unlock()
	if timeout && !errors.Is(err, ErrTimeout) {
		err = &timedOut{err}
	}
	x.span.failed(err)
	verdict, hold := Neutral, time.Duration(0)
	if !settled {
		if verdict = x.b.judge(x.parent, err); verdict == Failure {
			hold = holdOf(err)
		}
	}
	x.end(verdict, hold)
	return err
}

// end registers the outcome, if there is none yet, and ends the ctx: nobody
// waits for anything any more.
func (x *exchange) end(v Verdict, hold time.Duration) {
	x.mu.Lock()
	p := x.permit
	x.permit.b = nil
	first := !x.settled
	x.settled, x.released = true, true
	if x.timer != nil {
		x.timer.Stop()
	}
	cancel := x.cancel
	x.mu.Unlock()
	p.settle(v, hold)
	if first {
		x.span.settled(v)
	}
	x.span.end(nil)
	if cancel != nil {
		cancel(nil)
	}
}

// timedOut is the error of a call that the breaker ended. It is both.
type timedOut struct{ err error }

func (t *timedOut) Error() string   { return ErrTimeout.Error() + ": " + t.err.Error() }
func (t *timedOut) Unwrap() []error { return []error{ErrTimeout, t.err} }
