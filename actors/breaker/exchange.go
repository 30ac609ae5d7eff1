package breaker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// stage is how far an exchange has come. The service is waited for in
// stageHeaders and stageReading alone, and there only while the base is not
// reading the caller's own body: no clock runs at any other time.
type stage uint8

const (
	stageHeaders stage = iota // the request is being sent, or its headers are awaited
	stagePaused               // the headers have come, and the caller does not read
	stageReading              // the caller waits for a piece of the body
	stageLate                 // the service was given up: it kept the call waiting for too long
	stageEnded                // the body has ended or was closed
)

// String returns the stage's name, as debuggers and tests print it.
func (s stage) String() string {
	return [...]string{"headers", "paused", "reading", "late", "ended"}[s]
}

// exchange is one HTTP call, from the request to the end of the body. In most
// cases it is also the ctx of the request: the caller's, which ends early when
// the service keeps the call waiting for longer than its patience. The timer
// and the channel for that are made at the first call of Done.
type exchange struct {
	b      *Breaker
	parent context.Context
	span   *callSpan // nil: calls are no spans
	extra  *extra    // nil for most

	reader io.ReadCloser // the body, once there is one; read by one goroutine
	left   int64         // bytes of it still to come; below 0 if not known
	shows  bool          // the classifier sees the body
	timed  bool          // the exchange is the request's ctx, or is a probe
	ends   bool          // the ctx of the caller ends by a deadline of its own
	asked  bool          // the patience was given for the call or its path

	mu        sync.Mutex
	patience  time.Duration // of one wait; 0 for no clock of ours
	permit    Permit
	peek      *peek // until the classifier has seen the body
	clock     *countdown
	stage     stage
	settled   bool
	uploading bool  // the base reads the caller's body: the service waits for us
	own       bool  // the caller's own body failed
	attempts  uint8 // connections that the base has got for the request, up to maxAttempts
}

// maxAttempts is up to how many attempts are counted: the first, and more.
const maxAttempts = 2

// extra is what probes, slow calls and traces need of an exchange. Its fields
// are set before the exchange is shared, or guarded by its mutex.
type extra struct {
	half     int64       // probe: a body that flows at this time has shown enough, ns
	slot     *time.Timer // probe: see slotOver
	overdue  bool        // probe: its time has passed while the service was waited for
	slow     bool        // the time that the service was waited for is measured
	waitFrom int64       // when the present wait began, ns; 0 outside
	waited   int64       // all waits before, ns
	conns    *connLimit  // nil if the base has no limit of connections
	connects bool        // the exchange holds a connection of those
}

// outgoing is an exchange and the request with it as ctx, in one allocation.
type outgoing struct {
	exchange
	req http.Request
}

// newExchange begins an exchange under the caller's ctx, which carries span, and
// returns the request for it: a copy with the exchange as its ctx or, where
// neither clock nor body needs that, req itself.
func newExchange(ctx context.Context, req *http.Request, p *Permit, span *callSpan, set *config, conns *connLimit) (*exchange, *http.Request) {
	w := p.b.patience(ctx, p.path, set)
	limited := conns != nil
	if w.limit == 0 {
		p.ground()
	}
	body := watchesBody(req)
	if w.clock() == 0 && !p.Probe() && !body && !limited && set.SlowCall == 0 {
		if span != nil {
			req = req.WithContext(ctx)
		}
		return &exchange{b: p.b, parent: ctx, span: span, permit: *p, ends: w.ends()}, req
	}
	o := &outgoing{exchange: exchange{b: p.b, parent: ctx, span: span, permit: *p, timed: true, patience: w.clock(), ends: w.ends(), asked: w.asked}}
	if p.Probe() || limited || set.SlowCall > 0 {
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
	x.extra.slow = set.SlowCall > 0
	if x.extra.slow {
		x.extra.waitFrom = x.b.now()
	}
	if !x.permit.Probe() {
		return
	}
	x.extra.half = x.permit.begun + int64(set.ProbeTimeout)/2
	if x.patience = w.limit; !w.asked && w.limit > 0 {
		x.patience = min(w.limit, set.ProbeTimeout)
	}
	x.extra.slot = time.AfterFunc(set.ProbeTimeout, x.slotOver)
}

// countdown is the part of an exchange that only a ctx needs that is waited for.
type countdown struct {
	inner  context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer   // nil without patience
	until  int64         // when the present wait has lasted too long, ns; 0 outside
	left   time.Duration // of the wait that was halted last
	trace  *httptrace.ClientTrace
}

// Deadline implements context.Context.
func (x *exchange) Deadline() (time.Time, bool) { return x.parent.Deadline() }

// Done implements context.Context. The first call starts the clock.
func (x *exchange) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.clock == nil {
		c := &countdown{}
		c.inner, c.cancel = context.WithCancelCause(x.parent)
		x.clock = c
		if x.patience > 0 {
			c.timer = time.AfterFunc(x.patience, x.giveUp)
			if c.until = x.b.now() + int64(x.patience); !x.waits() {
				x.halt()
			}
		}
		if x.stage >= stageLate {
			c.cancel(nil)
		}
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

// Value implements context.Context. The trace is the exchange's own.
func (x *exchange) Value(key any) any {
	if key == traceKey {
		return x.trace()
	}
	return x.ctx().Value(key)
}

// waits reports whether the service is being waited for. Under the mutex, as
// run and halt.
func (x *exchange) waits() bool {
	return (x.stage == stageHeaders || x.stage == stageReading) && !x.uploading
}

// run starts the time of a wait, or starts it again; resume goes on with what
// is left of one that was halted.
func (x *exchange) run() { x.resume(x.patience) }

func (x *exchange) resume(left time.Duration) {
	if c := x.clock; c != nil && c.timer != nil && x.patience > 0 {
		c.until = x.b.now() + int64(left)
		c.timer.Reset(left)
	}
	if f := x.permit.flight; f != nil {
		f.begun.Store(x.b.now())
	}
	if e := x.extra; e != nil && e.slow && e.waitFrom == 0 {
		e.waitFrom = x.b.now()
	}
}

// halt ends the time of a wait, and notes what was left of it.
func (x *exchange) halt() {
	if c := x.clock; c != nil && c.timer != nil {
		if c.until != 0 {
			c.left = max(0, time.Duration(c.until-x.b.now()))
		}
		c.until = 0
		c.timer.Stop()
	}
	if f := x.permit.flight; f != nil {
		f.begun.Store(never)
	}
	if e := x.extra; e != nil && e.waitFrom != 0 {
		e.waited += x.b.now() - e.waitFrom
		e.waitFrom = 0
	}
}

// giveUp is the timer: the service has kept the call waiting for too long. That
// is a failure now, even if the transport notices later.
func (x *exchange) giveUp() {
	x.mu.Lock()
	c := x.clock
	if c.until == 0 || x.b.now() < c.until { // what was awaited came at the same moment
		x.mu.Unlock()
		return
	}
	x.halt()
	x.stage = stageLate
	verdict := Failure
	if x.queued() {
		verdict = Neutral
	}
	x.mu.Unlock()
	x.settle(verdict, 0)
	c.cancel(ErrTimeout)
}

// again starts a wait again at a sign of progress: a connection, or the written
// request. Those of a further attempt are none: a base that retries for ever
// is given up like one that is silent.
func (x *exchange) again(connected bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if connected {
		x.attempts = min(x.attempts+1, maxAttempts)
		x.connect()
	}
	if x.attempts <= 1 && x.waits() {
		x.run()
	}
}

// answered ends the wait for the headers, and reports whether the service was
// given up. What comes after that may look whole and is not: a server ends its
// answer properly when it is hung up on.
func (x *exchange) answered() (late bool) {
	if !x.timed && x.permit.flight == nil {
		x.stage = stagePaused // not shared yet
		return false
	}
	return x.pause()
}

// wait begins the wait for a piece of the body.
func (x *exchange) wait() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage != stagePaused {
		return
	}
	x.stage = stageReading
	if !x.uploading {
		x.run()
	}
}

// pause ends a wait, and reports whether the service was given up.
func (x *exchange) pause() (late bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage < stageLate {
		x.stage = stagePaused
		x.halt()
	}
	return x.stage == stageLate
}

// settle registers the outcome, once.
func (x *exchange) settle(v Verdict, hold time.Duration) {
	x.mu.Lock()
	settled := x.claim()
	x.mu.Unlock()
	if !settled {
		x.permit.settle(v, hold)
		x.span.settled(v)
	}
}

// claim reports whether the outcome is registered already; if not, the caller
// registers it. Under the mutex.
func (x *exchange) claim() (settled bool) {
	settled = x.settled
	x.settled, x.peek = true, nil
	e := x.extra
	if settled || e == nil {
		return settled
	}
	if e.slot != nil {
		e.slot.Stop()
	}
	if e.slow { // the call took as long as the service was waited for
		now, waited := x.b.now(), e.waited
		if e.waitFrom != 0 {
			waited += now - e.waitFrom
		}
		x.permit.begun = max(1, now-waited)
	}
	return false
}

// fail ends the exchange by an error and returns it, with ErrTimeout if the
// breaker is its cause.
func (x *exchange) fail(err error, req *http.Request) error {
	x.mu.Lock()
	late, settled, own := x.stage == stageLate, x.settled, x.own || x.queued()
	x.mu.Unlock()
	if late && !errors.Is(err, ErrTimeout) {
		err = &timedOut{err}
	}
	x.span.failed(err)
	verdict, hold := Neutral, time.Duration(0)
	if !settled && !own && !callersFault(req, err) {
		switch verdict = x.b.judge(x.parent, err); verdict {
		case Failure:
			hold = holdOf(err)
		case Neutral:
			verdict, hold = x.lookAtLeast(Neutral)
		}
	}
	x.end(verdict, hold)
	return err
}

// end registers the outcome, unless one is registered, and ends the ctx.
func (x *exchange) end(v Verdict, hold time.Duration) {
	x.mu.Lock()
	x.halt()
	settled, c := x.claim(), x.clock
	x.disconnect()
	if x.stage != stageLate {
		x.stage = stageEnded
	}
	x.mu.Unlock()
	if !settled {
		x.permit.settle(v, hold)
		x.span.settled(v)
	}
	x.span.end(nil)
	if c != nil {
		c.cancel(nil)
	}
}
