package schedules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/internal/skew"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// Config is what [Schedules] are made of.
type Config struct {
	Pool   string // the queue of ticks, a FIFO queue
	URL    string // of that queue
	Client *sqs.Client
	Logger *slog.Logger // nil: nothing is logged
	Jobs   []Job        // at the start

	// Sealer makes the envelopes of arguments, as messages are sent; nil: they have none.
	Sealer task.Sealer

	// Span begins the span of a send, which is the parent of its messages. end is called
	// with the error of each. nil: there is no tracing.
	Span func(ctx context.Context) (in context.Context, end func(errs []error))

	// Over reports whether a stop is for good. Before, the actor is spawned again
	// under its name when another actor stops it. nil: each stop is for good.
	Over func() bool
}

// Schedules are the schedules of one process.
type Schedules struct{ core *core }

// core is what outlives a restart of the actor.
type core struct {
	cfg      Config
	log      *slog.Logger
	clock    *clock
	register *register
	board    board
	life     life.Restarts
	props    *actor.Props

	// The actor's.
	jobs   []*Job
	states map[string]state
	cache  reading
	tags   pending
	ctx    context.Context // of what runs apart from the actor, until its stop
	end    context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex // guards what follows
	complaint time.Time  // of the last warning about the register
}

// New returns schedules for one actor, of [Schedules.Props].
func New(cfg Config) (*Schedules, error) { return newOn(cfg, skew.NewClock()) }

// newOn returns those of a process with that clock.
func newOn(cfg Config, own *skew.Clock) (*Schedules, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Over == nil {
		cfg.Over = func() bool { return true }
	}
	c := &core{cfg: cfg, log: cfg.Logger, clock: &clock{own: own}, states: map[string]state{}}
	c.register = &register{cfg.Client, cfg.URL, c.clock}
	c.ctx, c.end = context.WithCancel(context.Background())
	if err := c.check(cfg.Jobs); err != nil {
		c.end()
		return nil, err
	}
	c.set(slices.Clone(cfg.Jobs), true)
	c.props = actor.PropsFromProducer(func() actor.Actor { return &schedules{core: c, next: map[*Job]nextTick{}} },
		actor.WithMailbox(c.life.Mailbox))
	return &Schedules{c}, nil
}

// Props are those of the actor.
func (s *Schedules) Props() *actor.Props { return s.core.props }

// check returns what is wrong with jobs: names that are there twice, and arguments that
// cannot be sent.
func (c *core) check(jobs []Job) error {
	var errs []error
	seen, remembered := map[string]bool{}, 0
	for i := range jobs {
		name := jobs[i].Schedule.Name()
		if seen[name] {
			errs = append(errs, fmt.Errorf("schedule %q is there twice: give one another name, with cron.Name", name))
		}
		seen[name] = true
		if strings.HasSuffix(name, tagPaused) || strings.HasSuffix(name, tagRan) {
			errs = append(errs, fmt.Errorf("schedule %q: a name does not end in %s or %s, which are tags of others: "+
				"give it another, with cron.Name", name, tagPaused, tagRan))
		}
		if jobs[i].Schedule.Late() != cron.Never {
			remembered++
		}
		if _, err := c.encode(&jobs[i], cron.Tick{At: time.Unix(0, 0).UTC(), Due: time.Unix(0, 0).UTC()}); err != nil {
			errs = append(errs, fmt.Errorf("schedule %q: %w", name, err))
		}
	}
	if remembered > maxRemembered {
		errs = append(errs, fmt.Errorf("%d schedules send what was missed (late): there is room for %d in the tags "+
			"of a queue, and SQS allows 50", remembered, maxRemembered))
	}
	return errors.Join(errs...)
}

// maxRemembered is how many schedules may ask for what was missed. Each has a tag of the
// queue, which may have 50; the rest is for pauses and for runs that last over a tick.
const maxRemembered = 30

// set takes new jobs over. Nothing of one that comes or changes while the process runs is
// late; at the start the register says what is.
func (c *core) set(jobs []Job, start bool) {
	ahead, measured := c.clock.measured()
	now := c.clock.local().Add(ahead)
	old := map[string]*Job{}
	for _, j := range c.jobs {
		old[j.Schedule.Name()] = j
	}
	c.jobs = nil
	states := map[string]state{}
	for i := range jobs {
		j := &jobs[i]
		j.print = fingerprint(j.Schedule)
		name := j.Schedule.Name()
		st, known := c.states[name]
		switch {
		case !known && start:
			st = state{}
		case !known, !old[name].Schedule.Equal(j.Schedule):
			st = state{decided: now, own: now, known: true, measured: measured}
		}
		c.jobs, states[name] = append(c.jobs, j), st
	}
	c.states = states
	c.board.set(c.jobs)
}

// complain logs what is wrong with the register, once in a while.
func (c *core) complain(err error, so string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.complaint.IsZero() || now.Sub(c.complaint) >= barredFor {
		c.complaint = now
		c.log.Warn("the tags of the queue of ticks cannot be used: "+so, "pool", c.cfg.Pool, "error", err)
	}
}

// Send asks the actor to send the task of a schedule now.
func (s *Schedules) Send(ctx context.Context, system *actor.ActorSystem, pid *actor.PID, name string) (string, error) {
	ran, err := actors.Ask[*Ran](ctx, system, pid, &Run{Name: name})
	if err != nil {
		return "", err
	}
	return ran.ExecID, nil
}

// Pause asks the actor to pause a schedule in the whole fleet, or to end that.
func (s *Schedules) Pause(ctx context.Context, system *actor.ActorSystem, pid *actor.PID, name string, on bool) error {
	_, err := actors.Ask[*Paused](ctx, system, pid, &Pause{Name: name, On: on})
	return err
}

// ErrUnknown says that the process has no schedule of that name.
var ErrUnknown = errors.New("schedules: there is no schedule of this name")
