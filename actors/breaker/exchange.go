package breaker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one HTTP call, from the request to the end of the body. With a
// clock it is also the ctx of the request: the caller's, which in addition ends
// when the service keeps it waiting for longer than request_timeout. What that
// takes is made when somebody first asks for Done.
type exchange struct {
	b        *Breaker
	parent   context.Context
	span     *callSpan // nil: the call is none
	patience time.Duration
	half     int64 // ns: a probe whose body flows at this time has shown enough; 0 for no probe

	reader  io.ReadCloser // the body, once there is one; read by one goroutine
	left    int64         // bytes of it still to come; below 0 if not known
	reading atomic.Bool
	clocked bool // false: the parent ends before a clock could
	shows   bool // the classifier sees the body

	mu       sync.Mutex
	permit   Permit
	peek     *peek // until the classifier has seen the body
	settled  bool
	waiting  bool // for the service: time counts
	timeout  bool // the service was given up
	closing  bool // the caller has closed the body
	released bool
	strays   int8 // times that the timer has gone off for what came at the same moment
	clock    *clock
}

// outgoing is an exchange and the request that is its ctx's, in one piece.
type outgoing struct {
	exchange
	req http.Request
}

// newExchange begins an exchange under the caller's ctx, which carries span, and
// returns the request for it: a copy with the exchange as its ctx or, where no
// clock is needed, req itself.
func newExchange(ctx context.Context, req *http.Request, p *Permit, span *callSpan, set *config) (*exchange, *http.Request) {
	if !p.Probe() && endsWithin(ctx, set.RequestTimeout) {
		if span != nil {
			req = req.WithContext(ctx)
		}
		return &exchange{b: p.b, parent: ctx, span: span, permit: *p}, req
	}
	o := &outgoing{exchange: exchange{b: p.b, parent: ctx, span: span, permit: *p, clocked: true, waiting: true, patience: set.RequestTimeout}}
	if p.Probe() {
		o.patience = min(o.patience, set.ProbeTimeout)
		o.half = p.begun + int64(set.ProbeTimeout)/2
	}
	o.req = *req.WithContext(&o.exchange) // on the stack, and copied from there
	return &o.exchange, &o.req
}

// endsWithin says whether ctx ends by itself before a clock of ours that is set
// to d could: then there is no need for one.
func endsWithin(ctx context.Context, d time.Duration) bool {
	at, ok := ctx.Deadline()
	return ok && time.Until(at) <= d
}

// clock is the part of an exchange that only a ctx needs which somebody waits for.
type clock struct {
	inner  context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// Deadline implements context.Context.
func (x *exchange) Deadline() (time.Time, bool) { return x.parent.Deadline() }

// Done implements context.Context. The first call starts the clock.
func (x *exchange) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.clock == nil {
		c := &clock{}
		c.inner, c.cancel = context.WithCancelCause(x.parent)
		c.timer = time.AfterFunc(x.patience, x.giveUp)
		if !x.waiting {
			c.timer.Stop()
		}
		if x.released {
			c.cancel(nil)
		}
		x.clock = c
	}
	return x.clock.inner.Done()
}

func (x *exchange) ctx() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.clock != nil {
		return x.clock.inner
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
	if x.strays > 0 {
		x.strays--
		x.mu.Unlock()
		return
	}
	if !x.waiting && !x.closing { // released at the same moment
		x.mu.Unlock()
		return
	}
	late := !x.closing
	x.timeout = late
	cancel := x.clock.cancel
	x.mu.Unlock()
	if late {
		x.settle(Failure, 0)
	}
	cancel(ErrTimeout)
}

// wait starts the clock for the next piece of the body, pause stops it.
func (x *exchange) wait() {
	if !x.clocked {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timeout {
		return
	}
	x.waiting = true
	if x.clock != nil {
		x.clock.timer.Reset(x.patience)
	}
}

// pause stops the clock, and says whether the service has been given up. What
// comes after that may look whole and is not: a server ends its answer properly
// when it is hung up on.
func (x *exchange) pause() (late bool) {
	if !x.clocked {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	armed := x.waiting && !x.timeout
	x.waiting = false
	if x.clock != nil && !x.clock.timer.Stop() && armed {
		x.strays++ // giveUp is on its way, and too late
	}
	return x.timeout
}

// settle registers the outcome, once.
func (x *exchange) settle(v Verdict, hold time.Duration) {
	x.mu.Lock()
	settled := x.settled
	x.settled, x.peek = true, nil
	x.mu.Unlock()
	if !settled {
		x.permit.settle(v, hold)
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
		switch verdict = x.b.judge(x.parent, err); verdict {
		case Failure:
			hold = holdOf(err)
		case Neutral:
			verdict, hold = x.lookAtLeast()
		}
	}
	x.end(verdict, hold)
	return err
}

// end registers the outcome, if there is none yet, and ends the ctx: nobody
// waits for anything any more.
func (x *exchange) end(v Verdict, hold time.Duration) {
	x.mu.Lock()
	settled, c := x.settled, x.clock
	x.settled, x.released, x.waiting, x.peek = true, true, false, nil
	x.mu.Unlock()
	if c != nil {
		c.timer.Stop()
	}
	if !settled {
		x.permit.settle(v, hold)
		x.span.settled(v)
	}
	x.span.end(nil)
	if c != nil {
		c.cancel(nil)
	}
}

// timedOut is the error of a call that the breaker ended. It is both.
type timedOut struct{ err error }

func (t *timedOut) Error() string   { return ErrTimeout.Error() + ": " + t.err.Error() }
func (t *timedOut) Unwrap() []error { return []error{ErrTimeout, t.err} }
