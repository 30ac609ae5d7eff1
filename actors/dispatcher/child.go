package dispatcher

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// The children: one supervised actor an attempt. It ends with its attempt,
// however that ends; the next attempt has an actor of its own.

// sendToChild makes the actor of a and hands it the Execute.
func (d *dispatcher) sendToChild(e *execution, a *attempt) {
	t := e.entry
	if t.actor == nil {
		a.child = d.ctx.Spawn(d.runners)
		e.child = a.child
		d.children[a.child.Id] = a
		d.ctx.Send(a.child, &a.execute)
		return
	}
	// The actor of a user's props is spawned by a goroutine of the crew, under
	// a PID that is known before. It is no child in the books of Proto.Actor,
	// which would let the dispatcher end and restart no sooner than it.
	a.props, a.parent = t.actor, d.parent
	a.within.Store(true)
	registry := d.system.ProcessRegistry
	id := registry.NextId()
	a.pid.Address, a.pid.Id = d.self.Address, d.self.Id+"/"+id
	a.child = &a.pid
	a.reply, _ = registry.Add(answerTo{a}, d.self.Id+"/answer"+id)
	e.child = a.child
	d.children[a.child.Id] = a
	d.monitor.actors.Store(a.child.Id, a)
	d.crew.Run(job{a: a})
}

// release frees what an attempt holds besides its ctx.
func (d *dispatcher) release(a *attempt) {
	if a.watch != nil {
		a.watch.Stop()
	}
	if a.reply != nil {
		d.system.ProcessRegistry.Remove(a.reply)
	}
}

// dismiss stops the child of a, if there still is one.
func (d *dispatcher) dismiss(a *attempt) {
	e := a.exec
	if e.child == nil {
		return
	}
	e.child = nil
	if a.props == nil {
		delete(d.children, a.child.Id)
		d.ctx.Stop(a.child)
		return
	}
	d.departures.add(a, time.Now())
	d.armDepartures()
	switch {
	case a.birth.CompareAndSwap(unborn, unwanted): // the one who spawns it stops it
	case a.props.foreign:
		d.crew.Run(job{f: func() { a.system.Root.Stop(a.child) }})
	default:
		d.ctx.Stop(a.child)
	}
}

// overstayed is the tick of the oldest departure.
type overstayed struct{}

// IgnoreDeadLetterLogging keeps a late one out of the log.
func (*overstayed) IgnoreDeadLetterLogging() {}

// armDepartures sets the timer of the oldest departure, unless it is set.
func (d *dispatcher) armDepartures() {
	if d.departing != nil || d.departures.first == nil {
		return
	}
	root, self := d.system.Root, d.self
	wait := time.Until(d.departures.first.at.Add(d.graceTime()))
	d.departing = time.AfterFunc(wait, func() { root.Send(self, &overstayed{}) })
}

// hurryDepartures sets the timer again: less time is left to the task actors that
// are stopping.
func (d *dispatcher) hurryDepartures() {
	if d.departing != nil {
		d.departing.Stop()
		d.departing = nil
	}
	d.armDepartures()
}

// onOverstayed buries the task actors that have not ended in time.
func (d *dispatcher) onOverstayed() {
	d.departing = nil
	now := time.Now()
	for f := d.departures.first; f != nil && now.Sub(f.at) >= d.graceTime(); f = d.departures.first {
		d.bury(f)
		e := f.a.exec
		e.entry.meter.abandoned.Add(1)
		d.log.WarnContext(f.a.ctx, "task actor abandoned: it did not end within abandon_after of its stop; it blocks, or a child of it does",
			"pid", f.a.child.Id, "stopping_for", now.Sub(f.at))
		d.emit(Abandoned, e, nil)
	}
	d.armDepartures()
	d.drainProgress()
}

// bury gives up on a task actor that does not end: nothing waits for it, and
// what is sent to it is a dead letter.
func (d *dispatcher) bury(f *departure) {
	d.departures.bury(f)
	d.monitor.actors.Delete(f.a.child.Id)
	d.system.ProcessRegistry.Remove(f.a.child)
}

// endedChild is a Terminated that came a little early.
type endedChild struct{ who *actor.PID }

// onTerminated: a child has ended. One with its attempt under way was stopped by
// a stranger, or stopped itself without an answer.
func (d *dispatcher) onTerminated(m *actor.Terminated) {
	if m.Who == nil {
		return
	}
	a := d.children[m.Who.Id]
	if _, alive := d.system.ProcessRegistry.GetLocal(m.Who.Id); alive {
		return // it was forged
	}
	d.monitor.actors.Delete(m.Who.Id)
	switch {
	case a == nil:
		d.unsubscribe(m.Who)
		return
	case a.leaves.a != nil:
		d.departed(a)
		return
	}
	if a.state.Load() != answered {
		var mine bool
		if a.reply != nil {
			mine = a.state.CompareAndSwap(underWay, answered)
		} else { // the handler's goroutine goes on
			mine = a.forsake()
		}
		if !mine {
			d.ctx.Send(d.self, &endedChild{m.Who}) // again, when its answer is written
			return
		}
		a.out, a.took = outcome{kind: outFailed, err: ErrNoAnswer}, time.Since(a.started)
	}
	d.lose(a)
	d.onAnswered(a) // also one with an answer: a failure that was sent to the child is lost with it
}

// departed takes a task actor that was asked to stop out of the books.
func (d *dispatcher) departed(a *attempt) {
	delete(d.children, a.child.Id)
	d.departures.bury(&a.leaves)
	a.gone()
	d.drainProgress()
}

// lose takes the child of a, which is no more, out of the books.
func (d *dispatcher) lose(a *attempt) {
	delete(d.children, a.child.Id)
	a.exec.child = nil
}

// onStillborn: a task actor could not be spawned. Its attempt fails apart.
func (d *dispatcher) onStillborn(m *stillborn) {
	if d.children[m.a.child.Id] != m.a {
		return
	}
	if m.a.leaves.a != nil {
		d.departed(m.a)
		return
	}
	d.lose(m.a)
}

// onWedged: a task actor ended its goroutine by Goexit. Its mailbox will never
// run again, so it is taken out of the books by hand.
func (d *dispatcher) onWedged(m *wedged) {
	d.system.ProcessRegistry.Remove(m.who)
	d.monitor.actors.Delete(m.who.Id)
	a := d.children[m.who.Id]
	switch {
	case a == nil:
		return
	case a.leaves.a != nil:
		d.departed(a)
		return
	}
	d.lose(a)
	if a.state.CompareAndSwap(underWay, answered) {
		a.out, a.took = outcome{kind: outFailed, err: task.ErrGoexit}, time.Since(a.started)
		d.onAnswered(a)
	}
}

// onStopping: a task actor stops with its attempt under way. It may answer yet,
// or end; if it does neither it is abandoned.
func (d *dispatcher) onStopping(m *stopping) {
	if e := m.a.exec; e.cur == m.a && d.execs[e.lease] == e && !m.a.graced {
		d.interrupt(m.a, ErrNoAnswer)
	}
}

// watch has a looked at when its ctx's deadline is over.
func (d *dispatcher) watch(a *attempt, limit time.Duration) {
	root, self := d.system.Root, d.self
	a.watch = time.AfterFunc(limit, func() { root.Send(self, &overdue{a}) })
}

// overdue says that an attempt's ctx is over and its handler was to end.
type overdue struct{ a *attempt }

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
	root, self := d.system.Root, d.self
	a.graced = true
	a.watch = time.AfterFunc(d.graceTime(), func() { root.Send(self, &overdue{a}) })
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
	if !a.graced {
		d.grace(a)
		return
	}
	d.abandon(e, a)
}

// abandon gives up on a handler that goes on without a ctx.
func (d *dispatcher) abandon(e *execution, a *attempt) {
	if !a.forsake() {
		return // its answer is on the way
	}
	e.entry.meter.abandoned.Add(1)
	d.log.ErrorContext(a.ctx, "handler abandoned: it ignored the end of its ctx",
		"running_for", time.Since(a.started), "stack", stackOf(a))
	d.emit(Abandoned, e, nil)
	a.hung = true
	d.dismiss(a)
	if a.props != nil && a.within.Load() { // a silent one can still be stopped
		d.bury(&a.leaves)
	}
	a.out, a.took = outcome{kind: outFailed, err: fmt.Errorf("%w (%w)", ErrAbandoned, contextCause(a))}, time.Since(a.started)
	d.onAnswered(a)
}
