package chassistest

import (
	"context"
	"fmt"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// killers is a play of n tasks. Two of them end the processes that run them.
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

// instant: a message that ends each process that runs it before anything else can
// happen, and others that come with it by each receive.
var instant = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, vase, func(ctx context.Context, job task.Job[parcel]) error {
				if job.Args.ID == 0 {
					w.Crash(ctx)
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				return w.Effect(ctx, "vase", job.Args.ID)
			})
		})
		for i := range 3 {
			SubmitAt(w, 0, vase, parcel{i})
		}
		w.Eventually("none is blamed for another", func() error {
			for _, f := range w.book.order[1:] {
				if f.successes == 0 {
					return fmt.Errorf("%s is a dead letter after %d runs without a failure", f.label, len(f.runs))
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(1), Faults(4), Kinds(Deploy, Apply, LateAnswer, Throttle)},
}

// redrive: a queue whose own redrive takes a message away at its fourth receive, and
// messages that work at the fifth.
var redrive = playground{
	play: killers(4, func(job task.Job[parcel]) bool { return job.Attempt < 5 }),
	opts: []StormOption{Fleet(2), Kinds(Deploy, Apply), Within(30 * time.Minute), ofQueues(map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:storm_dead","maxReceiveCount":"3"}`,
	})},
}

// groups: a FIFO queue, and in a group a message that ends its process five times, with
// others behind it that have nothing to do with that.
var groups = playground{
	play: killerInGroup(false),
	opts: []StormOption{Fleet(1), Faults(0), tuned(func(t *chassis.TaskSettings) { t.TaskPool = "storm.fifo" })},
}

// apart: the same, and the process that the message has not ended dies before those
// behind it have run: they come without it.
var apart = playground{
	play: killerInGroup(true),
	opts: []StormOption{Fleet(1), Faults(3), Kinds(Pause, Apply),
		tuned(func(t *chassis.TaskSettings) { t.TaskPool = "storm.fifo" })},
}

func killerInGroup(parted bool) func(w *World) {
	return func(w *World) {
		first := task.Define[parcel]("first", task.MaxFailures(10))
		w.Service(func(p *Process) {
			chassis.Handle(p.System, first, func(ctx context.Context, job task.Job[parcel]) error {
				if job.Attempt < 6 {
					time.Sleep(2 * time.Second)
					w.Crash(ctx)
				}
				return nil
			})
			chassis.Handle(p.System, vase, func(ctx context.Context, job task.Job[parcel]) error {
				if parted && job.Args.ID == 0 && len(w.Effects("parted")) == 0 {
					if err := w.Effect(ctx, "parted"); err != nil {
						return err
					}
					w.Crash(ctx)
				}
				return w.Effect(ctx, "vase", job.Args.ID)
			})
		})
		SubmitAt(w, time.Second, first, parcel{0}, task.Group("g"))
		for i := range 6 {
			SubmitAt(w, 2*time.Second, vase, parcel{i}, task.Group("g"))
		}
		w.Eventually("none is blamed for another", func() error {
			for _, f := range w.book.order[1:] {
				if f.successes == 0 {
					return fmt.Errorf("%s is a dead letter after %d runs without a failure", f.label, len(f.runs))
				}
			}
			return nil
		})
	}
}
