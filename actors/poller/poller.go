package poller

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/internal/crew"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/internal/skew"
)

// Config is what a [Poller] is made of.
type Config struct {
	Settings Settings
	Client   *sqs.Client // required; sqsclient.New makes a fit one
	QueueURL string      // required; EnsureQueue returns it
	Sender   *Sender     // of Settle.Send; nil: one of its own
	Logger   *slog.Logger
	Tracing  *Tracing // nil: no spans
	// Random draws numbers in [0, 1) for the jitter of pauses, from several
	// goroutines. nil: math/rand/v2's own source.
	Random func() float64
	// Permanent, if it says true, spawns the actor again under its name when it is stopped
	// before a [Drain], with all leases, demand and requests under way. nil says false.
	Permanent func() bool
	// Context ends every request when it ends, receives too: for the end in a
	// hurry, when what a receive brings may stay invisible until its lease is
	// over. An orderly end is a Drain. nil: it never ends.
	Context context.Context
	// Recall makes a ctx for a receive. Its long poll is answered, with what it
	// has got, once the channel is closed, as a Drain does. The embedded queue
	// can do that. nil: a Drain waits for the receives under way, for AWS leaves
	// what an aborted one was given invisible.
	Recall func(ctx context.Context, recall <-chan struct{}) context.Context
}

// Poller is the conversation with one queue: make it with [New], spawn its
// [Poller.Props] once, and talk to the actor by the messages of this package.
// [Poller.Stats] may be called from any goroutine.
type Poller struct {
	cfg    Config
	set    Settings
	log    *slog.Logger
	counts counts
	base   context.Context
	clock  *skew.Clock

	attributes atomic.Pointer[QueueAttributes] // of the queue; nil until they were read

	life  life.Restarts
	crew  *crew.Crew[crew.Func] // of the requests and of the actor's turns
	mu    sync.Mutex
	actor *worker // what survives a restart of the actor; nil before it has started
	props *actor.Props
}

// New checks the settings and returns a poller that does nothing yet.
func New(cfg Config) (*Poller, error) {
	errs := []error{cfg.Settings.Validate()}
	if cfg.Client == nil {
		errs = append(errs, errors.New("poller: Config.Client is missing"))
	}
	if cfg.QueueURL == "" {
		errs = append(errs, errors.New("poller: Config.QueueURL is missing; EnsureQueue returns it"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p := &Poller{cfg: cfg, set: cfg.Settings.withDefaults(), log: cfg.Logger, base: cfg.Context,
		clock: skew.NewClock()}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.log = p.log.With("queue", cfg.QueueURL)
	p.life.OneEnvelope = true
	p.crew = crew.New[crew.Func](keptGoroutines)
	if p.base == nil {
		p.base = context.Background()
	}
	if p.cfg.Random == nil {
		p.cfg.Random = rand.Float64
	}
	if p.cfg.Sender == nil {
		p.cfg.Sender = NewSender(cfg.Client, SenderRandom(p.cfg.Random), func(o *senderOptions) { o.crew = p.crew })
	}
	return p, nil
}

// Props are for one actor: a second spawn while the first lives stops at once
// with an error in the log, for leases have one owner.
//
// After a panic a supervisor may restart the actor: leases, demand and requests
// under way live outside of it and go on, and the message that it failed on is
// tried once more. Stopping it cancels its requests; [Drain] and [Flush] come
// before.
func (p *Poller) Props(opts ...actor.PropsOption) *actor.Props {
	own := []actor.PropsOption{actor.WithMailbox(p.life.Mailbox), actor.WithDispatcher(scheduler{p.crew})}
	opts = append(own, opts...)
	props := actor.PropsFromProducer(func() actor.Actor { return &shell{poller: p} }, opts...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.props = props
	return props
}

// scheduler is the dispatcher, in Proto.Actor's sense, of the actor. Its turns run in the
// goroutines of its requests: one that ends a request takes the turn that the answer brings.
type scheduler struct{ *crew.Crew[crew.Func] }

// Schedule runs f.
func (s scheduler) Schedule(f func()) { s.Run(f) }

// Throughput is Proto.Actor's own number of messages in a turn.
func (s scheduler) Throughput() int { return 300 }

// shell is the actor. Its state is the worker's.
type shell struct {
	poller *Poller
	*worker
	again *life.Respawn // nil unless another actor stops this one
}

// Receive is called by the actor system.
func (s *shell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if s.worker = s.poller.claim(ctx); s.worker != nil {
			s.onStarted(ctx)
		}
	case *actor.Restarting:
	case *actor.Stopping:
		switch {
		case s.worker == nil:
		case s.comesBack():
			s.again = s.poller.life.Respawn(ctx)
		default:
			s.onStopping()
		}
	case *actor.Stopped:
		switch {
		case s.worker == nil:
		case s.again != nil:
			s.respawn(ctx)
		default:
			s.poller.disclaim(s.worker)
		}
	case *actor.Terminated:
		s.handle(ctx, m)
	default:
		if s.worker != nil {
			s.handle(ctx, m)
		}
	}
}

// comesBack reports whether a stop was ordered by another actor, not by a Drain.
func (s *shell) comesBack() bool {
	return s.drain == nil && s.poller.cfg.Permanent != nil && s.poller.cfg.Permanent()
}

// respawn spawns the actor again, under its name and its supervisor. It claims
// the worker as after a restart.
func (s *shell) respawn(ctx actor.Context) {
	s.log.Error("another actor stopped the poller: it begins again", "pid", s.self.Id)
	s.poller.mu.Lock()
	props := s.poller.props
	s.poller.mu.Unlock()
	if err := s.again.Spawn(ctx, props); err != nil {
		s.log.Error("the poller cannot begin again: nothing is received any more", "pid", s.self.Id, "error", err)
		s.onStopping()
		s.poller.disclaim(s.worker)
	}
}

func (p *Poller) claim(ctx actor.Context) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.actor == nil:
		p.actor = newWorker(p, ctx)
	case !p.actor.self.Equal(ctx.Self()):
		p.log.Error("a second actor was spawned for a poller that has one; it stops", "pid", ctx.Self().Id)
		ctx.Stop(ctx.Self())
		return nil
	}
	return p.actor
}

func (p *Poller) disclaim(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.actor == w {
		p.actor = nil
	}
}
