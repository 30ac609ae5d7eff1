package parts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// Config is what a [Group] is made of.
type Config struct {
	Settings func() Settings                // in force
	Logger   func(name string) *slog.Logger // nil: nothing is logged

	// Fail is called once, when a part has ended by an error while the service runs: it
	// begins the stop of the service. Its error is [Group.Err].
	Fail func()

	// Check is called for each part that is a [Checker]. Nil: they are not checked.
	Check func(name string, check func(context.Context) error)
}

// Group is the parts of a service.
type Group struct {
	cfg      Config
	log      *slog.Logger
	draining context.Context // ends when readiness says no
	drain    context.CancelFunc

	mu      sync.Mutex // guards what follows, and the entries
	entries []*entry   // in the order of adding
	wrong   []error    // of Add, before the start
	phase   phase
	failed  error // of the first part that ended by an error
}

// phase is what of a service's life has begun.
type phase int

const (
	adding     phase = iota
	opening          // Open has begun
	supporting       // support parts are started
	taking           // intake parts are started
	closing          // intake parts are stopped
	closingAll       // support parts are stopped
)

// entry is one part.
type entry struct {
	part   Part
	name   string
	intake bool
	serves bool          // it takes requests
	within time.Duration // 0: by the settings
	always bool

	turn         sync.Mutex // held while the part is opened, started or stopped
	opened, live bool       // Open, or Start, has returned nil; guarded by turn

	// Guarded by Group.mu.
	claimed bool // its start has begun
	ending  bool
	state   State
	since   time.Time
	err     error
}

// NewGroup returns a group without parts.
func NewGroup(cfg Config) *Group {
	if cfg.Logger == nil {
		discard := slog.New(slog.DiscardHandler)
		cfg.Logger = func(string) *slog.Logger { return discard }
	}
	g := &Group{cfg: cfg, log: cfg.Logger("parts")}
	g.draining, g.drain = context.WithCancel(context.Background())
	return g
}

// maxName is the length of a part's name in bytes.
const maxName = 100

// Add adds a part. Before the start a mistake is an error of [Group.Open]. A part that
// is added to a service that runs is started at once; what is wrong with it then ends
// the service, as the part's end by an error does. A part that comes after the stop of
// its kind is not started, which is logged.
func (g *Group) Add(name string, p Part, opts ...Option) {
	e := &entry{part: p, name: name, state: Added, since: time.Now()}
	for _, opt := range opts {
		opt(e)
	}
	g.mu.Lock()
	err := g.judge(e)
	now := g.phase
	start := false
	switch {
	case err == nil:
		g.entries = append(g.entries, e)
		start = e.begun(now)
		e.claimed = start
	case now == adding:
		g.wrong = append(g.wrong, err)
	}
	g.mu.Unlock()
	if err == nil {
		if c, ok := p.(Checker); ok && g.cfg.Check != nil {
			g.cfg.Check(e.name, c.Check)
		}
		if start {
			err = g.start(g.draining, e)
		} else if e.over(now) {
			g.log.Error("a part was added after the stop of its kind: it is neither started nor stopped", "part",
				e.name)
		}
	}
	if err != nil && now > adding {
		g.fail(e, err)
	}
}

// begun reports whether parts of the kind of e are started by Add.
func (e *entry) begun(now phase) bool {
	return now < closing && (now >= supporting && !e.intake || now >= taking)
}

// over reports whether the parts of the kind of e have been stopped.
func (e *entry) over(now phase) bool { return now >= closing && e.intake || now >= closingAll }

// judge returns what is wrong with a part. It is called under g.mu.
func (g *Group) judge(e *entry) error {
	switch {
	case e.part == nil:
		return fmt.Errorf("part %q is nil", e.name)
	case strings.TrimSpace(e.name) == "" || len(e.name) > maxName || clip.ID(e.name) != e.name:
		return fmt.Errorf("the name %q of a part is empty, not printable or longer than %d bytes", clip.ID(e.name),
			maxName)
	case slices.ContainsFunc(g.entries, func(o *entry) bool { return o.name == e.name }):
		return fmt.Errorf("there are two parts of the name %q: give one another name", e.name)
	}
	return nil
}

// fail takes note that a part has ended by an error. The first one ends the service.
func (g *Group) fail(e *entry, err error) {
	err = &Error{e.name, err}
	g.set(e, Failed, err)
	g.log.Error("a part has ended with an error: the service stops", "part", e.name, "error", err)
	g.mu.Lock()
	first := g.failed == nil
	if first {
		g.failed = err
	}
	g.mu.Unlock()
	if first && g.cfg.Fail != nil {
		g.cfg.Fail()
	}
}

func (g *Group) set(e *entry, state State, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e.state, e.since = state, time.Now()
	if err != nil {
		e.err = err
	}
}

// Err returns the error of the first part that ended by one while the service ran.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// settle ends the adding and returns what was wrong with it.
func (g *Group) settle() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = max(g.phase, opening)
	return errors.Join(g.wrong...)
}

// enter begins a phase, and returns the parts.
func (g *Group) enter(p phase) []*entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase = max(g.phase, p)
	return slices.Clone(g.entries)
}
