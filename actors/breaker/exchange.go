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

// exchange is one HTTP call, from the request to the end of the body. In most
// cases it is also the ctx of the request: the caller's, which ends early when
// the service keeps the call waiting for longer than its patience. The timer
// and the channel for that are made at the first call of Done.
type exchange struct {
	b        *Breaker
	parent   context.Context
	span     *callSpan // nil without a tracer
	since    int64     // when the call began, ns
	extra    *extra    // nil for most
	source   source    // of the patience
	deadline deadline  // of the caller

	reader io.ReadCloser        // the body, once there is one; read by one goroutine
	left   int64                // bytes of it still to come; below 0 if not known
	peek   atomic.Pointer[peek] // until the classifier has seen the body; stored under the mutex

	mu       sync.Mutex
	patience time.Duration // of one wait; 0 for no clock of ours
	permit   Permit
	clock    *countdown
	stage    stage
	upload   upload
	outcome  settlement
	lapsed   bool  // the caller's ctx ended while the service was not waited for
	attempts uint8 // connections that the base has got for the request, up to maxAttempts
}

// maxAttempts is up to how many attempts are counted: the first, and more.
const maxAttempts = 2

// extra is what probes, slow calls and limits of connections need of an exchange.
// Its fields are set before the exchange is shared, or guarded by its mutex.
type extra struct {
	half     int64       // probe: a body that flows at this time has shown enough, ns
	slot     *time.Timer // probe: see slotOver
	waitFrom int64       // when the present wait began, ns; 0 outside
	waited   int64       // all waits before, ns
	conns    *connLimit  // nil if the base has no limit of connections
	conn     *connLimit  // conns, while the exchange holds one of its connections
	route    *route      // the address that the request went to; nil if it is not one of several
	mark     int64       // of the probe of that address, or 0
	placed   bool        // counted among the requests in flight of the address
}

// outgoing is an exchange and the request with it as ctx, in one allocation.
type outgoing struct {
	exchange
	req http.Request
}

// newExchange begins an exchange under the caller's ctx, which carries span, and
// returns the request for it: a copy with the exchange as its ctx or, where
// neither clock nor body needs that, req itself.
func newExchange(
	ctx context.Context, req *http.Request, p *Permit, span *callSpan, set *config, conns *connLimit,
) (*exchange, *http.Request) {
	w := p.b.patience(ctx, p.path, set)
	if w.limit == 0 {
		p.unwatch()
	}
	measured := p.Probe() || conns != nil || set.SlowCall > 0
	body := watchesBody(req)
	if !measured && !body && w.clock() == 0 {
		if span != nil {
			req = req.WithContext(ctx)
		}
		return &exchange{b: p.b, parent: ctx, span: span, since: p.b.now(), permit: *p, deadline: w.deadline}, req
	}
	o := &outgoing{exchange: exchange{b: p.b, parent: ctx, span: span, since: p.b.now(), permit: *p,
		patience: w.clock(), source: w.source, deadline: w.deadline}}
	if measured {
		o.extra = &extra{conns: conns}
		o.measure(w, set)
	}
	o.req = *req.WithContext(&o.exchange) // on the stack, and copied from there
	if body {
		o.watchBody(&o.req)
	}
	return &o.exchange, &o.req
}

// measure prepares what is timed of a probe, or where slow calls count.
func (x *exchange) measure(w patience, set *config) {
	x.mu.Lock() // the timer of a slot may go off at once
	defer x.mu.Unlock()
	x.extra.waitFrom = x.b.now()
	if !x.permit.Probe() {
		return
	}
	x.extra.half = x.permit.begun + int64(set.ProbeTimeout)/2
	if x.patience = w.limit; w.source == fromSettings && w.limit > 0 {
		x.patience = min(w.limit, set.ProbeTimeout)
	}
	x.extra.slot = time.AfterFunc(set.ProbeTimeout, x.slotOver)
}

// waits reports whether the service is being waited for. Under the mutex.
func (x *exchange) waits() bool {
	return (x.stage == stageHeaders || x.stage == stageReading) && x.upload != uploadReading
}

// bounded reports whether a wait for the service ends by itself.
func (x *exchange) bounded() bool { return x.patience > 0 || x.deadline != deadlineNone }

// wait begins the wait for a piece of the body.
func (x *exchange) wait() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage != stagePaused {
		return
	}
	x.stage = stageReading
	x.lapsed = x.parent.Err() != nil
	if x.waits() {
		x.run()
	}
}

// arrive ends a wait, and reports whether the service was given up. What comes
// after that may look whole and is not: a server ends its answer properly when it
// is hung up on.
func (x *exchange) arrive(next stage) (late bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage < stageLate {
		x.stage = next
		x.halt()
	}
	return x.stage == stageLate
}

// settle registers the outcome, once.
func (x *exchange) settle(v Verdict, hold time.Duration) {
	x.mu.Lock()
	first := x.claim()
	x.mu.Unlock()
	x.register(first, v, hold)
}

// claim reports whether the caller is the first to settle, and has to register the
// outcome. Under the mutex.
func (x *exchange) claim() (first bool) {
	first = x.outcome != settled
	x.outcome = settled
	x.peek.Store(nil)
	e := x.extra
	if !first || e == nil {
		return first
	}
	if e.slot != nil {
		e.slot.Stop()
	}
	// The call took as long as the service was waited for.
	now, waited := x.b.now(), e.waited
	if e.waitFrom != 0 {
		waited += now - e.waitFrom
	}
	x.permit.begun = max(1, now-waited)
	return true
}

func (x *exchange) register(first bool, v Verdict, hold time.Duration) {
	if first {
		x.b.counted().observe(v, x.b.now()-x.since)
		if v == Failure {
			x.b.witness(x.parent, x.permit.path)
		}
		if x.extra != nil {
			x.passed(v)
		}
		x.permit.settle(v, hold)
		x.span.settled(v)
	}
}

// fail ends the exchange by an error and returns it, with ErrTimeout if the
// breaker is its cause. req is nil once the headers have come.
func (x *exchange) fail(err error, req *http.Request) error {
	x.mu.Lock()
	late, known := x.stage == stageLate, x.outcome == settled
	own := x.upload == uploadFailed || x.queued()
	lapsed := x.lapsed || x.upload == uploadReading && x.parent.Err() != nil
	x.mu.Unlock()
	if late && !errors.Is(err, ErrTimeout) {
		err = &timedOut{err}
	}
	x.span.failed(err)
	if late || errors.Is(err, context.DeadlineExceeded) {
		x.busy()
		x.unanswered()
	}
	verdict, hold := Neutral, time.Duration(0)
	if !known && !own && !callersFault(req, err) {
		def := Neutral
		if !lapsed {
			def = x.b.errorVerdict(x.parent, err)
		}
		switch verdict = x.b.judgeError(err, def); verdict {
		case Failure:
			hold = holdOf(err)
		case Neutral:
			verdict, hold = x.lookAtLeast(Neutral)
		}
	}
	x.end(verdict, hold)
	return err
}

// busy notes for the limit that the service has left the call without an answer.
func (x *exchange) busy() {
	if x.b.limit == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.outcome != settled {
		x.permit.busy = x.permit.placed
	}
}

// end registers the outcome, unless one is registered, and ends the ctx.
func (x *exchange) end(v Verdict, hold time.Duration) {
	x.mu.Lock()
	x.halt()
	first, c := x.claim(), x.clock
	x.disconnect()
	if x.stage != stageLate {
		x.stage = stageEnded
	}
	x.mu.Unlock()
	x.register(first, v, hold)
	x.span.end(nil)
	if c != nil {
		c.cancel(nil)
	}
}
