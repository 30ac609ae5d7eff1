package dispatcher

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sambatech/chassis/task"
)

// Status is the state of a dispatcher, as the Python chassis names them.
type Status int32

// The states. A dispatcher is STOPPED before it starts and after its drain, and
// in ERROR while so many handlers are abandoned (max_abandoned) that it takes no
// more tasks.
const (
	Stopped Status = iota
	Stopping
	Running
	Failing
)

func (s Status) String() string {
	switch s {
	case Stopped:
		return "STOPPED"
	case Stopping:
		return "STOPPING"
	case Running:
		return "RUNNING"
	}
	return "ERROR"
}

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(text []byte) error {
	for _, known := range []Status{Stopped, Stopping, Running, Failing} {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("dispatcher: %q is no status", text)
}

// Monitor is what the outside sees of a dispatcher without a message: its
// status, its numbers, the names it knows, its events. Give one to [Config]. It
// outlives restarts, and all its methods are safe from any goroutine.
type Monitor struct {
	status   atomic.Int32
	paused   atomic.Bool
	pausedBy atomic.Pointer[[]string] // the checks that do; nil: none

	pausedByOperator atomic.Bool
	workers          atomic.Int64
	running          atomic.Int64 // attempts under way
	held             atomic.Int64 // waiting in place
	queued           atomic.Int64 // waiting for a slot, a limit, their group
	abandoned        atomic.Int64 // abandoned handlers that still run
	stalled          atomic.Int64 // attempts under way that do not move
	silent           atomic.Int64 // of those, silent task actors
	settling         atomic.Int64 // settled towards the poller, unanswered
	lostLeases       atomic.Int64 // leases lost
	settleFailed     atomic.Int64 // settles that failed
	unhandled        atomic.Int64 // messages of an unknown type
	restarts         atomic.Int64

	useful atomic.Int64 // workers that could run something now, plus 1; 0: all of them

	actors sync.Map // the task actors of users that run: PID id -> *attempt

	dwells dwells // of tenants

	tasks atomic.Pointer[map[string]*meter] // copied on write by the dispatcher
	feed  *feed
	parts atomic.Pointer[[]*Monitor] // of [MergeMonitors]; copied on write
}

// NewMonitor returns a monitor of a dispatcher that has not started.
func NewMonitor() *Monitor {
	m := &Monitor{feed: &feed{}}
	m.tasks.Store(&map[string]*meter{})
	return m
}

// meter counts what became of one task's attempts and messages.
type meter struct {
	registered atomic.Bool
	paused     atomic.Bool
	spec       atomic.Pointer[task.Spec]

	started, succeeded, failed, panicked, refused, interrupted atomic.Uint64
	held, givenBack, postponed, givenUp, abandoned             atomic.Uint64
	stalled                                                    atomic.Uint64
	waitsFor                                                   atomic.Pointer[string] // URL of a service
	running                                                    atomic.Int64
	took, delay                                                histogram
}

// Status is the dispatcher's state.
func (m *Monitor) Status() Status {
	if parts := m.merged(); len(parts) > 0 {
		return worst(parts)
	}
	return Status(m.status.Load())
}

// Stalled reports what keeps every worker busy with nothing, if that is so:
// silent means task actors that will hardly answer any more, endless means
// attempts, some of them at least, that have run for very long without a
// Deadline and without a report of progress.
func (m *Monitor) Stalled() (silent, endless bool) {
	if parts := m.merged(); len(parts) > 0 {
		silent = true
		for _, p := range parts {
			s, e := p.Stalled()
			if !s && !e {
				return false, false
			}
			silent = silent && s
		}
		return silent, !silent
	}
	workers, stalled := m.workers.Load(), m.stalled.Load()
	if stalled == 0 || stalled < workers {
		return false, false
	}
	silent = m.silent.Load() >= workers
	return silent, !silent
}

// Registered reports whether a task of that name is known.
func (m *Monitor) Registered(name string) bool {
	if parts := m.merged(); len(parts) > 0 {
		return slices.ContainsFunc(parts, func(p *Monitor) bool { return p.Registered(name) })
	}
	t := (*m.tasks.Load())[name]
	return t != nil && t.registered.Load()
}

// Names lists the registered tasks, sorted.
func (m *Monitor) Names() []string {
	var names []string
	for _, p := range m.merged() {
		names = append(names, p.Names()...)
	}
	for name, t := range *m.tasks.Load() {
		if t.registered.Load() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Events subscribes to what happens from now on, with a buffer of that many
// events. Close it when done.
func (m *Monitor) Events(buffer int) *Subscription { return m.feed.add(buffer) }

// meter returns the numbers of a task, made if there are none. Called by the
// dispatcher alone.
func (m *Monitor) meter(name string) *meter {
	old := *m.tasks.Load()
	if t := old[name]; t != nil {
		return t
	}
	t := &meter{}
	next := maps.Clone(old)
	next[name] = t
	m.tasks.Store(&next)
	return t
}

// Job returns the attempt of the task actor at an address, the Id of its PID,
// or nil. It is for the records of actors below it, which have no ctx.
func (m *Monitor) Job(id string) *task.Info {
	if a, ok := m.actors.Load(id); ok {
		return &a.(*attempt).info
	}
	return nil
}

// MergeMonitors returns the monitors of several dispatchers as one: numbers are
// sums, quantiles those of the slowest, the status is RUNNING if all are, and
// events are those of all. Call it before any of them starts.
func MergeMonitors(monitors ...*Monitor) *Monitor {
	m := NewMonitor()
	for _, p := range monitors {
		m.Join(p)
	}
	return m
}

// Join adds a monitor that no dispatcher has yet to those that m merges.
func (m *Monitor) Join(p *Monitor) {
	p.feed = m.feed
	parts := append(slices.Clone(m.merged()), p)
	m.parts.Store(&parts)
}

// merged returns what m merges; empty for the monitor of a dispatcher.
func (m *Monitor) merged() []*Monitor {
	if parts := m.parts.Load(); parts != nil {
		return *parts
	}
	return nil
}

// worst is the status of the one that is least able to take tasks.
func worst(parts []*Monitor) Status {
	rank := []Status{Running, Stopping, Stopped, Failing}
	status := Running
	for _, p := range parts {
		if s := p.Status(); slices.Index(rank, s) > slices.Index(rank, status) {
			status = s
		}
	}
	return status
}
