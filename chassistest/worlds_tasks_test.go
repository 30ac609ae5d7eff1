package chassistest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
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
		copiesAtMost(w, 6)
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
					if s.p != nil {
						w.kill(s.p)
					}
					w.startAfter(s, lasts)
				}
			})
		}
		outage(time.Millisecond, 33*time.Minute)
		outage(34*time.Minute, time.Second)
		outage(36*time.Minute, 30*time.Minute)
	},
	opts: []StormOption{Fleet(2), Faults(8), Kinds(Deploy, Throttle, Apply), ofQueues(map[string]string{"MessageRetentionPeriod": "3600"})},
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
	opts: []StormOption{Fleet(2), Kinds(Deploy, Apply), Within(30 * time.Minute), ofQueues(map[string]string{
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

// oddError is an error that panics when it is asked, as many do that are nil pointers.
type oddError struct{ text string }

func (e *oddError) Error() string { return e.text }

// oddErrors: handlers that return a nil pointer as their error.
var oddErrors = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, hopeful, func(_ context.Context, job task.Job[parcel]) error {
				var err *oddError
				if job.Args.ID%2 == 0 {
					err = &oddError{"it never works"}
				}
				return err
			})
		})
		for i := range 10 {
			Submit(w, hopeful, parcel{i})
		}
		failsAtMost(w)
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy, Apply, Pause), Within(time.Hour)},
}

// moved: dead letters that come back by SQS's own redrive, once what was wrong is right.
var moved = playground{
	play: func(w *World) {
		const healed, at = 2 * time.Minute, 4 * time.Minute
		w.Service(func(p *Process) {
			chassis.Handle(p.System, deliver, func(context.Context, task.Job[parcel]) error {
				if w.Now() < healed {
					return errors.New("it does not work yet")
				}
				return nil
			})
		})
		for i := range 10 {
			Submit(w, deliver, parcel{i})
		}
		SubmitAt(w, at+time.Minute, deliver, parcel{10})
		w.at(at, func() { w.moveBack() })
		w.Eventually("what comes back runs", func() error {
			for _, f := range w.book.order {
				if f.successes == 0 {
					return fmt.Errorf("%s has not run since, and is a dead letter %d times", f.label, f.letters)
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy, Apply, Pause, CutOff, LoseAnswer)},
}

// limited: many tasks of which one runs at a time, and little room to wait in.
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

// groups: a FIFO queue, and in each group a message that ends its process five times,
// with others behind it that have nothing to do with that.
var groups = playground{
	play: func(w *World) {
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
				return w.Effect(ctx, "vase", job.Args.ID)
			})
		})
		for i := range 2 {
			SubmitAt(w, time.Second, first, parcel{i}, task.Group(fmt.Sprint("g", i)))
		}
		for i := range 8 {
			SubmitAt(w, 2*time.Second, vase, parcel{i}, task.Group(fmt.Sprint("g", i%2)))
		}
	},
	// In another process the others may be the first of their group, and what they have been
	// through there counts: no more than one process.
	opts: []StormOption{Fleet(1), Kinds(Apply, Pause),
		tuned(func(t *chassis.TaskSettings) { t.TaskPool = "storm.fifo" })},
}

// unread: a service that fails for a time, and callers that look at the status only.
var unread = playground{
	play: func(w *World) {
		const service = "https://carrier.internal"
		carrier := w.Upstream(service, nil)
		w.Service(func(p *Process) {
			client := &http.Client{Transport: p.Breaker(service).Transport(carrier)}
			chassis.Handle(p.System, post, func(ctx context.Context, _ task.Job[parcel]) error {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, service+"/parcels", nil)
				if err != nil {
					return err
				}
				res, err := client.Do(r)
				if err != nil {
					return err
				}
				_ = res.Body.Close() // unread
				if res.StatusCode != http.StatusOK {
					return errors.New(res.Status)
				}
				return nil
			})
		})
		for i := range 60 {
			SubmitAt(w, time.Duration(i)*5*time.Second, post, parcel{i})
		}
		w.Eventually("a service that works is called", func() error {
			for _, s := range w.seats {
				if state := s.p.Breaker(service).Snapshot().State; state != breaker.Closed {
					return fmt.Errorf("its breaker is %s", state)
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(1), Kinds(CallFails), Tune(func(s *chassis.Settings) { s.CircuitBreaker.ClosedFailLimit = 3 })},
}

// moveBack does what SQS's own redrive does: it sends the messages of the queue of dead
// letters as they stand to the pool's queue.
func (w *World) moveBack() {
	ctx := context.Background()
	from, to := "http://sqs.local/000000000000/storm_dead", "http://sqs.local/000000000000/storm"
	for {
		out, err := w.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &from, MaxNumberOfMessages: 10,
			MessageAttributeNames: []string{"All"}})
		if err != nil || len(out.Messages) == 0 {
			return
		}
		for _, m := range out.Messages {
			msg, _ := task.Decode(*m.Body, m.MessageAttributes)
			f := w.book.fates[msg.ExecID]
			sent, err := w.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &to, MessageBody: m.Body,
				MessageAttributes: m.MessageAttributes})
			if err != nil {
				w.accuse(Plays, f.label, "it cannot be moved: %v", err)
				return
			}
			f.redrives++
			w.book.put(*sent.MessageId, "storm", f, msg.Failures)
			_, _ = w.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &from, ReceiptHandle: m.ReceiptHandle})
			w.note(nil, "moved back", []string{f.label}, "")
		}
	}
}
