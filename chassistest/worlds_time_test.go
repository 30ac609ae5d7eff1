package chassistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// scheduled: tasks for a time, near and far.
var scheduled = playground{
	play: func(w *World) {
		w.Service(func(p *Process) { chassis.Handle(p.System, pack, succeeds(w, p)) })
		for i := range 30 {
			due := time.Duration(w.Rand().Int64N(int64(3 * time.Minute)))
			switch i % 3 {
			case 0:
				due += time.Duration(w.Rand().Int64N(int64(40 * time.Minute)))
			case 1: // as long as a lease, after which a message comes again that was not seen
				due = 30*time.Second + time.Duration(w.Rand().Int64N(int64(2*time.Second)))
			}
			at := time.Duration(w.Rand().Int64N(int64(submitWithin)))
			SubmitAt(w, at, pack, parcel{i}, task.At(time.Now().Add(at+due)))
		}
	},
	opts: []StormOption{tuned(func(t *chassis.TaskSettings) { t.HoldLimit = 5 * time.Second })},
}

// clocks: a process with a clock that is behind may not send for a minute, while it is
// alone. Then it dies, and one with a clock that is ahead takes its place.
var clocks = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, vase, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "vase", job.Args.ID)
			})
		})
		for i := range 10 {
			at := time.Duration(2+i) * time.Second
			due := at
			if i%4 == 3 {
				due += time.Duration(w.Rand().Int64N(int64(3 * time.Minute)))
			}
			SubmitAt(w, at, vase, parcel{i}, task.At(time.Now().Add(due)))
		}
		w.at(time.Second, func() {
			w.come(&Fault{Kind: Skew, Process: 1, For: -130 * time.Second})
			w.come(&Fault{Kind: Skew, Process: 2, For: 140 * time.Second})
			w.come(&Fault{Kind: Deny, On: OnSend, For: time.Minute})
			w.change(2, time.Minute)
		})
		w.at(time.Minute, func() { w.change(1, 10*time.Minute) })
	},
	opts: []StormOption{Fleet(2), Faults(6), Kinds(Suspend, LateAnswer, Pause, Apply)},
}

// change ends a process, and starts it again after a time.
func (w *World) change(number int, after time.Duration) {
	s := w.seats[number-1]
	if s.p != nil {
		w.kill(s.p)
	}
	w.startAfter(s, after)
}

// retention: a queue that keeps messages for an hour, and tasks that last for longer.
var retention = playground{
	play: func(w *World) {
		long := task.Define[parcel]("long", task.MaxFailures(6), task.Wait(20*time.Minute, task.None))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, long, func(_ context.Context, job task.Job[parcel]) error {
				if job.Args.ID%2 == 0 {
					return errors.New("it never works")
				}
				if job.Attempt < 5 {
					return task.Snooze(25 * time.Minute)
				}
				return nil
			})
		})
		for i := range 8 {
			Submit(w, long, parcel{i}, task.At(time.Now().Add(time.Duration(i)*15*time.Minute)))
		}
	},
	opts: []StormOption{Fleet(2),
		Kinds(DieBefore, DieAfter, Deploy, CutOff, Suspend, LoseAnswer, LateAnswer, Throttle, SplitBatch),
		ofQueues(map[string]string{"MessageRetentionPeriod": "3600"})},
}

// blackout: a fleet that comes late in the lives of its messages, dies, and dies again
// for longer than what is left of them.
var blackout = playground{
	play: func(w *World) {
		long := task.Define[parcel]("long")
		w.Service(func(p *Process) {
			chassis.Handle(p.System, long, func(ctx context.Context, job task.Job[parcel]) error {
				select {
				case <-time.After(8 * time.Minute):
				case <-ctx.Done():
				}
				return ctx.Err()
			})
		})
		for i := range 6 {
			Submit(w, long, parcel{i})
		}
		outage := func(at, lasts time.Duration) {
			w.at(at, func() {
				for _, s := range w.seats {
					w.change(s.number, lasts)
				}
			})
		}
		outage(time.Millisecond, 33*time.Minute)
		outage(34*time.Minute, time.Second)
		outage(36*time.Minute, 30*time.Minute)
	},
	opts: []StormOption{Fleet(2), Faults(8), Kinds(Deploy, Throttle, Apply),
		ofQueues(map[string]string{"MessageRetentionPeriod": "3600"})},
}

// small: a queue that takes 4 KiB, and tasks with no room left for a copy or a reason.
var small = playground{
	play: func(w *World) {
		type letter struct {
			Text  string
			Fails bool
		}
		full := task.Define[letter]("full", task.MaxFailures(2), task.Wait(40*time.Second, task.None))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, full, func(_ context.Context, job task.Job[letter]) error {
				if !job.Args.Fails {
					return nil
				}
				return fmt.Errorf("it never works: %s", strings.Repeat("for a long reason ", 60))
			})
		})
		for i := range 10 {
			at := task.At(time.Now().Add(time.Duration(i) * 20 * time.Second))
			empty, err := full.Encode(time.Now(), letter{}, at, task.ExecID("full#0"), task.ForJob("full#0", "full"))
			if err != nil {
				panic(err)
			}
			size := 4096 - task.Size(empty.Body, empty.Attributes) - w.Rand().IntN(200)
			fails := i%2 == 1
			if fails && i%4 == 1 {
				size -= 350 // there is room for the counts
			}
			Submit(w, full, letter{strings.Repeat("x", size), fails}, at)
		}
		asksAtMost(w, 4000)
	},
	opts: []StormOption{Fleet(2), Within(time.Hour), ofQueues(map[string]string{"MaximumMessageSize": "4096"})},
}

// limited: many tasks, one at a time, and little room to wait in.
var limited = playground{
	play: func(w *World) {
		const n = 120
		single := task.Define[parcel]("single", task.Concurrency(1))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, single, func(ctx context.Context, _ task.Job[parcel]) error {
				select {
				case <-time.After(2 * time.Second):
				case <-ctx.Done():
				}
				return ctx.Err()
			})
		})
		for i := range n {
			Submit(w, single, parcel{i})
		}
		asksAtMost(w, 10*n)
	},
	opts: []StormOption{Fleet(1), Faults(4), Kinds(Apply, LoseAnswer, SplitBatch),
		tuned(func(t *chassis.TaskSettings) { t.MaxHeld = 10 })},
}
