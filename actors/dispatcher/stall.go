package dispatcher

import (
	"strings"
	"time"
)

// Attempts that do not move: they hold a worker, and nothing says so.

const (
	// SilenceLimit ends an attempt without a Deadline once its task actor has
	// been silent for so long. A task with a longer silence needs a Deadline.
	SilenceLimit = 15 * time.Minute

	// silentAfter is the time without a sign of life after which a task actor
	// counts as stalled.
	silentAfter = time.Minute

	// defaultEndless is [Config.EndlessAfter] unless it is set: ten times the
	// default of task_timeout.
	defaultEndless = 20 * time.Minute
)

type stallKind uint8

const (
	moving  stallKind = iota
	silent            // a task actor that will hardly answer any more
	endless           // without a Deadline, and it has reported nothing for very long
)

// stall is what the dispatcher knows of the moving of one attempt.
type stall struct {
	kind  stallKind
	moves uint32    // messages of its task actor, when last looked at
	since time.Time // of the last change
}

// signs are what can be seen of an attempt at one time.
type signs struct {
	idle     bool        // it is a task actor, and in none of its Receives
	parent   func() bool // reports whether it has children, which is dear to know
	moves    uint32      // messages that its task actor has received
	deadline bool        // it will be ended by a Deadline
	begun    time.Time   // or its last report of progress
}

// look returns what has become of s, and for how long its actor has been silent.
// A minute of silence without children is [silent], endlessAfter without an end
// [endless]. Pure.
func (s stall) look(now time.Time, seen signs, endlessAfter time.Duration) (stall, time.Duration) {
	if s.since.IsZero() || !seen.idle || seen.moves != s.moves {
		s.since, s.moves = now, seen.moves
	}
	quiet := now.Sub(s.since)
	doubt := quiet >= silentAfter && s.kind != silent || quiet >= SilenceLimit
	if doubt && seen.parent() {
		s.since, quiet = now, 0
	}
	switch {
	case quiet >= silentAfter:
		s.kind = silent
	case !seen.deadline && now.Sub(seen.begun) >= endlessAfter:
		s.kind = endless
	default:
		s.kind = moving
	}
	return s, quiet
}

// watchStalls looks at all attempts under way.
func (d *dispatcher) watchStalls(now time.Time) {
	var parents map[string]bool // made at the first need, by going through all processes
	for _, e := range d.those(func(e *execution) bool { return e.cur != nil && !e.cur.inGrace }) {
		a := e.cur
		seen := signs{
			idle: a.props != nil && !a.within.Load(), moves: a.moves.Load(),
			deadline: !a.info.Deadline.IsZero(), begun: a.started,
		}
		if p := a.info.Progress(); p != nil {
			seen.begun = p.At
		}
		seen.parent = func() bool {
			if parents == nil {
				parents = d.parents()
			}
			return parents[a.child.Id]
		}
		before := a.stall.kind
		next, quiet := a.stall.look(now, seen, d.endlessAfter)
		a.stall = next
		if next.kind != before {
			d.noteStall(e, a, before, quiet)
		}
		if next.kind == silent && !seen.deadline && quiet >= SilenceLimit {
			d.interrupt(a, ErrSilent)
		}
	}
}

// countStall moves a from one kind to another in the numbers.
func (d *dispatcher) countStall(a *attempt, before, now stallKind) {
	n := func(is bool) int64 {
		if is {
			return 1
		}
		return 0
	}
	a.stall.kind = now
	d.monitor.stalled.Add(n(now != moving) - n(before != moving))
	d.monitor.silent.Add(n(now == silent) - n(before == silent))
}

// noteStall counts and logs an attempt that has begun to stall, or moves again.
func (d *dispatcher) noteStall(e *execution, a *attempt, before stallKind, quiet time.Duration) {
	d.countStall(a, before, a.stall.kind)
	switch a.stall.kind {
	case moving:
		return
	case silent:
		d.log.WarnContext(a.ctx,
			"task actor is silent: it has not answered its Execute, no message comes, and it has no children; "+
				"answer with dispatcher.Done{} or an error in every case",
			"silent_for", quiet, "running_for", time.Since(a.started), "pid", a.child.Id)
	case endless:
		d.log.WarnContext(a.ctx,
			"task does not end: give it a task.Deadline, or let it report progress with task.Report",
			"running_for", time.Since(a.started), "stack", stackOf(a))
	}
	e.entry.meter.stalled.Add(1)
	d.emit(Stalled, e, nil)
}

// unstall takes an attempt that is over out of the stalled ones.
func (d *dispatcher) unstall(a *attempt) {
	if a.stall.kind != moving {
		d.countStall(a, a.stall.kind, moving)
	}
}

// parents returns the ids of the task actors that have children.
func (d *dispatcher) parents() map[string]bool {
	found := map[string]bool{}
	prefix := d.self.Id + "/"
	for _, bucket := range d.system.ProcessRegistry.LocalPIDs.LocalPIDs {
		bucket.IterCb(func(id string, _ any) {
			if rest, ok := strings.CutPrefix(id, prefix); ok {
				if child, _, ok := strings.Cut(rest, "/"); ok {
					found[prefix+child] = true
				}
			}
		})
	}
	return found
}
