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

var (
	vase    = task.Define[parcel]("vase", task.MaxFailures(1))
	hopeful = task.Define[parcel]("hopeful", task.MaxFailures(3), task.Wait(10*time.Second, task.None))
	lasting = task.Define[parcel]("lasting", task.MaxFailures(3), task.Wait(28*time.Second, task.None))
	patient = task.Define[parcel]("patient", task.MaxFailures(3), task.Wait(50*time.Second, task.None))
	fatal   = task.Define[parcel]("fatal", task.MaxFailures(2), task.OnFail("lost"), task.Wait(5*time.Second, task.None))
)

// brief: tasks that may fail once, and messages whose deliveries are not seen.
var brief = playground{
	play: func(w *World) {
		w.Service(func(p *Process) { chassis.Handle(p.System, vase, succeeds(w, p)) })
		for i := range 6 {
			Submit(w, vase, parcel{i})
		}
	},
	opts: []StormOption{Fleet(2), Kinds(LoseAnswer, DieAfter)},
}

// budget: one process without a death, and a queue that refuses and is away. What a
// process has decided does not depend on what the queue takes.
var budget = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			for _, def := range []*task.Definition[parcel]{hopeful, lasting, patient, fatal} {
				chassis.Handle(p.System, def, func(context.Context, task.Job[parcel]) error {
					return errors.New("it never works")
				})
			}
			chassis.Handle(p.System, lost, succeeds(w, p))
			chassis.Handle(p.System, pack, func(_ context.Context, job task.Job[parcel]) error {
				if job.Attempt < 4 {
					return task.Snooze(35 * time.Second)
				}
				return nil
			})
		})
		for i := range 20 {
			Submit(w, []*task.Definition[parcel]{hopeful, lasting, patient, fatal, pack}[i%5], parcel{i})
		}
		failsAtMost(w)
	},
	opts: []StormOption{Fleet(1), Kinds(Deny, Throttle, CutOff, LoseRequest, Fail, SplitBatch)},
}

// stops: processes that stop while the queue refuses.
var stops = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				if job.Args.ID%3 == 1 && job.Attempt == 1 {
					return task.Snooze(15 * time.Second)
				}
				return w.Effect(ctx, "pack", job.Args.ID)
			})
		})
		for i := range 40 {
			SubmitAt(w, time.Duration(i)*time.Second, pack, parcel{i})
		}
		stopsWithin(w, 13*time.Second)
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy, Deny), tuned(func(t *chassis.TaskSettings) {
		t.DrainTimeout, t.AbandonAfter, t.ReceiveWait = 2*time.Second, time.Second, time.Second
	})},
}

// polls: long polls that outlast the time of a drain.
var polls = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "pack", job.Args.ID)
			})
		})
		for i := range 40 {
			SubmitAt(w, time.Duration(1000*i+500)*time.Millisecond, pack, parcel{i})
		}
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy), tuned(func(t *chassis.TaskSettings) {
		t.DrainTimeout, t.AbandonAfter = time.Second, time.Second
	})},
}

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
	opts: []StormOption{Fleet(2), Kinds(DieBefore, DieAfter, Deploy, CutOff, Suspend, LoseAnswer, LateAnswer, Throttle, SplitBatch),
		ofQueues(map[string]string{"MessageRetentionPeriod": "3600"})},
}

// blackout: a fleet that dies late in the lives of its messages, and again for longer
// than what is left of them.
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
			Submit(w, long, parcel{i}, task.At(time.Now().Add(40*time.Minute)))
		}
		outage := func(at, lasts time.Duration) {
			w.at(at, func() {
				for _, s := range w.seats {
					if s.p != nil {
						w.kill(s.p)
					}
					w.startAfter(s, lasts)
				}
			})
		}
		outage(42*time.Minute, time.Second)
		outage(45*time.Minute, 30*time.Minute)
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy, Throttle, Apply, CutOff), ofQueues(map[string]string{"MessageRetentionPeriod": "3600"})},
}

// killers is a play of n tasks, two of which end the processes that run them.
func killers(n int, killing func(job task.Job[parcel]) bool) func(w *World) {
	return func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				select {
				case <-time.After(20 * time.Second):
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			chassis.Handle(p.System, deliver, func(ctx context.Context, job task.Job[parcel]) error {
				if killing(job) {
					time.Sleep(2 * time.Second) // as memory takes some time to run out
					w.Crash(ctx)
				}
				return nil
			})
		})
		for i := range n {
			Submit(w, pack, parcel{i})
		}
		SubmitAt(w, time.Second, deliver, parcel{1})
		SubmitAt(w, 5*time.Second, deliver, parcel{2})
		w.Eventually("none is blamed for another", func() error {
			for _, f := range w.book.order {
				if f.name == pack.Name() && f.letters > 0 && f.successes == 0 {
					return fmt.Errorf("%s is a dead letter after %d runs without a failure", f.label, len(f.runs))
				}
			}
			return nil
		})
	}
}

// poison: two messages that end each process that runs them.
var poison = playground{
	play: killers(12, func(task.Job[parcel]) bool { return true }),
	opts: []StormOption{Kinds(Deploy, Apply, LateAnswer, Throttle)},
}

// redrive: a queue whose own redrive takes a message away at its fourth receive, and
// messages that work at the fifth.
var redrive = playground{
	play: killers(4, func(job task.Job[parcel]) bool { return job.Attempt < 5 }),
	opts: []StormOption{Fleet(2), Kinds(Deploy, Apply), ofQueues(map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:storm_dead","maxReceiveCount":"3"}`,
	})},
}

// small: a queue that takes 4 KiB, and tasks with no room left for a copy or a reason.
var small = playground{
	play: func(w *World) {
		type letter struct{ Text string }
		full := task.Define[letter]("full", task.MaxFailures(2), task.Wait(40*time.Second, task.None))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, full, func(_ context.Context, job task.Job[letter]) error {
				if len(job.Args.Text)%2 == 0 {
					return nil
				}
				return fmt.Errorf("it never works: %s", strings.Repeat("for a long reason ", 60))
			})
		})
		for i := range 10 {
			size := 3900 - w.Rand().IntN(500) // of attributes there are 150 bytes
			Submit(w, full, letter{strings.Repeat("x", size)}, task.At(time.Now().Add(time.Duration(i)*20*time.Second)))
		}
		asksAtMost(w, 4000)
	},
	opts: []StormOption{Fleet(2), Within(time.Hour), ofQueues(map[string]string{"MaximumMessageSize": "4096"})},
}
