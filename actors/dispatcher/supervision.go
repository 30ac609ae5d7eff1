package dispatcher

import (
	"errors"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/task"
)

// The dispatcher as a supervisor, and as one that is stopped by a stranger.

// HandleFailure implements actor.SupervisorStrategy: the failure of a child is
// the failure of its attempt, decided by the task's budget. A child is never
// restarted: the next attempt has a child of its own.
func (d *dispatcher) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	if child == nil {
		return
	}
	a := d.children[child.Id]
	switch {
	case a == nil:
		d.ctx.Stop(child)
		return
	case a.leaves.a != nil:
		d.logLateFailure(a, reason)
		switch message.(type) {
		case *actor.Stop, *actor.Terminated: // past the guard: it will never end
			d.bury(&a.leaves)
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

// comesBack reports whether a stop is a stranger's.
func (d *dispatcher) comesBack() bool { return d.permanent && d.drain == nil }

// respawn spawns the dispatcher again, under its name and its supervisor.
func (d *dispatcher) respawn(ctx actor.Context) {
	d.log.Error("the dispatcher was stopped by a stranger, perhaps by a task actor that stops its parent: it begins again", "pid", d.self.Id)
	if err := d.again.Spawn(ctx, d.props); err != nil {
		d.log.Error("the dispatcher cannot begin again: no more tasks are taken", "pid", d.self.Id, "error", err)
		d.monitor.status.Store(int32(Stopped))
	}
}

// keepStack gives the panic of a child its stack, if it has none: one outside
// of the guard, as in a continuation of ReenterAfter.
func keepStack(f *actor.Failure) {
	if _, ok := f.Reason.(error); !ok {
		f.Reason = &task.PanicError{Value: f.Reason, Stack: debug.Stack()}
		return
	}
	if _, ok := f.Reason.(runtime.Error); ok {
		f.Reason = &task.PanicError{Value: f.Reason, Stack: debug.Stack()}
	}
}
