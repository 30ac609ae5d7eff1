package chassistest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

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
			w.book.put(*sent.MessageId, "storm", "", f, msg.Failures)
			_, _ = w.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &from, ReceiptHandle: m.ReceiptHandle})
			w.note(nil, "moved back", []string{f.label}, "")
		}
	}
}
