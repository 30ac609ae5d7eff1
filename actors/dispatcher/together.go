package dispatcher

import (
	"cmp"
	"maps"
	"slices"
)

// Together returns what several dispatchers look like as one: numbers are
// sums, quantiles those of the slowest, the status is RUNNING if all are, and
// events are those of all. It is to be called before any of them starts.
func Together(monitors ...*Monitor) *Monitor {
	if len(monitors) == 1 {
		return monitors[0]
	}
	m := NewMonitor()
	m.parts = monitors
	for _, p := range monitors {
		p.feed = m.feed
	}
	return m
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

func sum(parts []*Monitor) *Stats {
	all := &Stats{Status: worst(parts), Paused: true}
	tasks := map[string]*TaskStats{}
	for _, p := range parts {
		s := p.Stats()
		all.Paused = all.Paused && s.Paused
		for _, n := range []struct{ into, from *int64 }{
			{&all.Workers, &s.Workers}, {&all.Running, &s.Running}, {&all.Held, &s.Held}, {&all.Queued, &s.Queued},
			{&all.Abandoned, &s.Abandoned}, {&all.Stalled, &s.Stalled}, {&all.Settling, &s.Settling}, {&all.LostLeases, &s.LostLeases},
			{&all.SettleFailed, &s.SettleFailed}, {&all.Unhandled, &s.Unhandled}, {&all.Restarts, &s.Restarts},
		} {
			*n.into += *n.from
		}
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
	return all
}

func (t *TaskStats) add(o *TaskStats) {
	t.Registered = t.Registered || o.Registered
	t.Paused = t.Paused && o.Paused
	t.MaxFailures = cmp.Or(t.MaxFailures, o.MaxFailures)
	t.Running += o.Running
	for _, n := range []struct{ into, from *uint64 }{
		{&t.Started, &o.Started}, {&t.Succeeded, &o.Succeeded}, {&t.Failed, &o.Failed}, {&t.Panicked, &o.Panicked},
		{&t.Interrupted, &o.Interrupted}, {&t.Held, &o.Held}, {&t.GivenBack, &o.GivenBack}, {&t.Postponed, &o.Postponed},
		{&t.GivenUp, &o.GivenUp}, {&t.Abandoned, &o.Abandoned}, {&t.Stalled, &o.Stalled},
	} {
		*n.into += *n.from
	}
	t.Run, t.Delay = t.Run.plus(o.Run), t.Delay.plus(o.Delay)
}

func (d Durations) plus(o Durations) Durations {
	d.Count, d.Sum, d.P50, d.P99 = d.Count+o.Count, d.Sum+o.Sum, max(d.P50, o.P50), max(d.P99, o.P99)
	d.AtMost = maps.Clone(d.AtMost)
	for bound, n := range o.AtMost {
		d.AtMost[bound] += n
	}
	return d
}
