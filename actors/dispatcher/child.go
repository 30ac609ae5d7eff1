package dispatcher

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// The children: one supervised actor an execution.

// sendToChild hands a to e's child: a new one, or the old one restarted.
func (d *dispatcher) sendToChild(e *execution, a *attempt) error {
	if e.child == nil {
		child, err := d.spawn(e.entry.props)
		if err != nil {
			return err
		}
		e.child = child
		d.children[child.Id] = e
	} else {
		d.restart(e.child)
	}
	if !e.entry.actor {
		d.ctx.Send(e.child, &a.execute)
		return nil
	}
	name := d.self.Id + "/answer" + d.system.ProcessRegistry.NextId()
	a.reply, _ = d.system.ProcessRegistry.Add(answerTo{a}, name)
	d.monitor.actors.Store(e.child.Id, a)
	d.ctx.RequestWithCustomSender(e.child, &a.execute, a.reply)
	return nil
}

// restart makes child a new instance, which alone gets what is sent to it from
// now on. One that answered instead of failing still takes messages, and would
// until its own children have ended, so its mailbox is suspended first; the
// restart resumes it.
func (d *dispatcher) restart(child *actor.PID) {
	if process, ok := d.system.ProcessRegistry.Get(child); ok {
		process.SendSystemMessage(child, &actor.SuspendMailbox{})
	}
	d.ctx.(actor.Supervisor).RestartChildren(child)
}

// spawn makes a child; a panic of the user's producer is an error.
func (d *dispatcher) spawn(props *actor.Props) (pid *actor.PID, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the task actor could not be made: %w", &task.PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	return d.ctx.Spawn(props), nil
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

// dismiss stops e's child.
func (d *dispatcher) dismiss(e *execution) {
	if e.child == nil {
		return
	}
	delete(d.children, e.child.Id)
	d.ctx.Stop(e.child)
	e.child = nil
}

// onTerminated: a child that ends while its attempt is under way was stopped by
// someone else, or stopped itself without an answer.
func (d *dispatcher) onTerminated(m *actor.Terminated) {
	d.monitor.actors.Delete(m.Who.Id)
	e := d.children[m.Who.Id]
	if e == nil {
		return
	}
	a := e.cur
	if a != nil && a.state.Load() != answered {
		var mine bool
		if a.reply != nil {
			mine = a.state.CompareAndSwap(underWay, answered)
		} else { // the handler's goroutine goes on
			mine = a.forsake()
		}
		if !mine {
			d.ctx.Send(d.self, m) // again, when its answer is written
			return
		}
		a.out, a.took = outcome{kind: outFailed, err: ErrNoAnswer}, time.Since(a.started)
	}
	delete(d.children, m.Who.Id)
	e.child = nil
	if a != nil { // else it waits, and the next attempt spawns anew
		d.onAnswered(a) // an answer as well: a failure that was told to the child has gone with it
	}
}

// onWedged: a task actor ended its goroutine by Goexit. Its mailbox will never
// run again, so it is taken out of the books by hand.
func (d *dispatcher) onWedged(m *wedged) {
	e := d.children[m.who.Id]
	d.bury(m.who)
	if e == nil || e.child == nil {
		return
	}
	delete(d.children, m.who.Id)
	e.child = nil
	if a := e.cur; a != nil && a.state.CompareAndSwap(underWay, answered) {
		a.out, a.took = outcome{kind: outFailed, err: task.ErrGoexit}, time.Since(a.started)
		d.onAnswered(a)
	}
}

// bury takes a child that can not stop out of the dispatcher's children, which
// would otherwise hold up its own stop for ever.
func (d *dispatcher) bury(child *actor.PID) {
	d.system.ProcessRegistry.Remove(child)
	if self, ok := d.system.ProcessRegistry.GetLocal(d.self.Id); ok {
		self.SendSystemMessage(d.self, &actor.Terminated{Who: child})
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
	wait := d.AbandonAfter
	if d.drain != nil && d.drain.over {
		wait = min(wait, drainGrace)
	}
	a.watch = time.AfterFunc(wait, func() { root.Send(self, &overdue{a}) })
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
	if a.reply != nil && e.child != nil {
		child := e.child
		d.dismiss(e)
		d.bury(child)
	}
	a.out, a.took = outcome{kind: outFailed, err: fmt.Errorf("%w (%w)", ErrAbandoned, contextCause(a))}, time.Since(a.started)
	a.hung = true
	d.onAnswered(a)
}
