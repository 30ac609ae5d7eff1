package dispatcher

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// overdue says that an attempt's ctx is over and its handler was to end.
type overdue struct {
	unlogged
	a *attempt
}

// watch has a looked at when its ctx's deadline is over.
func (d *dispatcher) watch(a *attempt, limit time.Duration) {
	a.watch = d.after(limit, &overdue{a: a})
}

// interrupt ends a's ctx; if the handler ignores it, a is abandoned.
func (d *dispatcher) interrupt(a *attempt, cause error) {
	if a.watch != nil {
		a.watch.Stop()
	}
	a.cancel(cause)
	d.grace(a)
}

// drainGrace is what AbandonAfter is cut to when a drain's time is over.
const drainGrace = 500 * time.Millisecond

// grace is the time that a handler gets to end after its ctx.
func (d *dispatcher) grace(a *attempt) {
	a.inGrace = true
	a.watch = d.after(d.graceTime(), &overdue{a: a})
}

// graceTime is abandon_after, cut short when a drain's time is over.
func (d *dispatcher) graceTime() time.Duration {
	if d.drain != nil && d.drain.over {
		return min(d.AbandonAfter, drainGrace)
	}
	return d.AbandonAfter
}

func (d *dispatcher) onOverdue(m *overdue) {
	a := m.a
	e := a.exec
	if e.cur != a || d.execs[e.lease] != e {
		return
	}
	if !a.inGrace {
		d.grace(a)
		return
	}
	d.abandon(e, a)
}

// abandon gives up on a handler that goes on without a ctx.
func (d *dispatcher) abandon(e *execution, a *attempt) {
	if !a.abandon() {
		return // its answer is on the way
	}
	e.entry.meter.abandoned.Add(1)
	d.log.ErrorContext(a.ctx, "handler abandoned: it ignored the end of its ctx",
		"running_for", time.Since(a.started), "stack", stackOf(a))
	d.emit(Abandoned, e, nil)
	a.abandoned = true
	d.dismiss(a)
	if a.props != nil && a.within.Load() { // a silent one can still be stopped
		d.abandonActor(&a.departure)
	}
	a.out, a.took = outcome{kind: outFailed,
		err: fmt.Errorf("%w (%w)", ErrAbandoned, contextCause(a))}, time.Since(a.started)
	d.onAnswered(a)
}

// onSlept moves what has a time of its own: held waits, and deadlines. Leases
// that ended are lost by the poller's word.
func (d *dispatcher) onSlept(m *poller.Slept) {
	now := time.Now()
	for _, e := range d.find("") {
		switch {
		case e.phase == waiting:
			e.until = e.until.Add(-m.For)
			d.arm(e, max(e.until.Sub(now), 0))
		case e.phase == running && !e.cur.info.Deadline.IsZero():
			d.expire(e.cur, max(e.cur.info.Deadline.Sub(now)-m.For, 0))
		}
	}
}

// deadlineOver is the tick of a deadline that was moved to the wall clock's time.
type deadlineOver struct {
	unlogged
	a *attempt
}

// expire ends an attempt's ctx after a time, as its deadline does.
func (d *dispatcher) expire(a *attempt, after time.Duration) {
	d.after(after, &deadlineOver{a: a})
}

func (d *dispatcher) onDeadlineOver(m *deadlineOver) {
	if a := m.a; a.exec.cur == a && d.execs[a.exec.lease] == a.exec && !a.inGrace {
		d.interrupt(a, ErrDeadline)
	}
}

// minDump and maxDump bound the dump of all stacks in which an abandoned one is
// looked for, in bytes.
const minDump, maxDump = 256 << 10, 8 << 20

// stackOf returns the stack of the goroutine that runs a, or a note that it was
// not found. It stops the world for the time of the dump: for abandonments only.
func stackOf(a *attempt) string {
	var buf []byte
	for size := minDump; size <= maxDump && len(buf) == cap(buf); size *= 4 {
		buf = make([]byte, size)
		buf = buf[:runtime.Stack(buf, true)]
	}
	at := -1
	for _, frame := range []string{"run", "receive", "spawn"} { // of a function, a task actor, one that is being made
		at = max(at, bytes.Index(buf, fmt.Appendf(nil, "dispatcher.(*attempt).%s(%p", frame, a)))
	}
	if at < 0 {
		return "not found among the stacks of the process"
	}
	begin, end := bytes.LastIndex(buf[:at], []byte("\n\n")), bytes.Index(buf[at:], []byte("\n\n"))
	if end < 0 {
		end = len(buf) - at
	}
	return string(buf[begin+1 : at+end])
}

// InAttempt reports whether it is called on the goroutine of an attempt: by a
// handler, or by a task actor in its Receive of the Execute.
func InAttempt() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(2, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		frame, more := frames.Next()
		switch strings.TrimPrefix(frame.Function, "github.com/sambatech/chassis/actors/") {
		case "dispatcher.(*attempt).run", "dispatcher.(*attempt).receive", "dispatcher.(*attempt).spawn":
			return true
		}
		if !more {
			return false
		}
	}
}
