package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/internal/crew"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/internal/recent"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a dispatcher is made of.
type Config struct {
	Settings   Settings
	Pool       string     // name of the queue; one that ends in .fifo keeps the order of its groups
	Poller     *actor.PID // of the pool; the dispatcher subscribes to it
	Logger     *slog.Logger
	Tracer     trace.Tracer       // of a span for each attempt; nil: none
	Monitor    *Monitor           // what the outside sees; nil: nothing
	Tasks      []*Register        // known before the first message is asked for
	Open       Open               // takes arguments out of their envelope; nil: sealed ones wait for another process
	Middleware []task.Middleware  // around all handlers, outside of their own; the first is the outermost
	Shares     *actor.PID         // of the process's executions, if the process has other pools; see package shares
	Share      shares.Share       // this pool's part of them
	Follow     task.Follow        // what follows an execution that has ended for good; nil: nothing
	NoFlows    bool               // Follow does not know flows: their tasks are left to other processes
	Answered   func(inbox string) // called before an asker is answered; it must not block; nil: no call
	Services   Services           // what guards the services that tasks call; nil: nothing is known of them
	Create     bool               // make the queue of the dead letters if it is not there
	Random     func() float64     // draws numbers in [0, 1) for waits; nil: math/rand/v2's own source
	// PausedBy are those that pause the pool from its start: see [Pause.By].
	PausedBy []string
	// Permanent, if it says true, spawns the dispatcher again under its name when it is
	// stopped before a [Drain]: by a task actor that stops its parent, for example. nil says false.
	Permanent func() bool
	// EndlessAfter is the time after which an attempt without a Deadline that has
	// reported no progress counts as stalled. 0: 20 minutes.
	EndlessAfter time.Duration
	Context      context.Context // parent of all handlers' ctxs, for its values; its end is not heeded
}

// New returns the props of a pool's dispatcher. They are for one actor: what
// must survive its restarts, the registry above all, lives in them. Settings
// out of their range are an error.
func New(cfg Config) (*actor.Props, error) {
	if err := errors.Join(cfg.Settings.Validate(), cfg.Settings.Limits.Check("tasks", cfg.Pool),
		cfg.Share.Check()); err != nil {
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
	open           Open
	random         func() float64
	logging        task.Middleware // the outermost of them; task actors have no other
	base           context.Context
	early          []*registration     // of Config, until the first start
	registered     uint64              // registrations begun
	children       map[string]*attempt // by the id of their actor, until that has ended
	departures     departures          // task actors that are stopping
	props          *actor.Props
	permanent      func() bool // or nil
	life           life.Restarts
	subscribers    map[string]*subscriber // by the id of their PID
	endlessAfter   time.Duration
	departing      *time.Timer // of the oldest; nil: not set
	registry       map[string]*entry
	unknownTask    *entry // stands for all unknown names
	unknownNames   unknownNames
	crew           scheduler
	runners        *actor.Props
	made           *runner                           // the last one; a spawn makes it on the dispatcher's goroutine
	limits         map[string]poller.QueueAttributes // by pool; the empty name is this one
	services       Services
	follow         task.Follow
	noFlows        bool
	answered       func(inbox string)
	cancelled      recent.Map[outcome] // by exec_id: what comes after its cancel
	memories       memories            // by message id
	journals       journals            // of messages that no copy carries
	paused         bool
	holds          map[string]bool // who pauses the pool: checks by name, "" the operators
	drain          *drain
	permits        permits
	epoch          uint64          // of the subscription: the restarts before it
	create         bool            // the queue of the dead letters, if it is not there
	found          map[string]bool // of the queues' attributes, what was logged
	moved          bool            // a message was moved to another group: it was logged
}

func newCore(cfg Config) *core {
	c := &core{
		Settings: cfg.Settings.withDefaults(), pool: cfg.Pool, deadPool: cfg.Settings.DeadLetterPool,
		ordered: strings.HasSuffix(cfg.Pool, ".fifo"), poller: cfg.Poller, log: cfg.Logger, monitor: cfg.Monitor, tracer: cfg.Tracer,
		base: context.Background(), registry: map[string]*entry{}, children: map[string]*attempt{},
		permits: permits{keeper: cfg.Shares, share: cfg.Share}, limits: map[string]poller.QueueAttributes{}, memories: memories{},
		cancelled: recent.Map[outcome]{Most: mostCancelled},
		services:  cfg.Services, follow: cfg.Follow, answered: cfg.Answered, noFlows: cfg.Follow == nil || cfg.NoFlows, create: cfg.Create, found: map[string]bool{}, holds: map[string]bool{},
	}
	if c.deadPool == "" {
		c.deadPool = DeadLetterPool(cfg.Pool)
	}
	if c.open = cfg.Open; c.open == nil {
		c.open = noOpener
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.monitor == nil {
		c.monitor = NewMonitor()
	}
	for _, by := range cfg.PausedBy {
		c.holds[by] = true
	}
	c.showPauses()
	c.crew = scheduler{crew.New[job](2*max(c.Workers, c.MaxWorkers) + 16)}
	c.runners = runnerProps(c.crew, &c.made)
	c.permanent, c.life.OnFailure, c.life.OneEnvelope = cfg.Permanent, keepStack, true
	if c.endlessAfter = cfg.EndlessAfter; c.endlessAfter <= 0 {
		c.endlessAfter = defaultEndless
	}
	if c.random = cfg.Random; c.random == nil {
		c.random = rand.Float64
	}
	if cfg.Context != nil {
		c.base = context.WithoutCancel(cfg.Context)
	}
	c.log = c.log.With("pool", cfg.Pool)
	c.logging = task.Logging(c.log)
	c.middleware = cfg.Middleware
	c.unknownTask = &entry{meter: c.monitor.meter("")}
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
	parked  []*execution // over the task's limit, or paused; by turns
	turns   turns        // of the parked
	claims  int          // asked for and not answered, where the limit is the process's
	pace    pace         // of its starts
	full    time.Time    // since when messages go back for want of room here; zero: none do
	outage  bool         // of those, since a breaker refuses them
	behind  *behind      // services that it calls; nil: none is known

	labelled context.Context // core.base with pprof's labels of the task and its pool; nil: without
}
