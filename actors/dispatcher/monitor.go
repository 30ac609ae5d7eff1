package dispatcher

import (
	"cmp"
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
	workers  atomic.Int64
	running  atomic.Int64 // attempts under way
	held     atomic.Int64 // waiting in place
	queued   atomic.Int64 // waiting for a slot, a limit, their group
	hung     atomic.Int64 // abandoned handlers that still run
	stalled  atomic.Int64 // attempts under way that do not move
	silent   atomic.Int64 // of those, silent task actors
	settling atomic.Int64 // settled towards the poller, unanswered
	lost     atomic.Int64 // leases lost
	unsettl  atomic.Int64 // settles that failed
	strange  atomic.Int64 // messages of an unknown type
	restarts atomic.Int64

	actors sync.Map // the task actors of users that run: PID id -> *attempt

	tasks atomic.Pointer[map[string]*meter] // copied on write by the dispatcher
	feed  *feed
	parts []*Monitor // of [Together]
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

	started, succeeded, failed, panicked, interrupted atomic.Uint64
	held, givenBack, postponed, givenUp, abandoned    atomic.Uint64
	stalled                                           atomic.Uint64
	running                                           atomic.Int64
	took, delay                                       histogram
}

// TaskStats are the numbers of one task name; the empty name stands for all
// that are not registered. Counters are of attempts since
// the start of the process; quantiles are exact to 19 %.
type TaskStats struct {
	Name        string    `json:"name"`
	Registered  bool      `json:"registered"`
	Paused      bool      `json:"paused"`
	MaxFailures int       `json:"max_failures"`
	Running     int64     `json:"running"`
	Started     uint64    `json:"started"`
	Succeeded   uint64    `json:"succeeded"`
	Failed      uint64    `json:"failed"`   // errors and panics
	Panicked    uint64    `json:"panicked"` // of the failed
	Interrupted uint64    `json:"interrupted"`
	Held        uint64    `json:"waits"`      // spent in place
	GivenBack   uint64    `json:"given_back"` // waits and drains given back to the queue
	Postponed   uint64    `json:"postponed"`  // before their time
	GivenUp     uint64    `json:"given_up"`   // on_fail or dead letter
	Abandoned   uint64    `json:"abandoned"`  // handlers, and task actors that did not end
	Stalled     uint64    `json:"stalled"`    // silent task actors, and attempts without an end
	Run         Durations `json:"run"`        // of an attempt
	Delay       Durations `json:"delay"`      // from when it was due to its first attempt
}

// Stats are the numbers of a dispatcher at one time.
type Stats struct {
	Status       Status      `json:"status"`
	Paused       bool        `json:"paused"`
	Workers      int64       `json:"workers"`
	Running      int64       `json:"running"`
	Held         int64       `json:"waiting"`   // in place, between attempts
	Queued       int64       `json:"queued"`    // for a slot, a limit, their group
	Abandoned    int64       `json:"abandoned"` // abandoned handlers that still run
	Stalled      int64       `json:"stalled"`   // attempts under way that do not move
	Settling     int64       `json:"settling"`
	LostLeases   int64       `json:"lost_leases"`
	SettleFailed int64       `json:"settle_failed"`
	Unhandled    int64       `json:"unhandled"` // messages to the actor that it does not know
	Restarts     int64       `json:"restarts"`
	Tasks        []TaskStats `json:"tasks"` // by name
}

// Status is the dispatcher's state.
func (m *Monitor) Status() Status {
	if len(m.parts) > 0 {
		return worst(m.parts)
	}
	return Status(m.status.Load())
}

// Stalled reports what keeps every worker busy with nothing, if that is so:
// silent means task actors that will hardly answer any more, endless means
// attempts, some of them at least, that have run for very long without a
// Deadline and without a report of progress.
func (m *Monitor) Stalled() (silent, endless bool) {
	if len(m.parts) > 0 {
		silent = true
		for _, p := range m.parts {
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

// Registered tells whether a task of that name is known.
func (m *Monitor) Registered(name string) bool {
	if len(m.parts) > 0 {
		return slices.ContainsFunc(m.parts, func(p *Monitor) bool { return p.Registered(name) })
	}
	t := (*m.tasks.Load())[name]
	return t != nil && t.registered.Load()
}

// Names lists the registered tasks, sorted.
func (m *Monitor) Names() []string {
	var names []string
	for _, p := range m.parts {
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

// Stats reads all numbers. It costs the dispatcher nothing.
func (m *Monitor) Stats() *Stats {
	if len(m.parts) > 0 {
		return sum(m.parts)
	}
	s := &Stats{
		Status: m.Status(), Paused: m.paused.Load(), Workers: m.workers.Load(), Running: m.running.Load(),
		Held: m.held.Load(), Queued: m.queued.Load(), Abandoned: m.hung.Load(), Stalled: m.stalled.Load(), Settling: m.settling.Load(),
		LostLeases: m.lost.Load(), SettleFailed: m.unsettl.Load(), Unhandled: m.strange.Load(), Restarts: m.restarts.Load(),
	}
	for name, t := range *m.tasks.Load() {
		s.Tasks = append(s.Tasks, t.stats(name))
	}
	slices.SortFunc(s.Tasks, func(a, b TaskStats) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func (t *meter) stats(name string) TaskStats {
	s := TaskStats{
		Name: name, Registered: t.registered.Load(), Paused: t.paused.Load(), Running: t.running.Load(),
		Started: t.started.Load(), Succeeded: t.succeeded.Load(), Failed: t.failed.Load(), Panicked: t.panicked.Load(),
		Interrupted: t.interrupted.Load(), Held: t.held.Load(), GivenBack: t.givenBack.Load(), Postponed: t.postponed.Load(),
		GivenUp: t.givenUp.Load(), Abandoned: t.abandoned.Load(), Stalled: t.stalled.Load(),
		Run: t.took.durations(), Delay: t.delay.durations(),
	}
	if spec := t.spec.Load(); spec != nil {
		s.MaxFailures = spec.MaxFailures
	}
	return s
}

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
