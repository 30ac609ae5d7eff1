package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/internal/clip"
)

// DefaultGroupLimit is the most breakers of a [Group] by default. A service that
// makes a breaker for each host that its callers name stays bounded.
const DefaultGroupLimit = 10_000

// DefaultGroupAge is the age of a [Group] by default. Work that comes every hour
// or more often keeps its breaker in sight; a healthy breaker has no state to lose.
const DefaultGroupAge = 70 * time.Minute

// beyondLimit is the service of the breaker that stands for all services beyond
// the limit of a group. It guards nothing: it admits every call, and requests to
// other services pass through it.
const beyondLimit = "https://beyond-the-limit-of-breakers.invalid"

// GroupConfig is what a [Group] is made of.
type GroupConfig struct {
	System   *actor.ActorSystem // required: the breakers live in it
	Settings GroupSettings
	Options  []Option                            // of every breaker; the caller's own go over them
	Tracer   trace.Tracer                        // makes spans of the calls; nil: there are none
	Random   func(service string) func() float64 // for WithRandom; may be nil, or return nil
	Logger   *slog.Logger                        // logs that the limit is reached, once in each Age; nil: not logged
	Limit    int                                 // most breakers, default DefaultGroupLimit
	Age      time.Duration                       // without a call, see [Group]; default DefaultGroupAge
}

// Group holds the breakers of a process, one for each service. A redirect that a
// client of one follows to another service is guarded by that service's breaker,
// if the group has it. A Group is safe for use by several goroutines at once.
//
// A group forgets a breaker that had no call for its age, that is closed with no
// failure within forget_after, and that no caller holds. A handle that a caller
// holds stays the breaker of its service. These breakers are never forgotten:
//
//   - those that are open, or in an operator's state;
//   - those with limits of their own, by circuit_breaker.services or SetSettings;
//   - those that are listened to, and those that have given away their PID.
//
// One that is half-open, or counts failures still, is forgotten after 21 ages, a day by
// default. A breaker that was made with options of its own outlives its age, and goes when
// more than half of the limit is in use. Then breakers go before their age, those
// that were idle for longest first.
type Group struct {
	cfg      GroupConfig
	applying sync.Mutex // one Apply at a time
	sweeps   sync.WaitGroup

	mu       sync.Mutex // guards what follows; the state of a breaker is its actor's
	settings GroupSettings
	each     map[string]*entry // by Service; nil once the group has stopped
	timer    *time.Timer       // of the next sweep; nil before the first breaker
	soon     bool              // the next sweep is within sweepSoon
	warned   time.Time         // when the limit was logged last
}

// entry is one breaker of a group. Its actor keeps it from the garbage collector,
// and while it sleeps its callers alone do.
type entry struct {
	service string
	weak    weak.Pointer[Breaker]
	own     bool // made with options of the caller's own
}

// NewGroup returns a group without breakers. The settings must be valid.
func NewGroup(cfg GroupConfig) *Group {
	cfg.Limit = cmp.Or(cfg.Limit, DefaultGroupLimit)
	cfg.Age = cmp.Or(cfg.Age, DefaultGroupAge)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Group{cfg: cfg, settings: cfg.Settings, each: map[string]*entry{}}
	g.cfg.Options = append([]Option{WithFinder(g.Find)}, cfg.Options...)
	if cfg.Tracer != nil {
		g.cfg.Options = append(g.cfg.Options, WithTracer(cfg.Tracer))
	}
	return g
}

// Breaker returns the breaker of a service, scheme://host[:port] in any spelling.
// The first call spawns it with the limits of the settings and with opts; later
// calls ignore opts. Services beyond the limit of the group share one breaker
// that admits every call. The error is [ErrStopped] after [Group.Stop], or says
// what is wrong with the service or an option.
func (g *Group) Breaker(service string, opts ...Option) (*Breaker, error) {
	b, full, err := g.breaker(service, opts)
	if err != nil || !full {
		return b, err
	}
	if err := b.ForceClosed("", 0); err != nil && !errors.Is(err, ErrStopped) {
		return nil, err
	}
	g.cfg.Logger.Error("the service has too many breakers: calls to further services are not guarded",
		"most", g.cfg.Limit, "service", clip.ID(service))
	return b, nil
}

// breaker returns the breaker of a service. full is true if that is the one beyond
// the limit, and it is new or the limit was not logged for an age.
func (g *Group) breaker(service string, opts []Option) (b *Breaker, full bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.each == nil {
		return nil, false, ErrStopped
	}
	if b := g.find(service); b != nil {
		return b, false, nil
	}
	name, err := ParseService(service)
	if err != nil {
		return nil, false, err
	}
	if b := g.find(name); b != nil {
		return b, false, nil
	}
	if len(g.each) >= g.cfg.Limit && g.each[name] == nil {
		g.sweepIn(sweepSoon)
		if full = time.Since(g.warned) >= g.cfg.Age; full {
			g.warned = time.Now()
		}
		if b := g.find(beyondLimit); b != nil {
			return b, full, nil
		}
		name, opts, full = beyondLimit, nil, true
	}
	all := slices.Concat(g.cfg.Options, opts)
	if g.cfg.Random != nil {
		if f := g.cfg.Random(name); f != nil {
			all = slices.Insert(all, 0, WithRandom(f))
		}
	}
	b, err = Spawn(g.cfg.System, name, g.settings.Of(name), all...)
	if err != nil {
		return nil, false, err
	}
	e := &entry{service: name, weak: weak.Make(b), own: len(opts) > 0}
	runtime.AddCleanup(b, forgetter{weak.Make(g)}.forget, e)
	g.each[name] = e
	if g.crowded() {
		g.sweepIn(sweepSoon)
	} else {
		g.sweepIn(g.cfg.Age / sweepsPerAge)
	}
	return b, full, nil
}

// find returns the breaker of a service, or nil. The caller holds mu.
func (g *Group) find(service string) *Breaker {
	if e := g.each[service]; e != nil {
		return e.weak.Value()
	}
	return nil
}

// Find returns the breaker of a service as [Breaker.Service] spells it, or nil.
func (g *Group) Find(service string) *Breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.find(service)
}

// PID returns the address of a breaker by its name, "breaker/" and the service in any
// spelling, or nil.
func (g *Group) PID(name string) *actor.PID {
	service, ok := strings.CutPrefix(name, "breaker/")
	if !ok {
		return nil
	}
	if canonical, err := ParseService(service); err == nil {
		service = canonical
	}
	if b := g.Find(service); b != nil {
		return b.PID()
	}
	return nil
}

// Breakers returns all breakers, by service.
func (g *Group) Breakers() []*Breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	return inOrder(g.each)
}

// inOrder returns the breakers of the entries that still have one, by service.
func inOrder(each map[string]*entry) []*Breaker {
	all := make([]*Breaker, 0, len(each))
	for _, e := range each {
		if b := e.weak.Value(); b != nil {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *Breaker) int { return strings.Compare(a.service, b.service) })
	return all
}

// Apply puts new settings in force, for later breakers and by [Breaker.Follow]
// for those that are there. The error names each breaker that refuses them.
func (g *Group) Apply(next GroupSettings) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.mu.Lock()
	old := g.settings
	g.settings = next // first: a breaker that is spawned from here on begins with it
	g.mu.Unlock()
	var errs []error
	for _, b := range g.Breakers() {
		errs = append(errs, b.Follow(old.Of(b.service), next.Of(b.service)))
	}
	return errors.Join(errs...)
}

// Stop stops all breakers and waits for them until ctx ends. The error names each
// one that did not end. A later [Group.Breaker] fails with [ErrStopped].
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	all := inOrder(g.each)
	g.each = nil
	if g.timer != nil {
		g.timer.Stop()
	}
	g.mu.Unlock()
	var errs []error
	for _, b := range all {
		if err := b.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("breaker %s: %w", b.service, err))
		}
	}
	g.sweeps.Wait() // it asks breakers alone, and they have stopped
	return errors.Join(errs...)
}
