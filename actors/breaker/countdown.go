package breaker

import (
	"context"
	"net/http/httptrace"
	"time"
)

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

// run starts the time of a wait, or starts it again; resume goes on with what
// is left of one that was halted. Under the mutex, as halt.
func (x *exchange) run() { x.resume(x.patience) }

func (x *exchange) resume(left time.Duration) {
	if c := x.clock; c != nil && c.timer != nil && x.patience > 0 {
		c.until = x.b.now() + int64(left)
		c.timer.Reset(left)
	}
	if w := x.permit.watch; w != nil {
		w.begun.Store(x.b.now())
	}
	if e := x.extra; e != nil && e.waitFrom == 0 {
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
	if w := x.permit.watch; w != nil {
		w.begun.Store(never)
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
	if x.outcome != settled {
		x.permit.busy = x.permit.placed && verdict == Failure
	}
	first := x.claim() // at once: another timer, or a Close, would find a call without an error
	x.mu.Unlock()
	x.register(first, verdict, 0)
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

// traceKey is the key under which a ctx carries an httptrace.ClientTrace. With
// it an exchange makes a trace only for a base that asks for one.
var traceKey = func() any {
	k := &keySpy{Context: context.Background()}
	httptrace.ContextClientTrace(k)
	return k.key
}()

// keySpy is a ctx that notes which key it is asked for.
type keySpy struct {
	context.Context
	key any
}

func (k *keySpy) Value(key any) any { k.key = key; return nil }

// trace returns the caller's trace, if there is one, with the exchange's: the
// patience begins when the request is written.
func (x *exchange) trace() *httptrace.ClientTrace {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.clock != nil && x.clock.trace != nil { // HTTP/2 asks for it several times
		return x.clock.trace
	}
	t := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.again(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.again(false)
			}
		},
	}
	if httptrace.ContextClientTrace(x.parent) != nil {
		t = httptrace.ContextClientTrace(httptrace.WithClientTrace(x.parent, t))
	}
	if x.clock != nil {
		x.clock.trace = t
	}
	return t
}
