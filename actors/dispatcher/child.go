package dispatcher

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// The children: one supervised actor for each attempt under way. A task actor ends with
// its attempt, however that ends; the next attempt has an actor of its own. The actor of
// a function has no state: it ends with a failure, and serves the next attempt after any
// other answer.

// sendToChild makes the actor of a and hands it the Execute.
func (d *dispatcher) sendToChild(e *execution, a *attempt) {
	t := e.entry
	if t.actor == nil {
		if !d.takeIdle(a) {
			a.child = d.ctx.Spawn(d.runners)
			a.runner, d.made = d.made, nil
		}
		e.child = a.child
		d.children[a.child.Id] = a
		d.ctx.Send(a.child, &a.execute)
		return
	}
	// The actor of a user's props is spawned by a goroutine of the crew, under
	// a PID that is known before. It is no child in the books of Proto.Actor,
	// which would let the dispatcher end and restart no sooner than it.
	a.props, a.parent, a.openBy = t.actor, d.parent, d.open
	a.within.Store(true)
	registry := d.system.ProcessRegistry
	id := registry.NextId()
	a.child = actor.NewPID(d.self.Address, d.self.Id+"/"+id)
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
		// After an answer of its own that is no failure, nothing is on its way to the child.
		if a.out.kind == outFailed || a.abandoned || a.state.Load() != answered || len(d.idle) >= maxIdleChildren {
			d.ctx.Stop(a.child)
			return
		}
		d.idle = append(d.idle, idleChild{a.child, a.runner})
		return
	}
	d.departures.add(a, time.Now())
	d.armDepartures()
	switch {
	case a.spawned.CompareAndSwap(notSpawned, dismissed): // the one who spawns it stops it
	case a.props.foreign:
		d.crew.Run(job{f: func() { a.root.Stop(a.child) }})
	default:
		d.ctx.Stop(a.child)
	}
}

// maxIdleChildren bounds the actors of functions that wait for the next attempt.
const maxIdleChildren = 256

// idleChild is an actor of a function without an attempt.
type idleChild struct {
	pid    *actor.PID
	runner *runner
}

// takeIdle gives a an actor that waits for an attempt, and reports whether there is one.
// One that something else has stopped is left out.
func (d *dispatcher) takeIdle(a *attempt) bool {
	for n := len(d.idle); n > 0; n = len(d.idle) {
		child := d.idle[n-1]
		d.idle[n-1], d.idle = idleChild{}, d.idle[:n-1]
		if !child.runner.ended.Load() {
			a.child, a.runner = child.pid, child.runner
			return true
		}
	}
	return false
}

// endedChild is a Terminated that came a little early.
type endedChild struct {
	unlogged
	who *actor.PID
}

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
	case a.departure.a != nil:
		d.departed(a)
		return
	}
	if a.state.Load() != answered {
		var mine bool
		if a.reply != nil {
			mine = a.state.CompareAndSwap(underWay, answered)
		} else { // the handler's goroutine goes on
			mine = a.abandon()
		}
		if !mine {
			d.ctx.Send(d.self, &endedChild{who: m.Who}) // again, when its answer is written
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
	d.departures.remove(&a.departure)
	a.noteReturn()
	d.drainProgress()
}

// lose takes the child of a, which is no more, out of the books.
func (d *dispatcher) lose(a *attempt) {
	delete(d.children, a.child.Id)
	a.exec.child = nil
}

// onSpawnFailed: a task actor could not be spawned. Its attempt fails apart.
func (d *dispatcher) onSpawnFailed(m *spawnFailed) {
	if d.children[m.a.child.Id] != m.a {
		return
	}
	if m.a.departure.a != nil {
		d.departed(m.a)
		return
	}
	d.lose(m.a)
}

// onGoexited: a task actor ended its goroutine by Goexit. Its mailbox will never
// run again, so it is taken out of the books by hand.
func (d *dispatcher) onGoexited(m *goexited) {
	d.system.ProcessRegistry.Remove(m.who)
	d.monitor.actors.Delete(m.who.Id)
	a := d.children[m.who.Id]
	switch {
	case a == nil:
		return
	case a.departure.a != nil:
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
	if e := m.a.exec; e.cur == m.a && d.execs[e.lease] == e && !m.a.inGrace {
		d.interrupt(m.a, ErrNoAnswer)
	}
}

// HandleFailure implements actor.SupervisorStrategy: the failure of a child is
// the failure of its attempt, decided by the task's budget. A child is never
// restarted: the next attempt has a child of its own.
func (d *dispatcher) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, message any) {
	if child == nil {
		return
	}
	a := d.children[child.Id]
	switch {
	case a == nil:
		d.ctx.Stop(child)
		return
	case a.departure.a != nil:
		d.logLateFailure(a, reason)
		switch message.(type) {
		case *actor.Stop, *actor.Terminated: // past the guard: it will never end
			d.abandonActor(&a.departure)
			d.drainProgress()
		}
		return
	}
	if _, function := message.(*attempt); !function { // a panic of a task actor
		if !a.state.CompareAndSwap(underWay, answered) {
			d.logLateFailure(a, reason) // its answer is on the way
			return
		}
		a.out, a.took = read(asError(reason), failed), time.Since(a.started)
	}
	d.onAnswered(a)
}

// logLateFailure logs a panic of a task actor that changes nothing: its attempt
// is over.
func (d *dispatcher) logLateFailure(a *attempt, reason any) {
	err := read(asError(reason), failed).err
	attrs := []any{"pid", a.child.Id, "error", err}
	var p *task.PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	d.log.WarnContext(a.ctx, "task actor panicked after its attempt was over", attrs...)
}

func asError(reason any) error {
	if err, ok := reason.(error); ok {
		return err
	}
	return &task.PanicError{Value: reason}
}
