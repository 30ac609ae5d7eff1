package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a dispatcher is made of.
type Config struct {
	Settings   Settings
	Pool       string     // name of the queue; one that ends in .fifo keeps the order of its groups
	Poller     *actor.PID // of the pool; the dispatcher subscribes to it
	Logger     *slog.Logger
	Tracer     trace.Tracer      // of a span for each attempt; nil: none
	Monitor    *Monitor          // what the outside sees; nil: nothing
	Tasks      []*Register       // known before the first message is asked for
	Middleware []task.Middleware // around all handlers, outside of their own; the first is the outermost
	Shares     *actor.PID        // of the process's executions, if there are other pools beside this one; see package shares
	Share      shares.Share      // this pool's part of them
	Create     bool              // make the queue of the dead letters if it is not there
	Context    context.Context   // parent of all handlers' ctxs, for its values; its end is not heeded
}

// New returns the props of a pool's dispatcher. They are for one actor: what
// must survive its restarts, the registry above all, lives in them. Settings
// out of their range are an error.
func New(cfg Config) (*actor.Props, error) {
	errs := []error{cfg.Settings.Validate(), cfg.Share.Check()}
	for _, t := range cfg.Tasks {
		errs = append(errs, t.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c := newCore(cfg)
	return actor.PropsFromProducer(func() actor.Actor { return &dispatcher{core: c} }, actor.WithDispatcher(c.crew)), nil
}

// core is what survives a restart of the dispatcher. Only its current
// incarnation touches it, but for the monitor.
type core struct {
	Settings
	pool, deadPool string
	ordered        bool // FIFO
	poller         *actor.PID
	log            *slog.Logger
	monitor        *Monitor
	tracer         trace.Tracer
	middleware     []task.Middleware
	logging        task.Middleware // the outermost of them; task actors have no other
	base           context.Context
	early          []*Register // of Config, until the first start
	registry       map[string]*entry
	stranger       *entry // stands for all unknown names
	unknownNames   unknownNames
	crew           *crew
	runners        *actor.Props
	limits         map[string]poller.QueueAttributes // by pool; the empty name is this one
	skew           time.Duration                     // of the queue's clock against ours
	paused         bool
	drain          *drain
	permits        permits
	epoch          uint64          // of the subscription: the restarts before it
	create         bool            // the queue of the dead letters, if it is not there
	found          map[string]bool // of the queues' attributes, what was logged
}

func newCore(cfg Config) *core {
	c := &core{
		Settings: cfg.Settings.withDefaults(), pool: cfg.Pool, deadPool: cfg.Settings.DeadLetterPool,
		ordered: strings.HasSuffix(cfg.Pool, ".fifo"), poller: cfg.Poller, log: cfg.Logger, monitor: cfg.Monitor, tracer: cfg.Tracer,
		base: context.Background(), registry: map[string]*entry{}, early: cfg.Tasks,
		permits: permits{keeper: cfg.Shares, share: cfg.Share}, limits: map[string]poller.QueueAttributes{},
		create: cfg.Create, found: map[string]bool{},
	}
	if c.deadPool == "" {
		c.deadPool = DeadLetterPool(cfg.Pool)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.monitor == nil {
		c.monitor = NewMonitor()
	}
	c.crew = newCrew(2*max(c.Workers, c.MaxWorkers) + 16)
	c.runners = runnerProps(c.crew)
	if cfg.Context != nil {
		c.base = context.WithoutCancel(cfg.Context)
	}
	c.log = c.log.With("pool", cfg.Pool)
	c.logging = task.Logging(c.log)
	c.middleware = append([]task.Middleware{c.logging, task.Recovery}, cfg.Middleware...)
	c.stranger = &entry{meter: c.monitor.meter("")}
	return c
}

// entry is a registered task.
type entry struct {
	spec    task.Spec
	chain   task.RawHandler // function tasks
	props   *actor.Props    // of the child
	actor   bool            // a user's own task actor
	meter   *meter
	running int
	paused  bool
	parked  []*execution // over the task's limit, or paused
	claims  int          // asked for and not answered, where the limit is the process's
	pace    pace         // of its starts
	full    time.Time    // since when messages go back for want of room here; zero: none do
	outage  bool         // of those, since a breaker refuses them
}

// dispatcher owns the registry, the slots and the executions of one pool.
type dispatcher struct {
	*core
	ctx      actor.Context
	self     *actor.PID
	system   *actor.ActorSystem
	slots    slots
	execs    map[poller.LeaseID]*execution
	children map[string]*execution // by the child's PID id
	groups   map[string]*group
	ready    ready
	suspects []*execution // wait to run isolated
	alone    *execution   // the suspect that runs
	isolation
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
	late         lateness

	turnover  turnover
	throttle  throttle
	full      []*entry // tasks that have enough messages waiting here; the next ones go back
	refilling bool     // refilled is on its way
}

// Receive implements actor.Actor.
func (d *dispatcher) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
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
	case *ticked:
		d.onTick()
	case *wedged:
		d.onWedged(m)
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
	case *actor.Started:
		d.onStarted(ctx)
	case *actor.Restarting:
		d.monitor.restarts.Add(1)
		d.epoch++
		d.leave(ErrRestarted)
	case *actor.Stopping:
		d.leave(ErrDrained)
	case *actor.Stopped:
		d.leaveShares()
		d.crew.close()
		d.monitor.status.Store(int32(Stopped))
	default:
		d.monitor.strange.Add(1)
		d.log.Warn("the dispatcher does not know this message", "type", fmt.Sprintf("%T", message))
	}
}

// respond answers a command: on its own channel, which has room for one, or
// to the sender of a plain request.
func respond[R any](d *dispatcher, reply chan<- *R, r *R) {
	if reply != nil {
		select {
		case reply <- r:
		default: // answered already
		}
		return
	}
	if d.ctx.Sender() != nil {
		d.ctx.Respond(r)
	}
}

func (d *dispatcher) onStarted(ctx actor.Context) {
	d.ctx, d.self, d.system = ctx, ctx.Self(), ctx.ActorSystem()
	d.slots.workers = d.Workers
	d.execs = map[poller.LeaseID]*execution{}
	d.children = map[string]*execution{}
	d.groups = map[string]*group{}
	for _, e := range d.registry {
		e.running, e.parked, e.full, e.outage = 0, nil, time.Time{}, false
	}
	for _, t := range d.early {
		d.register(t)
	}
	d.early = nil
	m := d.monitor
	m.workers.Store(int64(d.Workers))
	for _, gauge := range []interface{ Store(int64) }{&m.running, &m.held, &m.queued, &m.settling} {
		gauge.Store(0)
	}
	m.status.Store(int32(Running))
	d.joinShares()
	d.ctx.Send(d.poller, &poller.Subscribe{To: d.self, Epoch: d.epoch})
	d.lookAtQueues()
	if d.drain != nil {
		d.resumeDrain()
		return
	}
	d.pump()
}

// leave ends what a stop or restart cannot take along: ctxs and timers. The
// leases are released by the next Subscribe, or end.
func (d *dispatcher) leave(cause error) {
	for _, e := range d.execs {
		e.disarm()
		if a := e.cur; a != nil {
			d.release(a)
			a.cancel(cause)
			a.forsake()
			d.monitor.running.Add(-1)
			e.entry.meter.running.Add(-1)
			e.entry.meter.interrupted.Add(1)
			d.endSpan(a, outcome{kind: outInterrupted, err: cause}, nextDropped)
		}
	}
	clear(d.children) // their ends come yet, and mean nothing
	clear(d.execs)
}

// HandleFailure implements actor.SupervisorStrategy: the failure of a child is
// the failure of its attempt, decided by the task's budget.
func (d *dispatcher) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	rs.Fail()
	e := d.children[child.Id]
	if e == nil {
		d.ctx.Stop(child)
		return
	}
	a, told := message.(*attempt)
	if !told { // a panic of a task actor
		if _, ours := actor.UnwrapEnvelopeMessage(message).(*Execute); !ours {
			// Not the Execute failed but something before it (its start) or beside
			// it. The Execute may still be in the mailbox, where a restart would run
			// it: the next attempt gets an actor of its own.
			d.dismiss(e)
		}
		a = e.cur
		if a == nil {
			return // it waits: the next attempt restarts or replaces it
		}
		if !a.state.CompareAndSwap(underWay, answered) {
			return // its answer is on the way
		}
		a.out, a.took = read(asError(reason), failed), time.Since(a.started)
	}
	d.onAnswered(a)
}

func asError(reason any) error {
	if err, ok := reason.(error); ok {
		return err
	}
	return &task.PanicError{Value: reason}
}
