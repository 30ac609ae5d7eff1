package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin/console"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/internal/random"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// System is a service: its logger, breakers, queue and tasks, started and stopped in order. Make it with [New].
type System struct {
	life     *life.Cycle
	name     string
	settings Settings // those of New; see current
	log      *logger.Logger
	actors   *life.Guardian
	watch    *lifecycle.Watch
	tracer   trace.Tracer // nil: no spans
	queue    *queue.Queue
	breakers *breaker.Group
	tasks    *pools.Pools
	checks   *health.Group
	parts    *parts.Group
	console  *console.Console

	current    atomic.Pointer[Settings]    // in force
	applying   sync.Mutex                  // one Apply at a time
	source     source                      // that the settings were loaded from
	givenQueue bool                        // by WithSQS or WithEmbedded
	unfollow   func(context.Context) error // nil unless they are watched
}

// New makes the system of the service name. Without [WithSettings] it reads [Sources]. It takes nothing from the queue
// yet; breakers, logs and [Send] work. A program that calls neither Run nor Start must call Stop in the end.
func New(name string, opts ...Option) (*System, error) {
	o := options{def: true}
	for _, opt := range opts {
		opt(&o)
	}
	if name == "" {
		return nil, errors.New("chassis: the service has no name: give one to chassis.New")
	}
	if o.settings == nil {
		_, use, err := Load(DefaultSettings(), append(Sources(), settings.Shared())...)
		if err != nil {
			return nil, fmt.Errorf("chassis: the settings of service %q:\n%w", name, err)
		}
		use(&o)
	}
	s := &System{life: life.NewCycle(), name: name, settings: *o.settings}
	s.givenQueue = o.client != nil || o.server != nil
	if err := s.settings.check(name, s.givenQueue); err != nil {
		return nil, fmt.Errorf("chassis: the settings of service %q:\n%w", name, err)
	}
	var err error
	first := s.settings
	s.current.Store(&first)
	if s.source = o.source; s.source == nil {
		if s.source, err = watch.NewPart[Settings, Settings](nil, DefaultSettings(), first); err != nil {
			return nil, fmt.Errorf("chassis: the settings of service %q: %w", name, err)
		}
	}
	s.source.Set(first)
	if s.log, err = logger.New(name, s.settings.Log, o.logs...); err != nil {
		return nil, fmt.Errorf("chassis: the log of service %q: %w", name, err)
	}
	streams := random.New(o.random)
	if s.queue, err = queue.Open(context.Background(), s.settings.Queue, queue.WithClient(o.client),
		queue.WithServer(o.server), queue.WithServerOptions(localsqs.Logger(s.Logger("localsqs"))),
		queue.WithRandom(streams.Of("queue"))); err != nil {
		return nil, fmt.Errorf("chassis: %w", err)
	}
	if o.def {
		slog.SetDefault(s.log.Slog())
	}
	if o.tracing != nil {
		s.tracer = o.tracing.Tracer("github.com/sambatech/chassis")
	}
	s.checks = health.NewGroup(health.Config{Logger: s.Logger("health"),
		Changed: func(name string, up bool) { s.tasks.Hold(name, !up) }})
	s.tasks = pools.New(pools.Config{
		Settings: s.settings.Tasks, InForce: func() TaskSettings { return s.Settings().Tasks }, Queue: s.queue,
		Logger: s.Logger, Tracer: s.tracer, Middleware: o.around, Random: streams, Halted: s.life.Halted(),
		Judge: s.checks.Judge, Schedules: func() cron.Table { return s.Settings().Schedules },
		Breakers: func() *breaker.Group { return s.breakers }, Envelope: o.envelope, Service: name,
	})
	if err = s.newActors(o.actors); err != nil {
		return nil, fmt.Errorf("chassis: the actor system of service %q: %w", name, err)
	}
	s.breakers = breaker.NewGroup(breaker.GroupConfig{
		System: s.Actors(), Settings: s.settings.CircuitBreaker, Logger: s.Logger("chassis"), Tracer: s.tracer,
		Options: []breaker.Option{breaker.WithLogger(s.Logger("actors/breaker")), breaker.WithPacing(task.Paced),
			breaker.WithAmbientDeadline(task.AttemptEnd), breaker.WithWitness(task.NoteFailedCall)},
		Random: func(service string) func() float64 { return streams.Of("breaker/" + service) },
	})
	s.parts = parts.NewGroup(parts.Config{
		Settings: func() parts.Settings { return s.Settings().Lifecycle }, Logger: s.Logger,
		Fail:  func() { go func() { _ = s.life.Stop(context.Background(), false, s.stop) }() },
		Check: func(name string, check func(context.Context) error) { s.checks.Add(name, check) },
	})
	s.console = console.New(console.Config{
		Settings: s.settings.Admin, Name: name, Queue: s.queue.String(), State: s.State, Pools: s.tasks, Breakers: s.breakers,
		Checks: s.checks, Parts: s.parts, Without: func() []string { return s.Settings().Lifecycle.ReadyWithout },
		Log: s.log, Actors: s.Lifecycle().Counts, Source: s.source, Applying: &s.applying, Metrics: o.metrics, Wrap: o.adminWrap,
	})
	return s, nil
}

// MustNew is [New] for a main function: it writes the error to stderr and ends the process with status 1.
func MustNew(name string, opts ...Option) *System {
	s, err := New(name, opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return s
}

// Name is the service's name.
func (s *System) Name() string { return s.name }

// Settings are the settings in force.
func (s *System) Settings() Settings { return *s.current.Load() }

// SQS is the client of the queue, AWS's or the embedded one, for what the chassis does not do.
func (s *System) SQS() *sqs.Client { return s.queue.Client }

// Logger returns a logger with a name, by which its level can be set apart.
// Its records carry the service and, given the ctx of a task, the job.
func (s *System) Logger(name string) *slog.Logger { return s.log.Named(name) }

// Log is the logger's handle: levels, counters, the last records.
func (s *System) Log() *logger.Logger { return s.log }

// Guard is to be deferred in main, itself: a panic is logged with its stack,
// what the logger holds is written, and the panic goes on.
//
//	defer sys.Guard()
func (s *System) Guard() {
	if r := recover(); r != nil {
		s.log.Panicked(r)
	}
}

// Add adds a part that lives in the order of the system: see package parts. Its mistakes
// are errors of [System.Start].
func (s *System) Add(name string, part parts.Part, opts ...parts.Option) {
	s.parts.Add(name, part, opts...)
}

// Serve serves an HTTP server from the start to the stop, on server.Addr. The server is the system's
// from here on. For its limits, TLS, unix sockets, and long requests at a stop see [parts.HTTP].
func (s *System) Serve(server *http.Server, opts ...parts.Option) { s.ServeOn(nil, server, opts...) }

// ServeOn is [System.Serve] on a listener of the service's own.
func (s *System) ServeOn(l net.Listener, server *http.Server, opts ...parts.Option) {
	p := parts.HTTP(l, server)
	s.Add(p.Name(), p, slices.Concat([]parts.Option{parts.Intake()}, opts)...)
}

// Go runs a function from the start until the tasks have drained; with [parts.Intake]
// until before they do. Its error, or panic, ends the system, and is that of Run.
func (s *System) Go(name string, run func(ctx context.Context) error, opts ...parts.Option) {
	s.Add(name, parts.Func(run), opts...)
}

// OnStop calls a function after the tasks have drained, the last that was added first,
// in a system that was never started, too. ctx ends with its time.
func (s *System) OnStop(name string, stop func(ctx context.Context) error, opts ...parts.Option) {
	s.Add(name, parts.Closer(stop), slices.Concat([]parts.Option{parts.EvenUnstarted()}, opts)...)
}

// Check checks a dependency in the background, by default for readiness: see package health.
func (s *System) Check(name string, check func(ctx context.Context) error, opts ...health.Option) {
	s.checks.Add(name, check, opts...)
}

// State is where the system is in its life.
func (s *System) State() State { return s.life.State() }

// Run starts the system, serves until ctx ends or the process gets SIGTERM or SIGINT, and stops
// it. It also serves the live page, probes and metrics on admin.listen, by default 127.0.0.1:9190;
// Start does so only where that is set. Running tasks see neither: they get the drain's time. A
// second signal cuts the drain short; one during the start ends it with an error, logged too.
func (s *System) Run(ctx context.Context) error {
	program := func(ctx context.Context) error { return s.begin(ctx, true) }
	err := s.life.Run(ctx, s.log.Unawaited("chassis"), program, s.Stop)
	if err != nil {
		s.log.Slog().Error("the service ended with an error", "error", err)
	}
	return err
}

// Start checks that the queue can be used, and begins to take tasks if any are registered or tasks.task_pool is set.
// An error comes before the first message is taken. A system that could not be started can only be stopped. A
// [System.Stop] meanwhile ends it with [ErrStopped].
func (s *System) Start(ctx context.Context) error { return s.begin(ctx, false) }

// begin is [System.Start]. A program serves its live page without a setting.
func (s *System) begin(ctx context.Context, program bool) error {
	return s.life.Start(ctx, func(ctx context.Context) error {
		return life.Steps(ctx, "chassis: start the",
			life.Stage{Name: "logger", Work: s.log.Spawner(s.Actors())},
			life.Stage{Name: "admin server", Work: func(context.Context) error { return s.console.Open(program) }},
			life.Stage{Name: "parts", Work: s.parts.Open},
			life.Stage{Name: "parts", Work: s.parts.StartSupport},
			life.Stage{Name: "checks", Work: s.checks.Start},
			life.Stage{Name: "tasks", Work: life.Locked(&s.applying, // so that no pool misses an Apply while it starts
				func(ctx context.Context) error { return s.tasks.Start(ctx, s.actors) })},
			life.Stage{Name: "servers", Work: s.parts.StartIntake},
		)
	}, s.running)
}

// running is called once tasks are taken.
func (s *System) running() {
	s.follow()
	log := s.Logger("chassis")
	log.Info("running", "queue", s.queue.String(), "pool", strings.Join(s.tasks.Names(), ", "))
	if !s.givenQueue {
		s.settings.Queue.WarnOfAWS(log)
	}
}

// AdminURL is where the live page is, or "".
func (s *System) AdminURL() string { return s.console.URL() }

// Stop drains and stops the system in the order of doc.go and waits for it. It
// may be called at any time and any number of times; all calls return the same
// error. When ctx ends the drain is cut short: running tasks are cancelled and
// given back at once. The error names what did not end.
//
// Called by a task, or with the ctx of a request or of a [System.Go], it begins the
// stop and returns nil at once: the drain waits for its caller. A goroutine that a
// handler has started is known as its own by ctx alone.
func (s *System) Stop(ctx context.Context) error {
	within := task.JobFrom(ctx) != nil || dispatcher.InAttempt() || parts.Stopping(ctx) != nil
	if within {
		ctx = context.Background() // its own ends with the task, and carries the job
	}
	return s.life.Stop(ctx, !within, s.stop)
}

// stop runs once. drain ends when the drain is to be cut short.
func (s *System) stop(drain context.Context) error {
	defer s.log.Hasten()()
	log := s.Logger("chassis")
	stages := life.NewStages(drain, log)
	err := stages.Run(life.Stage{Name: "settings", Work: s.unfollow})
	s.parts.Drain(drain)
	err = errors.Join(err, stages.Run(
		life.Stage{Name: "servers", Work: func(context.Context) error { return s.parts.StopIntake(drain) }},
		life.Stage{Name: "tasks", Work: func(context.Context) error { return s.tasks.Stop(drain) }},
		life.Stage{Name: "actors", Work: s.actors.StopGuests},
		life.Stage{Name: "checks", Work: s.checks.Stop},
		life.Stage{Name: "parts", Work: func(context.Context) error { return s.parts.StopSupport(drain) }},
		life.Stage{Name: "sender", Work: s.tasks.Sender().Close},
		life.Stage{Name: "breakers", Work: s.breakers.Stop},
		life.Stage{Name: "queue", Work: s.queue.Close},
	), s.parts.Err())
	if err != nil {
		log.Error("stopped", "error", err)
	} else {
		log.Info("stopped")
	}
	err = errors.Join(err, stages.Run(
		life.Stage{Name: "log", Work: s.log.Stop},
		life.Stage{Name: "admin", Work: s.console.Close},
	))
	s.tasks.Close()
	return err
}
