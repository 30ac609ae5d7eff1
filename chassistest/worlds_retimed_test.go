package chassistest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// A retiming is a change of the settings file of a fleet, at a time.
type retiming struct {
	at    time.Duration
	table cron.Table
}

// retimings: the code's schedule gets other times, a pause and its first times again; one of the
// settings alone comes and goes.
var retimings = []retiming{
	{0, cron.Table{}},
	{50 * time.Second, cron.Table{"sweep": {Every: "@every 15s"}}},
	{100 * time.Second, cron.Table{"sweep": {Every: "@every 15s", Paused: true},
		"extra": {Task: "sweep", Every: "@every 4s", Args: `{"ID": 7}`, Overlap: "allow"}}},
	{150 * time.Second, cron.Table{}},
}

// retimed: schedules that the settings change while the fleet works.
var retimed = playground{
	play: func(w *World) {
		w.Tune(func(s *chassis.Settings) { s.Schedules = retimings[inForce(w.Now())].table })
		w.Service(func(p *Process) {
			chassis.Handle(p.System, sweep, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "sweep", job.JobID)
			})
			chassis.Handle(p.System, post, succeeds(w, p))
			chassis.Every(p.System, sweep, parcel{1}, "@every 10s", cron.Late(cron.All(100)), cron.Overlap(cron.Allow))
		})
		Submit(w, post, parcel{0})
		SubmitAt(w, ticking, post, parcel{1})
		old := make([]time.Duration, len(retimings)) // until when a process has had the times before
		for i, r := range retimings[1:] {
			w.at(r.at, func() { w.retime(r.table, &old[i]) })
		}
		w.Eventually("each tick runs", func() error { return everyTickInForce(w) })
		w.Always("no tick before its time", func() error { return noTickEarly(w) })
		w.Always("no tick of other times", func() error { return noTickOfOtherTimes(w, old) })
	},
}

// inForce is the number of the retiming in force; -1 before the beginning.
func inForce(now time.Duration) int {
	n, _ := slices.BinarySearchFunc(retimings, now+1, func(r retiming, now time.Duration) int { return int(r.at - now) })
	return n - 1
}

// retime puts the table into force in all processes, in those that start once they work.
func (w *World) retime(table cron.Table, until *time.Duration) {
	for _, s := range w.seats {
		p := s.p
		if p == nil || p.stopping {
			continue
		}
		var apply func()
		apply = func() {
			switch {
			case p.dead || p.stopping:
			case !p.started:
				w.after(10*time.Millisecond, apply)
				return
			default:
				p.settings.Schedules = table
				next := p.settings
				w.operate(p, func(ctx context.Context) error {
					_, err := p.System.Apply(ctx, next)
					return err
				})
			}
			*until = w.Now()
		}
		apply()
	}
}

// wants reports whether a schedule has a tick at a time, by these settings.
func (r retiming) wants(name string, at time.Duration) bool {
	set, there := r.table[name]
	every := 10 * time.Second // of the code
	switch {
	case there && set.Paused, !there && name != "sweep":
		return false
	case there:
		every, _ = time.ParseDuration(set.Every[len("@every "):])
	}
	return at%every == 0
}

// everyTickInForce says that each tick has run of the times that were in force when it came, and
// for half a minute before and after it.
func everyTickInForce(w *World) error {
	ran := map[string]bool{}
	for _, e := range w.Effects("sweep") {
		ran[e.Args[0].(string)] = true
	}
	const calm = 30 * time.Second
	for at := time.Second; at < ticking-calm; at += time.Second {
		r := retimings[inForce(at)]
		if inForce(max(at-calm, 0)) != inForce(at) || inForce(at+calm) != inForce(at) {
			continue
		}
		for _, name := range []string{"sweep", "extra"} {
			if !r.wants(name, at) {
				continue
			}
			id := name + "@" + w.began.Add(at).UTC().Format(time.RFC3339)
			works := slices.ContainsFunc(w.Effects(""), func(e Effect) bool { return e.At < at })
			if works && !ran[id] {
				return fmt.Errorf("%s has not run, and %d others have", id, len(ran))
			}
		}
	}
	return nil
}

// noTickOfOtherTimes says that the latest effect of a tick is of the times that were in force when
// it came, or of those before in a process that did not know of the others yet. Where the register
// has refused for longer than a process waits for it, nothing is known of a fleet.
func noTickOfOtherTimes(w *World, old []time.Duration) error {
	all := w.Effects("sweep")
	if len(all) == 0 {
		return nil
	}
	id := all[len(all)-1].Args[0].(string)
	name, at, err := tickOf(w, id)
	if err != nil {
		return err
	}
	n := inForce(at)
	if refusedForLong(w) {
		return nil
	}
	if n < 0 {
		return fmt.Errorf("%s has run, and no process had a schedule before the beginning, %v later", id, -at)
	}
	if retimings[n].wants(name, at) || n > 0 && at <= old[n-1]+time.Second && retimings[n-1].wants(name, at) {
		return nil
	}
	return fmt.Errorf("%s has run, and the times in force since %v have no such tick", id, retimings[n].at)
}

// believed is how long the register refuses until a process takes its right to be missing.
const believed = 20 * time.Second

// refusedForLong reports whether requests to the register were refused twice at least, the first
// time so long before the last that a process may have believed it. One fault alone is shorter.
func refusedForLong(w *World) bool {
	times, from, upTo := 0, time.Duration(0), time.Duration(0)
	for _, f := range w.struck {
		if f.Kind == Deny && f.On == OnLook {
			if times++; times == 1 || f.At < from {
				from = f.At
			}
			upTo = max(upTo, f.At+f.For)
		}
	}
	return times > 1 && upTo-from >= believed && w.Now()-from >= believed
}
