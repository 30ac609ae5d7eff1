package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/internal/crew"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/internal/life"
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
	// Permanent spawns the dispatcher again under its name when it is stopped
	// before a [Drain]: by a task actor that stops its parent, for example.
	Permanent bool
	// EndlessAfter is the time after which an attempt without a Deadline that has
	// reported no progress counts as stalled. 0: 20 minutes.
	EndlessAfter time.Duration
	Context      context.Context // parent of all handlers' ctxs, for its values; its end is not heeded
}

// New returns the props of a pool's dispatcher. They are for one actor: what
// must survive its restarts, the registry above all, lives in them. Settings
// out of their range are an error.
func New(cfg Config) (*actor.Props, error) {
	if err := errors.Join(cfg.Settings.Validate(), cfg.Share.Check()); err != nil {
		return nil, err
	}
	c := newCore(cfg)
	var errs []error
	for _, t := range cfg.Tasks {
		r := t.prepare(c)
		c.early, errs = append(c.early, r), append(errs, r.err)
	}
	if err := errors.Join(errs...); err != nil {
		c.crew.Close()
		return nil, err
	}
	c.props = actor.PropsFromProducer(func() actor.Actor { return &dispatcher{core: c} },
		actor.WithDispatcher(c.crew), actor.WithMailbox(c.life.Mailbox))
	return c.props, nil
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
	early          []*registration     // of Config, until the first start
	registered     uint64              // registrations begun
	children       map[string]*attempt // by the id of their actor, until that has ended
	departures     departures          // task actors that are stopping
	props          *actor.Props
	permanent      bool
	life           life.Restarts
	subscribers    map[string]*subscriber // by the id of their PID
	endlessAfter   time.Duration
	departing      *time.Timer // of the oldest; nil: not set
	registry       map[string]*entry
	stranger       *entry // stands for all unknown names
	unknownNames   unknownNames
	crew           scheduler
	runners        *actor.Props
	limits         map[string]poller.QueueAttributes // by pool; the empty name is this one
	skew           time.Duration                     // of the queue's clock against ours
	memories       memories                          // by message id
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
		base: context.Background(), registry: map[string]*entry{}, children: map[string]*attempt{},
		permits: permits{keeper: cfg.Shares, share: cfg.Share}, limits: map[string]poller.QueueAttributes{}, memories: memories{},
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
	c.crew = scheduler{crew.New[job](2*max(c.Workers, c.MaxWorkers) + 16)}
	c.runners = runnerProps(c.crew)
	c.permanent, c.life.OnFailure = cfg.Permanent, keepStack
	if c.endlessAfter = cfg.EndlessAfter; c.endlessAfter <= 0 {
		c.endlessAfter = defaultEndless
	}
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
	actor   *taskProps      // of a user's own task actor; nil for a function
	seq     uint64          // of the registration in force
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
	again    *life.Respawn // nil unless a stranger stops the dispatcher
	parent   *life.Parent  // of task actors: this dispatcher
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
	case *endedChild:
		d.onTerminated(&actor.Terminated{Who: m.who})
	case *stillborn:
		d.onStillborn(m)
	case *stopping:
		d.onStopping(m)
	case *overstayed:
		d.onOverstayed()
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
			d.again = d.life.Respawn(ctx)
			d.leaveFor(ErrRestarted)
		} else {
			d.leave(ErrDrained)
		}
	case *actor.Stopped:
		if d.again != nil {
			d.respawn(ctx)
			return
		}
		d.leaveShares()
		d.endSubscriptions()
		d.crew.Close()
		d.monitor.status.Store(int32(Stopped))
	default:
		if p := pointer(message); p != nil {
			d.receiveCommand(ctx, p)
		} else if actors.Refuse(ctx, hint) {
			d.monitor.strange.Add(1)
			d.log.Warn("the dispatcher does not know this message", "type", fmt.Sprintf("%T", message))
		}
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
	root := d.system.Root
	d.crew.Run(job{f: func() { root.Send(to, message) }})
}

func (d *dispatcher) onStarted(ctx actor.Context) {
	d.ctx, d.self, d.system = ctx, ctx.Self(), ctx.ActorSystem()
	d.parent = life.Under(d.system, d.self)
	d.slots.workers = d.Workers
	d.execs = map[poller.LeaseID]*execution{}
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
	for _, gauge := range []interface{ Store(int64) }{&m.running, &m.stalled, &m.silent, &m.held, &m.queued, &m.settling} {
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

// leaveFor is leave before the next incarnation.
func (d *dispatcher) leaveFor(cause error) {
	d.monitor.restarts.Add(1)
	d.epoch++
	d.leave(cause)
}

// leave ends what a stop or restart cannot take along: ctxs and timers. The
// leases are released by the next Subscribe, or end.
func (d *dispatcher) leave(cause error) {
	for _, e := range d.execs {
		e.disarm()
		d.remember(e)
		if a := e.cur; a != nil {
			d.release(a)
			a.cancel(cause)
			a.forsake()
			d.dismiss(a)
			d.unstall(a)
			d.monitor.running.Add(-1)
			e.entry.meter.running.Add(-1)
			e.entry.meter.interrupted.Add(1)
			d.endSpan(a, outcome{kind: outInterrupted, err: cause}, nextDropped)
		}
	}
	maps.DeleteFunc(d.children, func(_ string, a *attempt) bool { return a.props == nil }) // their ends come yet, and mean nothing
	clear(d.execs)
}
