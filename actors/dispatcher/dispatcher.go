package dispatcher

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// dispatcher owns the registry, the slots and the executions of one pool.
type dispatcher struct {
	*core
	ctx          actor.Context
	self         *actor.PID
	system       *actor.ActorSystem
	root         *actor.RootContext // of its own: the system's Root has the middleware of the service
	slots        slots
	execs        map[poller.LeaseID]*execution
	successor    *life.Respawn // nil unless the dispatcher was stopped from outside
	parent       *life.Parent  // of task actors: this dispatcher
	idle         []idleChild   // those that wait for the next attempt of a function
	groups       map[string]*group
	duplicates   duplicates // standard pools
	ready        ready
	isolation    isolation
	held         int
	parked       int
	settling     int
	settled      uint64 // settles that were answered
	inFlight     int    // of the queue, as last counted
	hides        int    // messages hidden since
	hidesCounted int    // of them, when the count under way was asked for
	counted      time.Time
	counting     bool
	ticking      bool
	inBatch      bool // pump waits for the end of the batch in hand
	late         lateness
	kept         map[*execution]*poller.Settle // done, and kept in flight until the slot of its start is over

	turnover turnover
	throttle throttle
	gates    map[string]*gate // services that tasks wait for, by URL

	behindNames []string // tasks that are behind a service, sorted
	bounded     bool     // by services: the monitor says how many workers are of use
	full        []*entry // tasks that have enough messages waiting here; the next ones go back
	refilling   bool     // refilled is on its way
}

// Receive implements actor.Actor.
func (d *dispatcher) Receive(ctx actor.Context) {
	if actors.Nil(ctx.Message()) {
		d.refuseMessage(ctx)
		return
	}
	d.receive(ctx, ctx.Message())
}

func (d *dispatcher) receive(ctx actor.Context, message any) {
	switch m := message.(type) {
	case *poller.Batch:
		d.onBatch(ctx, m)
	case *poller.Delivered:
		d.onDelivered(m)
	case *attempt:
		d.onAnswered(m)
	case *poller.Settled:
		d.onSettled(m)
	case *actor.Terminated:
		d.onTerminated(m)
	case *wake:
		d.onWake(m)
	case *overdue:
		d.onOverdue(m)
	case *poller.LeaseLost:
		d.onLeaseLost(m)
	case *poller.LeaseExpiring:
		d.onLeaseExpiring(m)
	case *returned:
		d.pump()
	case *poller.Counted:
		d.onCounted(m)
	case *poller.QueueRead:
		d.onQueueRead(m)
	case *poller.Slept:
		d.onSlept(m)
	case *deadlineOver:
		d.onDeadlineOver(m)
	case *refilled:
		d.onRefilled()
	case *reached:
		d.onReached(m)
	case *ticked:
		d.onTick()
	case *goexited:
		d.onGoexited(m)
	case *endedChild:
		d.onTerminated(&actor.Terminated{Who: m.who})
	case *spawnFailed:
		d.onSpawnFailed(m)
	case *stopping:
		d.onStopping(m)
	case *departureOverdue:
		d.onDepartureOverdue()
	case *registration:
		d.onPrepared(m)
	case *poller.Drained:
		d.onPollerDrained()
	case *poller.Flushed:
		d.onFlushed()
	case *drainOver:
		d.onDrainOver(m)
	case *shares.Granted:
		d.onGranted(m)
	case *shares.Reserved:
		d.onReserved(m)
	case *shares.Claimed:
		d.onClaimed(m)
	default:
		d.receiveCommand(ctx, m)
	}
}

// onBatch handles messages of the poller, and starts what may start after all of them.
func (d *dispatcher) onBatch(ctx actor.Context, b *poller.Batch) {
	d.inBatch = true
	for _, m := range b.Messages {
		if !actors.Nil(m) {
			d.receive(ctx, m)
		}
	}
	d.inBatch = false
	d.pump()
}

func (d *dispatcher) receiveCommand(ctx actor.Context, message any) {
	switch m := message.(type) {
	case *Register:
		d.onRegister(m)
	case *Pause:
		d.onPause(m)
	case *Resume:
		d.onResume(m)
	case *Resize:
		d.onResize(m)
	case *CancelExecution:
		d.onCancelExecution(m)
	case *SnoozeExecution:
		d.onSnoozeExecution(m)
	case *Inspect:
		d.onInspect(m)
	case *GetStats:
		respond(d, m.reply, d.monitor.Stats())
	case *Drain:
		d.onDrain(m)
	case *Subscribe:
		d.onSubscribe(m)
	case *Unsubscribe:
		d.onUnsubscribe(m)
	case *actor.Started:
		d.onStarted(ctx)
	case *actor.Restarting:
		d.leaveFor(ErrRestarted)
	case *actor.Stopping:
		if d.comesBack() {
			d.successor = d.life.Respawn(ctx)
			d.leaveFor(ErrRestarted)
		} else {
			d.leave(ErrDrained)
		}
	case *actor.Stopped:
		if d.successor != nil {
			d.respawn(ctx)
			return
		}
		d.leaveShares()
		d.endSubscriptions()
		d.endGates()
		d.crew.Close()
		d.monitor.status.Store(int32(Stopped))
	default:
		if p := pointer(message); p != nil {
			d.receiveCommand(ctx, p)
		} else {
			d.refuseMessage(ctx)
		}
	}
}

// refuseMessage answers a message that the dispatcher does not take.
func (d *dispatcher) refuseMessage(ctx actor.Context) {
	if actors.Refuse(ctx, hint) {
		d.monitor.unhandled.Add(1)
		d.log.Warn("the dispatcher does not know this message", "type", fmt.Sprintf("%T", ctx.Message()))
	}
}

// respond answers the command in hand.
func respond[R any](d *dispatcher, reply chan<- *R, r *R) { respondTo(d, d.ctx.Sender(), reply, r) }

// respondTo answers a command: on its own channel, which has room for one, or
// to the sender of a plain request. That one's mailbox may be user's code, so a
// crew member posts the answer.
func respondTo[R any](d *dispatcher, sender *actor.PID, reply chan<- *R, r *R) {
	switch {
	case reply != nil:
		select {
		case reply <- r:
		default: // answered already
		}
	case sender != nil:
		d.post(sender, r)
	}
}

// post sends a message to an actor that is not of the chassis.
func (d *dispatcher) post(to *actor.PID, message any) {
	root := d.root
	d.crew.Run(job{f: func() { root.Send(to, message) }})
}

// after sends a message to the dispatcher itself after a time. The timer may outlive
// it: the message embeds unlogged.
func (d *dispatcher) after(wait time.Duration, message any) *time.Timer {
	root, self := d.root, d.self
	return time.AfterFunc(wait, func() { root.Send(self, message) })
}

// unlogged is part of the messages that may reach a dispatcher after its end. They
// are dead letters then, and not worth a log line.
type unlogged struct{}

// IgnoreDeadLetterLogging keeps the message out of the log of dead letters.
func (unlogged) IgnoreDeadLetterLogging() {}

func (d *dispatcher) onStarted(ctx actor.Context) {
	d.ctx, d.self, d.system = ctx, ctx.Self(), ctx.ActorSystem()
	d.parent = life.Under(d.system, d.self)
	d.root = d.parent.RootContext
	d.idle = nil // its children ended with the incarnation before
	d.slots.workers = d.Workers
	d.ready.turns.weights = d.TenantWeights
	d.execs = map[poller.LeaseID]*execution{}
	d.groups, d.kept = map[string]*group{}, nil
	d.gates = map[string]*gate{}
	for _, e := range d.registry {
		e.running, e.parked, e.full, e.outage = 0, nil, time.Time{}, false
		e.turns = turns{weights: d.TenantWeights}
	}
	d.countBehind()
	for _, t := range d.early {
		d.register(t)
	}
	d.early = nil
	m := d.monitor
	m.workers.Store(int64(d.Workers))
	for _, gauge := range []interface{ Store(int64) }{
		&m.running, &m.stalled, &m.silent, &m.held, &m.queued, &m.settling,
	} {
		gauge.Store(0)
	}
	m.status.Store(int32(Running))
	d.joinShares()
	d.ctx.Send(d.poller, &poller.Subscribe{To: d.self, Epoch: d.epoch, Batches: true})
	d.lookAtQueues()
	if d.drain != nil {
		d.resumeDrain()
		return
	}
	d.pump()
}

// leaveFor is leave before the next incarnation.
func (d *dispatcher) leaveFor(cause error) {
	d.monitor.restarts.Add(1)
	d.epoch++
	d.leave(cause)
}

// leave ends what a stop or restart cannot take along: ctxs and timers. The
// leases are released by the next Subscribe, or end.
func (d *dispatcher) leave(cause error) {
	d.endGates()
	for _, e := range d.find("") {
		e.disarm()
		if e.cur != nil {
			e.endSteps(e.cur)
		}
		d.remember(e)
		if a := e.cur; a != nil {
			d.release(a)
			a.cancel(cause)
			a.abandon()
			d.dismiss(a)
			d.unstall(a)
			d.monitor.running.Add(-1)
			e.entry.meter.running.Add(-1)
			e.entry.meter.interrupted.Add(1)
			d.endSpan(a, outcome{kind: outInterrupted, err: cause}, nextDropped)
		}
	}
	// The ends of functions still come, and mean nothing.
	maps.DeleteFunc(d.children, func(_ string, a *attempt) bool { return a.props == nil })
	clear(d.execs)
}

// comesBack reports whether a stop came from outside.
func (d *dispatcher) comesBack() bool { return d.drain == nil && d.permanent != nil && d.permanent() }

// respawn spawns the dispatcher again, under its name and its supervisor.
func (d *dispatcher) respawn(ctx actor.Context) {
	d.log.Error("the dispatcher was stopped from outside, perhaps by a task actor that stops its parent: it "+
		"begins again", "pid", d.self.Id)
	if err := d.successor.Spawn(ctx, d.props); err != nil {
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
