package chassistest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// TestEachInvariantAccuses: a runtime, or a handler, that is wrong in one way is accused
// of that, and of nothing where the invariant is left out. No fault is drawn.
func TestEachInvariantAccuses(t *testing.T) {
	deletes := 0
	rows := map[string]struct {
		tamper func(p *Process, r *http.Request) // what the runtime does wrong
		handle func(w *World, p *Process) task.Handler[parcel]
		policy []task.Policy
		opts   []task.Option
		fleet  int
		with   []StormOption
	}{
		NotLost: { // a dead letter that is never sent
			tamper: func(p *Process, r *http.Request) { redirect(p, r, "storm_dead", "elsewhere") },
			handle: fails,
		},
		OneEnd: { // a delete that does nothing
			tamper: func(_ *Process, r *http.Request) { hideForDelete(r, &deletes) },
			handle: succeeds,
		},
		LeaseHeld: { // it believes in longer leases than it asks for
			tamper: func(_ *Process, r *http.Request) { replace(r, `"VisibilityTimeout":30`, `"VisibilityTimeout":3`) },
			handle: fails, fleet: 2, policy: []task.Policy{task.Wait(4*time.Second, task.None)},
		},
		Early: {
			tamper: func(_ *Process, r *http.Request) {},
			handle: succeeds,
			opts:   []task.Option{task.At(time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC))},
		},
		AfterDelete: {handle: func(w *World, p *Process) task.Handler[parcel] {
			return func(_ context.Context, job task.Job[parcel]) error {
				again := job.Info
				go func() {
					time.Sleep(5 * time.Second)
					_ = p.around(func(context.Context, task.Job[json.RawMessage]) error { return nil })(context.Background(),
						task.Job[json.RawMessage]{Info: again})
				}()
				return nil
			}
		}},
		Overlap: { // as that of LeaseHeld, with a handler that takes longer than the lease
			tamper: func(_ *Process, r *http.Request) { replace(r, `"VisibilityTimeout":30`, `"VisibilityTimeout":1`) },
			handle: func(*World, *Process) task.Handler[parcel] {
				return func(context.Context, task.Job[parcel]) error { time.Sleep(5 * time.Second); return nil }
			},
			fleet: 2, // one process waits with the second delivery
		},
		InOrder: { // a head that is deleted where it should be hidden
			tamper: func(_ *Process, r *http.Request) { deleteForHide(r) },
			handle: fails, policy: []task.Policy{task.Wait(2*time.Minute, task.None)},
			fleet: 2, opts: []task.Option{task.Group("a")}, with: []StormOption{Tune(fifo)},
		},
		Budget: { // a dead letter that says more than there was
			tamper: func(_ *Process, r *http.Request) {
				replace(r, `"chassis.failures":{"DataType":"String","StringValue":"2"}`,
					`"chassis.failures":{"DataType":"String","StringValue":"9"}`)
			},
			handle: fails,
		},
		NeverRan: {handle: func(w *World, p *Process) task.Handler[parcel] {
			return func(ctx context.Context, job task.Job[parcel]) error {
				return letter(ctx, p, job.ExecID+"'s brother")
			}
		}},
		StepAgain: { // a copy without the steps
			tamper: func(_ *Process, r *http.Request) { replace(r, `"chassis.steps"`, `"chassis.stepz"`) },
			handle: func(w *World, _ *Process) task.Handler[parcel] {
				return func(ctx context.Context, job task.Job[parcel]) error {
					do := func(ctx context.Context) error { return w.Effect(ctx, "pack", job.Args.ID) }
					if err := task.Do(ctx, "pack", do); err != nil || job.Attempt > 1 {
						return err
					}
					return task.Snooze(time.Minute)
				}
			},
		},
		OneTick: { // each process has ids of its own for the ticks
			tamper: func(p *Process, r *http.Request) {
				replace(r, `"MessageDeduplicationId":"`, fmt.Sprintf(`"MessageDeduplicationId":"%d`, p.number))
			},
			handle: func(_ *World, p *Process) task.Handler[parcel] {
				chassis.Every(p.System, post, parcel{3}, "@every 10s", cron.Overlap(cron.Allow))
				return func(context.Context, task.Job[parcel]) error { return nil }
			},
			fleet: 2, with: []StormOption{Without(OneEnd)},
		},
		Stuck: {handle: func(*World, *Process) task.Handler[parcel] {
			return func(context.Context, task.Job[parcel]) error { return task.Snooze(time.Minute) }
		}},
		Stray: {handle: func(w *World, p *Process) task.Handler[parcel] {
			return func(ctx context.Context, job task.Job[parcel]) error {
				go func() {
					time.Sleep(5 * time.Second)
					_ = w.Effect(context.WithoutCancel(ctx), "late")
				}()
				return nil
			}
		}},
		Leak: {handle: func(w *World, p *Process) task.Handler[parcel] {
			return func(context.Context, task.Job[parcel]) error {
				go func() { select {} }()
				return nil
			}
		}},
		Plays: {handle: func(w *World, p *Process) task.Handler[parcel] {
			panic("no handler is made")
		}},
	}
	for _, name := range Invariants() {
		row, ok := rows[name]
		switch {
		case !ok:
			t.Errorf("%q has no row", name)
			continue
		case name == Leak || name == Plays: // Leak leaves a goroutine, which goleak finds
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := newStorm(t, func(w *World) {
				def := task.Define[parcel]("pack", append([]task.Policy{task.MaxFailures(2),
					task.Wait(2*time.Second, task.None)}, row.policy...)...)
				w.Service(func(p *Process) { chassis.Handle(p.System, def, row.handle(w, p)) })
				SubmitAt(w, time.Second, def, parcel{1}, row.opts...)
				if name == Early {
					w.at(2*time.Second, func() { w.book.order[0].due = time.Now().Add(time.Hour) })
				}
				var group []task.Option
				if name == InOrder {
					group = row.opts
				}
				SubmitAt(w, 30*time.Second, post, parcel{2}, group...)
				w.Service(func(p *Process) { chassis.Handle(p.System, post, succeeds(w, p)) })
			}, append(row.with, Within(20*time.Minute)))
			s.tamper = row.tamper
			if r := s.run(Schedule{Seed: 1, Fleet: max(row.fleet, 1)}); len(r.findings) == 0 || r.findings[0].Invariant != name {
				t.Errorf("found %v:\n%s", r.findings, r.timeline())
			}
		})
	}
}

func fails(*World, *Process) task.Handler[parcel] {
	return func(context.Context, task.Job[parcel]) error { return fmt.Errorf("it never works") }
}

func succeeds(*World, *Process) task.Handler[parcel] {
	return func(context.Context, task.Job[parcel]) error { return nil }
}

// replace changes the body of a request.
func replace(r *http.Request, from, to string) {
	body, _ := io.ReadAll(r.Body) // it is in memory
	body = bytes.ReplaceAll(body, []byte(from), []byte(to))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// hideForDelete makes the first delete hide its messages instead.
func hideForDelete(r *http.Request, deletes *int) {
	if !strings.Contains(r.Header.Get("X-Amz-Target"), "Delete") {
		return
	}
	if *deletes++; *deletes == 1 {
		r.Header.Set("X-Amz-Target", "AmazonSQS.ChangeMessageVisibilityBatch")
		replace(r, `"ReceiptHandle"`, `"VisibilityTimeout":5,"ReceiptHandle"`)
	}
}

// deleteForHide makes each hide a delete.
func deleteForHide(r *http.Request) {
	if strings.Contains(r.Header.Get("X-Amz-Target"), "ChangeMessageVisibilityBatch") {
		r.Header.Set("X-Amz-Target", "AmazonSQS.DeleteMessageBatch")
	}
}

// redirect makes a send to one queue a send to another.
func redirect(p *Process, r *http.Request, from, to string) {
	if strings.Contains(r.Header.Get("X-Amz-Target"), "SendMessage") {
		_, _ = p.world.client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &to})
		replace(r, "/"+from+`"`, "/"+to+`"`)
	}
}

// letter puts a dead letter of a task that never ran on the queue of the dead.
func letter(ctx context.Context, p *Process, execID string) error {
	client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(p))
	if err != nil {
		return err
	}
	text := func(s string) types.MessageAttributeValue {
		kind := "String"
		return types.MessageAttributeValue{DataType: &kind, StringValue: &s}
	}
	url, body := "http://sqs.local/000000000000/storm_dead", "{}"
	_, err = client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{task.AttrName: text("pack"), task.AttrExecID: text(execID),
			task.AttrReason: text(task.ReasonExhausted), task.AttrFailures: text("2")}})
	return err
}
