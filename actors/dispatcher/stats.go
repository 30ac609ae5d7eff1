package dispatcher

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Stats are the numbers of a dispatcher at one time.
type Stats struct {
	Status       Status      `json:"status"`
	Paused       bool        `json:"paused"`
	PausedBy     []string    `json:"paused_by,omitempty"` // checks that fail; an operator is not named
	ByOperator   bool        `json:"paused_by_operator"`  // an operator has paused it, too or alone
	Workers      int64       `json:"workers"`
	Useful       int64       `json:"useful_workers"` // of them, those that something could run on now
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

	// Tenants are the ten with the longest dwell times on the queue, and the others as one.
	Tenants []TenantStats `json:"tenants,omitempty"`
}

// TaskStats are the numbers of one task name; the empty name stands for all
// that are not registered. Counters are of attempts since
// the start of the process; quantiles are exact to 19 %.
type TaskStats struct {
	Name        string    `json:"name"`
	Registered  bool      `json:"registered"`
	Paused      bool      `json:"paused"`
	WaitsFor    string    `json:"waits_for,omitempty"` // URL of a service that does not take all calls now
	MaxFailures int       `json:"max_failures"`
	Running     int64     `json:"running"`
	Started     uint64    `json:"started"`
	Succeeded   uint64    `json:"succeeded"`
	Failed      uint64    `json:"failed"`   // errors and panics
	Panicked    uint64    `json:"panicked"` // of the failed
	Refused     uint64    `json:"refused"`  // by an open breaker, or during the outage of a check
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

// Stats reads all numbers. It costs the dispatcher nothing.
func (m *Monitor) Stats() *Stats {
	if parts := m.merged(); len(parts) > 0 {
		return sum(parts)
	}
	s := &Stats{
		Status: m.Status(), Paused: m.paused.Load(), Workers: m.workers.Load(), Running: m.running.Load(),
		Held: m.held.Load(), Queued: m.queued.Load(), Abandoned: m.abandoned.Load(), Stalled: m.stalled.Load(), Settling: m.settling.Load(),
		LostLeases: m.lostLeases.Load(), SettleFailed: m.settleFailed.Load(), Unhandled: m.unhandled.Load(), Restarts: m.restarts.Load(),
	}
	switch useful := m.useful.Load(); {
	case s.Paused:
	case useful > 0:
		s.Useful = min(useful-1, s.Workers)
	default:
		s.Useful = s.Workers
	}
	s.ByOperator = m.pausedByOperator.Load()
	if by := m.pausedBy.Load(); by != nil {
		s.PausedBy = slices.Clone(*by)
	}
	for name, t := range *m.tasks.Load() {
		s.Tasks = append(s.Tasks, t.stats(name))
	}
	s.Tenants = m.dwells.top(time.Now())
	slices.SortFunc(s.Tasks, func(a, b TaskStats) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

func (t *meter) stats(name string) TaskStats {
	s := TaskStats{
		Name: name, Registered: t.registered.Load(), Paused: t.paused.Load(), Running: t.running.Load(),
		Started: t.started.Load(), Succeeded: t.succeeded.Load(), Failed: t.failed.Load(), Panicked: t.panicked.Load(),
		Refused: t.refused.Load(), Interrupted: t.interrupted.Load(), Held: t.held.Load(), GivenBack: t.givenBack.Load(), Postponed: t.postponed.Load(),
		GivenUp: t.givenUp.Load(), Abandoned: t.abandoned.Load(), Stalled: t.stalled.Load(),
		Run: t.took.durations(), Delay: t.delay.durations(),
	}
	if spec := t.spec.Load(); spec != nil {
		s.MaxFailures = spec.MaxFailures
	}
	if url := t.waitsFor.Load(); url != nil {
		s.WaitsFor = *url
	}
	return s
}

func sum(parts []*Monitor) *Stats {
	all := &Stats{Status: worst(parts), Paused: true, ByOperator: true}
	tasks := map[string]*TaskStats{}
	var tenants [][]TenantStats
	for _, p := range parts {
		s := p.Stats()
		all.Paused, all.ByOperator = all.Paused && s.Paused, all.ByOperator && s.ByOperator
		for _, by := range s.PausedBy {
			if !slices.Contains(all.PausedBy, by) {
				all.PausedBy = append(all.PausedBy, by)
			}
		}
		for _, n := range []struct{ into, from *int64 }{
			{&all.Workers, &s.Workers}, {&all.Useful, &s.Useful}, {&all.Running, &s.Running}, {&all.Held, &s.Held}, {&all.Queued, &s.Queued},
			{&all.Abandoned, &s.Abandoned}, {&all.Stalled, &s.Stalled}, {&all.Settling, &s.Settling}, {&all.LostLeases, &s.LostLeases},
			{&all.SettleFailed, &s.SettleFailed}, {&all.Unhandled, &s.Unhandled}, {&all.Restarts, &s.Restarts},
		} {
			*n.into += *n.from
		}
		tenants = append(tenants, s.Tenants)
		for i := range s.Tasks {
			if t := tasks[s.Tasks[i].Name]; t != nil {
				t.add(&s.Tasks[i])
			} else {
				tasks[s.Tasks[i].Name] = &s.Tasks[i]
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		all.Tasks = append(all.Tasks, *tasks[name])
	}
	all.Tenants = sumTenants(tenants...)
	return all
}

func (t *TaskStats) add(o *TaskStats) {
	t.Registered = t.Registered || o.Registered
	t.Paused = t.Paused && o.Paused
	t.WaitsFor = cmp.Or(t.WaitsFor, o.WaitsFor)
	t.MaxFailures = cmp.Or(t.MaxFailures, o.MaxFailures)
	t.Running += o.Running
	for _, n := range []struct{ into, from *uint64 }{
		{&t.Started, &o.Started}, {&t.Succeeded, &o.Succeeded}, {&t.Failed, &o.Failed}, {&t.Panicked, &o.Panicked},
		{&t.Refused, &o.Refused}, {&t.Interrupted, &o.Interrupted}, {&t.Held, &o.Held}, {&t.GivenBack, &o.GivenBack}, {&t.Postponed, &o.Postponed},
		{&t.GivenUp, &o.GivenUp}, {&t.Abandoned, &o.Abandoned}, {&t.Stalled, &o.Stalled},
	} {
		*n.into += *n.from
	}
	t.Run, t.Delay = t.Run.plus(o.Run), t.Delay.plus(o.Delay)
}
