package pools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/internal/random"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
	"github.com/sambatech/chassis/task/envelope"
)

// Config is what [Pools] are made of.
type Config struct {
	Settings   Settings        // at the start
	InForce    func() Settings // now; nil: those at the start
	Queue      *queue.Queue
	Logger     func(name string) *slog.Logger // nil: nothing is logged
	Tracer     trace.Tracer                   // nil: no spans
	Middleware []task.Middleware              // around the handlers of all tasks, the first outermost
	Envelope   *envelope.Envelope             // of arguments; nil: by the settings
	Random     *random.Streams                // of jitter; nil: math/rand/v2's own source
	Service    string                         // its name: that of its inboxes, if there is no pool
	Schedules  func() cron.Table              // of the settings in force; nil: there are only those of the code
	Halted     context.Context                // ends with the first call of Stop: nothing is registered any more

	// Breakers returns those of the process; nil: tasks wait for no service. They are only
	// looked at, and listened to while a task waits for one.
	Breakers func() *breaker.Group

	// Judge returns the failure of a handler, or an error in its place that spends
	// nothing ([task.OpenBreaker]), while what tasks depend on is away. Nil: it stays.
	Judge func(ctx context.Context, err error) error
}

// Pools are the task pools of a process: a lane for each, and what is common to
// them. Every task that is registered is known in all of them. Until they are
// started they collect what is registered.
type Pools struct {
	cfg        Config
	actors     *life.Guardian // nil until the start
	sender     *poller.Sender
	open       atomic.Pointer[[]*lane] // the first is that of tasks.task_pool; copied on write
	monitor    *dispatcher.Monitor
	shares     shares.Monitor
	keeperOver atomic.Bool
	keeper     *actor.PID // of the shares; nil: there is one pool, bounded by its workers alone
	census     census
	envelopes  envelopes
	sealedBy   task.Option // its envelopes
	seals      atomic.Bool // a task or a pool has envelopes
	timesOver  atomic.Bool
	timesPID   *actor.PID // of the schedules; nil without
	background background
	addressing addressing

	mu    sync.Mutex // guards what follows
	times timetable
	early []*dispatcher.Register
	specs map[string]task.Spec
	after []follower                        // see Pool.Follow
	holds map[string]bool                   // checks that were ever given to Hold, and whether they pause the pools
	begun atomic.Pointer[dispatcher.Client] // of all lanes; nil until they are started
}

// New returns pools that can send. [Pools.Close] ends what they start.
func New(cfg Config) *Pools {
	if cfg.Logger == nil {
		discard := slog.New(slog.DiscardHandler)
		cfg.Logger = func(string) *slog.Logger { return discard }
	}
	if cfg.Judge != nil {
		cfg.Middleware = append([]task.Middleware{judged(cfg.Judge)}, cfg.Middleware...)
	}
	p := &Pools{cfg: cfg, specs: map[string]task.Spec{}, holds: map[string]bool{}}
	p.background.ctx, p.background.end = context.WithCancel(context.Background())
	opts := []poller.SenderOption{poller.SenderEnsure(p.ensure)}
	if f := cfg.Random.Of("sender"); f != nil {
		opts = append(opts, poller.SenderRandom(f))
	}
	p.sender = poller.NewSender(cfg.Queue.Client, opts...)
	p.census.pools, p.envelopes.pools = p, p
	p.sealedBy = task.SealedBy(&p.envelopes)
	var monitors []*dispatcher.Monitor
	var lanes []*lane
	for _, set := range cfg.Settings.EachPool() {
		l := &lane{pools: p, settings: set, monitor: dispatcher.NewMonitor()}
		lanes, monitors = append(lanes, l), append(monitors, l.monitor)
		p.seals.Store(p.seals.Load() || set.sealing() != 0)
	}
	p.open.Store(&lanes)
	p.monitor = dispatcher.MergeMonitors(monitors...)
	return p
}

func (p *Pools) lanes() []*lane { return *p.open.Load() }

// main returns the lane of tasks.task_pool.
func (p *Pools) main() *lane { return p.lanes()[0] }

// lane returns the lane of a pool of ours, or nil.
func (p *Pools) lane(pool string) *lane {
	for _, l := range p.lanes() {
		if l.name() == pool && pool != "" {
			return l
		}
	}
	return nil
}

func (p *Pools) log() *slog.Logger { return p.cfg.Logger("chassis") }

// Sender returns the sender, for its numbers and its end.
func (p *Pools) Sender() *poller.Sender { return p.sender }

// Tasks is what can be seen of the tasks of all pools without asking an actor:
// status, numbers, names, events.
func (p *Pools) Tasks() *dispatcher.Monitor { return p.monitor }

// Control is the typed way to pause, resume, inspect, cancel and snooze tasks, in
// all pools. It is nil before [Pools.Start] and in a process without tasks.
func (p *Pools) Control() *dispatcher.Client { return p.begun.Load() }

// Shares is what each pool has of the executions of this process, while there
// is more than one pool or tasks.total_workers is set.
func (p *Pools) Shares() *shares.Stats { return p.shares.Stats() }

// Each returns the pools, that of tasks.task_pool first.
func (p *Pools) Each() []Pool {
	list := make([]Pool, len(p.lanes()))
	for i, l := range p.lanes() {
		list[i] = Pool{l}
	}
	return list
}

// Names returns the names of the pools, that of tasks.task_pool first.
func (p *Pools) Names() (names []string) {
	for _, l := range p.lanes() {
		names = append(names, l.name())
	}
	return names
}

// startTimeout bounds each question to the queue at the start, and answers of
// our own actors.
const startTimeout = 30 * time.Second

// Start finds the queues and starts the actors, with every task that was
// registered so far known before the first message comes. A process that has
// registered none only sends: it starts nothing on the embedded queue, or if
// tasks.task_pool is not set.
func (p *Pools) Start(ctx context.Context, actors *life.Guardian) error {
	p.actors = actors
	p.addressing.guardian.Store(actors)
	p.mu.Lock()
	early, specs := p.early, maps.Clone(p.specs)
	p.mu.Unlock()
	jobs, err := p.openTimes()
	if err != nil {
		return err
	}
	if len(early) == 0 && (p.cfg.Queue.Server != nil || p.main().name() == "") {
		return nil
	}
	if err := p.checkEarly(early, specs); err != nil {
		return err
	}
	for _, l := range p.lanes() {
		if err := p.envelopes.check(l.settings.sealing()); err != nil {
			return fmt.Errorf("pool %q: %w", l.name(), err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := sqsclient.Check(ctx, p.cfg.Queue.Client); err != nil {
		return err
	}
	urls := make([]string, len(p.lanes()))
	for i, l := range p.lanes() {
		var err error
		if urls[i], err = poller.EnsureQueue(ctx, p.cfg.Queue.Client, l.name(), p.ensure(l.name())); err != nil {
			return err
		}
	}
	if err := p.makeTimes(jobs, urls); err != nil {
		return err
	}
	client, err := p.spawn(urls, early)
	if err == nil {
		err = p.startTimes()
	}
	if err != nil {
		err = errors.Join(err, p.Stop(ctx))
		for _, l := range p.lanes() {
			l.running.Store(nil) // they are gone: nothing may ask them again
		}
		return err
	}
	p.mu.Lock()
	late := p.early[len(early):] // registered meanwhile
	p.early = nil
	p.begun.Store(client)
	for by, on := range p.holds { // what has changed since the spawn
		p.hold(by, on)
	}
	p.mu.Unlock()
	for _, r := range late {
		p.registerLate(client, r)
	}
	return p.openAddresses()
}

func (p *Pools) spawn(urls []string, tasks []*dispatcher.Register) (*dispatcher.Client, error) {
	if total := p.cfg.Settings.TotalWorkers; len(p.lanes()) > 1 || total > 0 {
		props, err := shares.New(shares.Config{Limit: total, Logger: p.cfg.Logger("actors/shares"),
			Monitor: &p.shares, Over: p.keeperOver.Load})
		if err != nil {
			return nil, err
		}
		if p.keeper, err = p.actors.Spawn(props, "shares"); err != nil {
			return nil, err
		}
	}
	var pids []*actor.PID
	for i, l := range p.lanes() {
		r, err := l.spawn(urls[i], tasks)
		if err != nil {
			return nil, err
		}
		l.running.Store(r)
		pids = append(pids, r.dispatcher)
	}
	return dispatcher.NewClient(p.actors.System(), pids...), nil
}

// Resize puts the workers and the schedules of the settings in force into effect.
func (p *Pools) Resize(ctx context.Context) error {
	errs := []error{p.reschedule()}
	for _, l := range p.lanes() {
		if r, set := l.running.Load(), l.inForce(); r != nil {
			errs = append(errs, r.client.Resize(ctx, set.Workers, set.MaxWorkers, set.ScaleFactor))
		}
	}
	return errors.Join(errs...)
}

// Stop drains all lanes at once. What runs gets the setting drain_timeout, and not
// longer than until ctx ends.
func (p *Pools) Stop(ctx context.Context) error {
	late := p.stopTimes(ctx)
	defer p.stopAddresses(ctx) // after the lanes: a handler may ask to its end
	errs := make([]error, len(p.lanes())+1)
	var work sync.WaitGroup
	for i, l := range p.lanes() {
		work.Go(func() { errs[i] = l.stop(ctx) })
	}
	work.Wait()
	if p.keeper != nil {
		p.keeperOver.Store(true)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), life.StopTimeout)
		defer cancel()
		errs[len(p.lanes())] = p.actors.Stop(end, p.keeper)
		p.keeper = nil
	}
	return errors.Join(append(errs, late)...)
}

// Close is the last call. It ends what was started to answer a question, and what the
// sender still has. From here on [Pools.Queues] returns the last numbers.
func (p *Pools) Close() {
	p.background.close()
	_ = p.sender.Close(p.background.ctx) // each message was answered already, or is now
	p.envelopes.close()
}

// background runs the goroutines that were started to answer a question.
type background struct {
	ctx context.Context
	end context.CancelFunc

	mu   sync.Mutex // guards work against a start after the end
	work sync.WaitGroup
}

// run starts f, which must end with the ctx, unless that has ended.
func (b *background) run(f func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.work.Go(func() { f(b.ctx) })
	}
}

func (b *background) close() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.work.Wait()
}
