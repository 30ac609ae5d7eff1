package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

func TestOpenBreakerWaitsAtLeastItsTimeAndSpendsBySetting(t *testing.T) {
	for _, spend := range []bool{false, true} {
		bubble(t, dispatcher.Settings{OpenBreakerSpends: spend}, func(r *rig) {
			var at []time.Time
			var failures []int
			r.handle("t", func(_ context.Context, job raw) error {
				at = append(at, time.Now())
				failures = append(failures, job.Failures)
				if len(at) < 3 {
					return fmt.Errorf("post: %w", openErr{25 * time.Second})
				}
				return nil
			}, task.MaxFailures(3))
			r.send("t", nil)
			r.after(10 * time.Minute)
			want := []int{0, 0, 0}
			if spend {
				want = []int{0, 1, 2}
			}
			if fmt.Sprint(failures) != fmt.Sprint(want) {
				t.Errorf("spend %v: failures %v, want %v", spend, failures, want)
			}
			if d := at[1].Sub(at[0]); d < 25*time.Second || d > 30*time.Second {
				t.Errorf("waited %v", d)
			}
		})
	}
	bubble(t, dispatcher.Settings{}, func(r *rig) { // the task's own policy goes before
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return openErr{time.Second} }, task.MaxFailures(2), task.SpendOnOpenBreaker(true))
		r.send("t", nil)
		r.after(10 * time.Minute)
		if runs != 2 || len(r.dead()) != 1 {
			t.Errorf("%d runs", runs)
		}
	})
}

func TestCancelAndSnoozeOfAHandler(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		var at []time.Time
		r.handle("t", func(_ context.Context, job raw) error {
			at = append(at, time.Now())
			switch runs++; runs {
			case 1:
				return task.Snooze(20 * time.Second)
			case 2:
				return task.Snooze(time.Hour)
			}
			if job.Failures != 0 || job.Attempt != runs {
				t.Errorf("%+v", job.Info)
			}
			return task.Cancel(errors.New("gone"))
		}, task.MaxFailures(1), task.OnFailIn("p", "f"))
		r.send("t", nil)
		r.after(2 * time.Hour)
		if runs != 3 || at[1].Sub(at[0]) != 20*time.Second || at[2].Sub(at[1]) < time.Hour || at[2].Sub(at[1]) > time.Hour+2*time.Second {
			t.Errorf("%d runs at %v", runs, at)
		}
		if list := r.sentTo("p"); len(list) != 1 || !strings.Contains(list[0].LastError, "gone") {
			t.Errorf("on_fail %+v", list)
		}
	})
}

func TestArgsThatDoNotFitAreDeadLetteredAtOnce(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		h := task.Erase(func(context.Context, task.Job[struct{ ID int }]) error { t.Error("ran"); return nil })
		r.handle("t", h, task.OnFailIn("p", "f"))
		r.send("t", map[string]string{"ID": "seven"})
		r.settle()
		if dead := r.dead(); len(dead) != 1 || dead[0].Reason != task.ReasonUndecodable || !strings.Contains(dead[0].LastError, "does not fit") {
			t.Errorf("%+v", dead)
		}
	})
}

func TestTraceOfTheSenderIsInTheCtxAndOnCopies(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ids []string
		r.handle("t", func(ctx context.Context, _ raw) error {
			ids = append(ids, trace.SpanContextFromContext(ctx).TraceID().String())
			if len(ids) == 1 {
				return task.Snooze(time.Minute) // by a copy
			}
			return nil
		})
		r.inspect(func(q *queue) {
			out, err := task.Encode("t", nil, time.Now())
			if err != nil {
				t.Error(err)
			}
			m := q.made(out.Body, out.Attributes, "", 0)
			m.trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
			q.messages = append(q.messages, m)
		})
		r.after(2 * time.Minute)
		if fmt.Sprint(ids) != "[5759e988bd862e3fe1be46a994272793 5759e988bd862e3fe1be46a994272793]" {
			t.Errorf("traces %v", ids)
		}
	})
}

// TestFinishDeletesTheExhaustedAlone: nothing else is deleted in silence.
func TestFinishDeletesTheExhaustedAlone(t *testing.T) {
	bubble(t, dispatcher.Settings{Exhausted: "finish"}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return task.Cancel(errors.New("gone")) })
		r.send("t", nil)
		r.settle()
		if n := len(r.dead()); n != 1 {
			t.Errorf("%d dead letters of a cancelled task, want 1", n)
		}
	})
}

// fieldError is the classic mistake: returned as a nil pointer in an error it
// is not nil, and each of its methods panics.
type fieldError struct{ field string }

func (e *fieldError) Error() string { return "bad field " + e.field }

type laterError struct{ after *time.Duration }

func (e laterError) Error() string { return "later" }

func (e laterError) RetryAfter() time.Duration { return *e.after }

func TestAnErrorWhoseMethodsPanicIsOneFailure(t *testing.T) {
	var nilField *fieldError
	var nilCancel *task.CancelError
	for name, bad := range map[string]error{
		"Error": nilField, "wrapped": fmt.Errorf("wrapped: %w", &task.RetryError{Err: nilField}), "RetryAfter": laterError{}, "cancel": nilCancel,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{}, func(r *rig) {
				r.handle("f", func(context.Context, raw) error { return bad }, task.MaxFailures(2), task.Wait(time.Second, task.None))
				answers := actor.PropsFromFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*dispatcher.Execute); ok {
						ctx.Respond(dispatcher.Failed{Err: bad})
					}
				})
				if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("a", task.MaxFailures(2), task.Wait(time.Second, task.None)), answers); err != nil {
					t.Fatal(err)
				}
				r.send("f", nil)
				r.send("a", nil)
				r.after(time.Minute)
				if s := r.mon.Stats(); s.Restarts != 0 || s.Status != dispatcher.Running || s.Abandoned != 0 {
					t.Errorf("%+v", s)
				}
				if dead := r.dead(); len(dead) != 2 || r.left() != 0 {
					t.Errorf("%d dead, %d left", len(dead), r.left())
				}
			})
		})
	}
}

func TestALimitlessWaitIsALongOne(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var runs atomic.Int32
		r.handle("t", func(_ context.Context, job raw) error {
			runs.Add(1)
			switch string(job.Args) {
			case "1":
				return task.Snooze(math.MaxInt64)
			case "2":
				return openErr{math.MaxInt64}
			}
			return task.RetryAfter(errors.New("never"), math.MaxInt64)
		})
		for i := range 3 {
			r.send("t", i+1)
		}
		r.after(24 * time.Hour)
		if s := r.mon.Stats(); runs.Load() != 3 || r.left() != 3 || s.SettleFailed != 0 {
			t.Errorf("%d runs, %d left, %+v", runs.Load(), r.left(), s)
		}
	})
}
