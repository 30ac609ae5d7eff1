package health

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
	Logger *slog.Logger // nil: nothing is logged

	// Changed is called when a check that counts for tasks begins or ends to fail, and
	// with its first result. The calls of one check come in order.
	Changed func(name string, up bool)
}

// Group is the checks of a service.
type Group struct {
	cfg  Config
	ctx  context.Context // of all runs
	end  context.CancelFunc
	work sync.WaitGroup // the loops

	mu     sync.Mutex // guards what follows
	checks []*check   // in the order of adding
	wrong  []error    // of Add, before the start
	begun  bool
	over   bool
}

// NewGroup returns a group without checks.
func NewGroup(cfg Config) *Group {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Group{cfg: cfg}
	g.ctx, g.end = context.WithCancel(context.Background())
	return g
}

// Most checks of a service, and the length of a name in bytes.
const (
	maxChecks = 200
	maxName   = 100
)

// Add adds a check. Before the start a mistake is an error of [Group.Start]; later it
// is logged, and the check is not added. It runs from the start on, or at once.
func (g *Group) Add(name string, run func(context.Context) error, opts ...Option) {
	c := &check{name: name, run: run, every: DefaultInterval, within: DefaultTimeout, failAfter: 1, log: g.cfg.Logger,
		changed: g.cfg.Changed, asked: make(chan struct{}, 1), first: make(chan struct{}), finished: make(chan struct{})}
	for _, opt := range opts {
		opt(c)
	}
	c.readiness = c.readiness || !c.counts
	c.status = Status{Name: name, Readiness: c.readiness, Tasks: c.tasks}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch err := g.judge(c); {
	case err != nil && !g.begun:
		g.wrong = append(g.wrong, err)
	case err != nil:
		g.cfg.Logger.Error("a check is not added", "check", clip.ID(name), "error", err)
	default:
		g.checks = append(g.checks, c)
		if g.begun && !g.over {
			g.work.Go(func() { c.loop(g.ctx) })
		}
	}
}

// reserved are the names of the readiness of tasks.
var reserved = []string{"task_queues", "task_consumer", "service"}

// judge returns what is wrong with a check. It is called under g.mu.
func (g *Group) judge(c *check) error {
	switch {
	case c.run == nil:
		return fmt.Errorf("check %q has no function", clip.ID(c.name))
	case strings.TrimSpace(c.name) == "" || len(c.name) > maxName || clip.ID(c.name) != c.name,
		strings.ContainsAny(c.name, "/? "), slices.Contains(reserved, c.name):
		return fmt.Errorf("the name %q of a check is empty, longer than %d bytes, one of %v, or holds a blank, a "+
			"slash or what is not printable: it is a part of the path /readyz/NAME", clip.ID(c.name), maxName,
			reserved)
	case slices.ContainsFunc(g.checks, func(o *check) bool { return o.name == c.name }):
		return fmt.Errorf("there are two checks of the name %q: give one another name", c.name)
	case len(g.checks) >= maxChecks:
		return fmt.Errorf("check %q: there are %d checks already", c.name, maxChecks)
	}
	return nil
}

// Start begins all checks. It returns once each that counts for tasks has a result, so
// that no task begins without its dependency. A check that fails is no error of Start;
// a mistake in [Group.Add] is.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	g.begun = true
	checks := slices.Clone(g.checks)
	for _, c := range checks {
		g.work.Go(func() { c.loop(g.ctx) })
	}
	err := errors.Join(g.wrong...)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	for _, c := range checks {
		if !c.tasks {
			continue
		}
		select {
		case <-c.first:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Status returns the last result of each check, in the order of adding.
func (g *Group) Status() []Status {
	g.mu.Lock()
	checks := slices.Clone(g.checks)
	g.mu.Unlock()
	list := make([]Status, len(checks))
	for i, c := range checks {
		list[i] = c.now()
	}
	return list
}

// Outage is the error of a task that failed while a check for tasks fails.
type Outage struct {
	Check string        // that fails
	Why   string        // it fails
	Wait  time.Duration // until it runs again
	Err   error         // of the task
}

// Error names the check.
func (o *Outage) Error() string {
	return fmt.Sprintf("%v (no failure is spent: the check %q fails: %s)", o.Err, o.Check, o.Why)
}

// BreakerOpen makes the error one that spends nothing: it implements task.OpenBreaker.
func (o *Outage) BreakerOpen() bool { return true }

// RetryAfter is the wait until the check runs again.
func (o *Outage) RetryAfter() time.Duration { return o.Wait }

// Unwrap returns the error of the task.
func (o *Outage) Unwrap() error { return o.Err }

// Judge returns err, the failure of a task, or an [Outage] of it if a check for tasks
// fails now. It runs these checks, at most every 100 ms, and waits for them until ctx
// ends.
func (g *Group) Judge(ctx context.Context, err error) error {
	g.mu.Lock()
	checks := slices.Clone(g.checks)
	g.mu.Unlock()
	for _, c := range checks {
		if !c.tasks {
			continue
		}
		limit, cancel := context.WithTimeout(ctx, c.within+2*pace)
		s := c.fresh(limit)
		cancel()
		if s.Known && s.Error != "" {
			return &Outage{c.name, s.Error, c.every, err}
		}
	}
	return err
}

// Stop ends all checks and waits for those under way until ctx ends. The error names
// those that ignore their ctx.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	g.over = true
	checks := slices.Clone(g.checks)
	g.mu.Unlock()
	g.end()
	g.work.Wait() // the loops do not wait for functions
	var left []string
	for _, c := range checks {
		if !c.ends(ctx) {
			left = append(left, c.name)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("the functions of the checks %q did not end with their ctx, and were left alone", left)
	}
	return nil
}
