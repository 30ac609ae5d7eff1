package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// The clauses of the contract with the Python chassis that are the
// dispatcher's: sections 1 (message), 2 (settings) and 3 (running tasks). Those
// of the wire form itself are tested in package task.

// raw message on the queue, without our encoder.
func (r *rig) put(body string, attrs map[string]string) {
	r.inspect(func(q *queue) {
		m := map[string]types.MessageAttributeValue{}
		for k, v := range attrs {
			m[k] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(v)}
		}
		q.messages = append(q.messages, q.made(body, m, "", 0))
	})
}

func TestCompat1_RecordedPythonMessagesRun(t *testing.T) {
	data, err := os.ReadFile("../../task/testdata/python-sent.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Send struct {
			MessageBody       string
			MessageAttributes map[string]types.MessageAttributeValue
		} `json:"send_message"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	bubble(t, dispatcher.Settings{Workers: 20}, func(r *rig) {
		time.Sleep(time.Until(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))) // past every when
		got := make(chan string, 20)
		for _, m := range list {
			name := *m.Send.MessageAttributes["task_name"].StringValue
			if !r.mon.Registered(name) {
				r.handle(name, func(_ context.Context, job raw) error {
					got <- job.Task + " " + job.ExecID + " " + job.JobID + " " + job.JobName + " " + string(job.Args)
					return nil
				})
			}
		}
		for _, m := range list {
			r.inspect(func(q *queue) {
				q.messages = append(q.messages, q.made(m.Send.MessageBody, m.Send.MessageAttributes, "", 0))
			})
		}
		r.after(time.Minute)
		if len(got) != 10 || r.left() != 0 || len(r.dead()) != 0 {
			t.Fatalf("%d ran, %d left, %d dead", len(got), r.left(), len(r.dead()))
		}
		var seen []string
		for range 10 {
			seen = append(seen, <-got)
		}
		for _, m := range list {
			a := m.Send.MessageAttributes
			want := *a["task_name"].StringValue + " " + *a["exec_id"].StringValue + " " + *a["job_id"].StringValue + " " + *a["job_name"].StringValue + " " + m.Send.MessageBody
			if !slices.Contains(seen, want) {
				t.Errorf("did not run as sent: %s", want)
			}
		}
	})
}

func TestCompat1_MissingAttributes(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var got []*task.Info
		r.handle("t", func(_ context.Context, job raw) error { got = append(got, job.Info); return nil })
		r.put("{}", map[string]string{"task_name": "t"})
		r.settle()
		if len(got) != 1 || len(got[0].ExecID) != 36 || got[0].JobID != "unknown" || got[0].JobName != "unknown" {
			t.Fatalf("got %+v", got)
		}
		if log := r.log.String(); !strings.Contains(log, got[0].ExecID) || !strings.Contains(log, "exec_id") {
			t.Errorf("the new exec_id is not logged: %s", log)
		}
	})
}

func TestCompat1_ExecIDIsKeptOverRetriesAndResends(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		ids := map[string]int{}
		r.handle("t", func(_ context.Context, job raw) error {
			ids[job.ExecID]++
			return errors.New("no")
		}, task.MaxFailures(5), task.Wait(15*time.Second, task.Arithmetic)) // in place, copies and visibility
		out := r.send("t", nil)
		r.after(time.Hour)
		if len(ids) != 1 || ids[out.ExecID] != 5 {
			t.Errorf("runs by exec_id %v, want 5 of %s", ids, out.ExecID)
		}
	})
}

func TestCompat1_ForeignAttributesArePassedThrough(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return errors.New("no") }, task.MaxFailures(1))
		r.send("t", nil, task.Attribute("tenant", "acme"), task.TraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
		r.settle()
		dead := r.dead()
		if len(dead) != 1 || aws.ToString(dead[0].Extra["tenant"].StringValue) != "acme" || dead[0].TraceParent() == "" {
			t.Errorf("dead letter %+v", dead)
		}
	})
}

func TestCompat2_DefaultsAndRules(t *testing.T) {
	s := dispatcher.DefaultSettings()
	if s.Workers != 3 || s.MaxWorkers != 6 || s.ScaleFactor != 100 || s.UnknownTasksRetries != 50 ||
		s.UnknownTasksDelay != 10*time.Second || s.WhenWindow != 0 || s.HoldLimit != 30*time.Second {
		t.Errorf("defaults %+v", s)
	}
	keys := []string{"workers", "max_workers", "scale_factor", "unknown_tasks_retries", "unknown_tasks_delay", "when_window"}
	typ := reflect.TypeFor[dispatcher.Settings]()
	for i, key := range keys {
		f := typ.Field(i)
		rule := "min=1"
		if key == "when_window" {
			rule = "min=0s"
		}
		if f.Tag.Get("key") != key || !strings.Contains(f.Tag.Get("rule"), rule) {
			t.Errorf("field %s: key %q, rule %q", f.Name, f.Tag.Get("key"), f.Tag.Get("rule"))
		}
	}
	bad := dispatcher.Settings{Workers: -1, MaxWorkers: -1, ScaleFactor: -1, UnknownTasksRetries: -1, UnknownTasksDelay: -1, WhenWindow: -1,
		HoldLimit: -1, MaxHeld: -1, Exhausted: "x", DrainTimeout: -1, AbandonAfter: -1, CrashSuspects: "x", PostponedShare: -1, RetentionPeriod: -1, MaxAbandoned: -1,
		Limits: dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: -1}}, TenantWeights: map[string]int{"a": -1}}
	_, err := dispatcher.New(dispatcher.Config{Settings: bad})
	if err == nil {
		t.Fatal("bad settings are taken")
	}
	for i := range typ.NumField() {
		if key := typ.Field(i).Tag.Get("key"); !regexp.MustCompile(`tasks\.`+key+`[ .]`).MatchString(err.Error()) && key != "dead_letter_pool" && key != "open_breaker_spends" {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
}

func TestCompat3_RegisteringAgainReplacesWithAWarning(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var first, second int
		r.handle("t", func(context.Context, raw) error { first++; return nil })
		r.handle("t", func(context.Context, raw) error { second++; return nil })
		r.send("t", nil)
		r.settle()
		if first != 0 || second != 1 || !strings.Contains(r.log.String(), "registered again") {
			t.Errorf("first ran %d, second %d; log %s", first, second, r.log)
		}
	})
}

func TestCompat3_DefaultBudgetIsTenFailuresTenSecondsApart(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var at []time.Time
		r.handle("t", func(context.Context, raw) error { at = append(at, time.Now()); return errors.New("no") })
		r.send("t", nil)
		r.after(time.Hour)
		if len(at) != 10 {
			t.Fatalf("%d runs", len(at))
		}
		for i := 1; i < 10; i++ {
			if d := at[i].Sub(at[i-1]); d != 10*time.Second {
				t.Errorf("wait %d: %v", i, d)
			}
		}
		if dead := r.dead(); len(dead) != 1 || dead[0].Failures != 10 {
			t.Errorf("dead letters %+v", dead)
		}
	})
}

func TestCompat3_ExhaustedMayBeFinishedInsteadOfDeadLettered(t *testing.T) {
	bubble(t, dispatcher.Settings{Exhausted: "finish"}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return errors.New("kaput") }, task.MaxFailures(1))
		r.send("t", nil)
		r.settle()
		if len(r.dead()) != 0 || r.left() != 0 || !strings.Contains(r.log.String(), "kaput") {
			t.Errorf("%d dead, %d left, log %s", len(r.dead()), r.left(), r.log)
		}
	})
}

func TestCompat3_WaitCountsFromTheFailureNotTheStart(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var begin, end []time.Time
		r.handle("t", func(context.Context, raw) error {
			begin = append(begin, time.Now())
			time.Sleep(7 * time.Second)
			end = append(end, time.Now())
			return errors.New("no")
		}, task.MaxFailures(4), task.Wait(20*time.Second, task.Geometric)) // 20 s in place, 80 s and 180 s given back
		r.send("t", nil)
		r.after(time.Hour)
		for i, want := range []time.Duration{20 * time.Second, 80 * time.Second, 180 * time.Second} {
			if got := begin[i+1].Sub(end[i]); got != want {
				t.Errorf("wait %d: %v from the failure, want %v", i+1, got, want)
			}
		}
	})
}

func TestCompat3_WaitBeyond43200SecondsIsHeldInSteps(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var at []time.Time
		r.handle("t", func(context.Context, raw) error { at = append(at, time.Now()); return errors.New("no") },
			task.MaxFailures(3), task.Wait(50*time.Hour, task.None))
		r.send("t", nil)
		r.after(200 * time.Hour)
		if len(at) != 3 {
			t.Fatalf("%d runs, want 3", len(at))
		}
		for i := 1; i < 3; i++ {
			if d := at[i].Sub(at[i-1]); d < 50*time.Hour || d > 50*time.Hour+2*time.Second {
				t.Errorf("wait %v, want 50h", d)
			}
		}
	})
}

func TestCompat3_OnFailIsSentBeforeTheDeleteOrTheMessageStays(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.inspect(func(q *queue) {
			q.refuse = func(s *poller.Settle) error {
				if len(s.Send) > 0 {
					return errors.New("the other pool cannot be reached")
				}
				return nil
			}
		})
		r.handle("t", func(context.Context, raw) error { runs++; return errors.New("no") }, task.MaxFailures(1), task.OnFailIn("other", "f"))
		r.send("t", nil)
		r.settle()
		if r.left() != 1 {
			t.Fatalf("%d messages left: the failed one was deleted", r.left())
		}
		if !strings.Contains(r.log.String(), "could not be settled") {
			t.Errorf("not logged: %s", r.log)
		}
	})
}

func TestCompat3_TwoMessagesOfOneExecIDAreTwoExecutions(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		both := make(chan struct{})
		r.handle("t", func(context.Context, raw) error {
			<-both
			return nil
		})
		r.send("t", 1, task.ExecID("same"))
		r.send("t", 2, task.ExecID("same"))
		r.settle()
		list, err := r.client.Inspect(r.ctx(), "same", 0)
		if err != nil || list.Total != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		close(both)
		r.settle()
		if r.left() != 0 || runs != 0 {
			t.Errorf("%d left: one was lost", r.left())
		}
	})
}

func TestCompat3_UnknownTaskIsPostponedThenDeadLettered(t *testing.T) {
	for _, name := range []string{"newcomer", ""} {
		t.Run("name="+name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{UnknownTasksRetries: 5}, func(r *rig) {
				start := time.Now()
				attrs := map[string]string{"exec_id": "e", "when": "01/01/00 00:00:00"}
				if name != "" {
					attrs["task_name"] = name
				}
				r.put("{}", attrs)
				var died time.Duration
				for range 20 {
					r.after(5 * time.Second)
					if len(r.dead()) > 0 && died == 0 {
						died = time.Since(start)
					}
				}
				if died < 50*time.Second || died > 55*time.Second {
					t.Errorf("dead after %v, want 5 times 10 s", died)
				}
				if dead := r.dead(); len(dead) != 1 || dead[0].Reason != task.ReasonUnknown || dead[0].LastError == "" {
					t.Errorf("dead letters %+v", dead)
				}
				if !strings.Contains(r.log.String(), "level=ERROR") {
					t.Error("no error is logged")
				}
			})
		})
	}
}

func TestCompat3_RollingDeployIntroducesATaskName(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.send("newcomer", nil)
		r.after(3 * time.Minute) // 18 deliveries under an unknown name
		r.handle("newcomer", func(context.Context, raw) error { runs++; return errors.New("no") }, task.MaxFailures(2), task.Wait(time.Second, task.None))
		r.after(time.Minute)
		if dead := r.dead(); runs != 2 || len(dead) != 1 || dead[0].Reason != task.ReasonExhausted {
			t.Errorf("%d runs, want all 2 of its budget; %+v", runs, dead)
		}
	})
}

func TestCompat3_PostponementsDoNotEatTheBudget(t *testing.T) {
	for _, days := range []int{2, 30, 400} {
		t.Run(fmt.Sprintf("%d days", days), func(t *testing.T) {
			bubble(t, dispatcher.Settings{}, func(r *rig) {
				var at []time.Time
				register := func() {
					r.handle("t", func(context.Context, raw) error { at = append(at, time.Now()); return nil }, task.MaxFailures(1), task.Window(0))
				}
				register()
				when := time.Now().Add(time.Duration(days) * 24 * time.Hour)
				r.send("t", nil, task.At(when))
				for day := range days + 1 {
					r.after(24 * time.Hour)
					if day%7 == 3 { // any number of restarts
						r.crash()
						r.up()
						register()
					}
				}
				if len(at) != 1 {
					t.Fatalf("%d runs, want 1; dead %+v; left %d", len(at), r.dead(), r.left())
				}
				if late := at[0].Sub(when); late < 0 || late > time.Second {
					t.Errorf("ran %v after its time", late)
				}
				r.inspect(func(q *queue) {
					for _, m := range q.messages {
						t.Errorf("left: %+v", m)
					}
				})
			})
		})
	}
}

func TestCompat3_ScheduledTaskMayRunUpToTheWindowEarly(t *testing.T) {
	cases := []struct {
		name   string
		when   time.Duration // when_window
		window task.Policy
		early  time.Duration
	}{
		{"default", 0, nil, 0}, {"setting", 300 * time.Second, nil, 300 * time.Second},
		{"never early", 300 * time.Second, task.Window(0), 0}, {"own", 300 * time.Second, task.Window(time.Hour), time.Hour},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{WhenWindow: c.when}, func(r *rig) {
				var at time.Time
				r.handle("t", func(context.Context, raw) error { at = time.Now(); return nil }, c.window)
				when := time.Now().Truncate(time.Second).Add(3 * time.Hour)
				r.send("t", nil, task.At(when))
				r.after(4 * time.Hour)
				if early := when.Sub(at); early > c.early || early < c.early-2*time.Second {
					t.Errorf("ran %v early, want %v", early, c.early)
				}
			})
		})
	}
}

func TestCompat3_LateRunIsLoggedAsLate(t *testing.T) {
	for _, late := range []bool{false, true} {
		bubble(t, dispatcher.Settings{}, func(r *rig) {
			r.handle("t", func(context.Context, raw) error { return nil })
			when := time.Now().Add(10 * time.Second)
			if late {
				if err := r.client.Pause(r.ctx(), ""); err != nil {
					t.Fatal(err)
				}
			}
			r.send("t", nil, task.At(when))
			r.after(2 * time.Minute)
			if late {
				if err := r.client.Resume(r.ctx(), ""); err != nil {
					t.Fatal(err)
				}
			}
			r.settle()
			if got := strings.Contains(r.log.String(), "runs late"); got != late {
				t.Errorf("late %v, logged %v", late, got)
			}
		})
	}
}

func TestCompat3_MessagesOutliveTheRetention(t *testing.T) {
	bubble(t, dispatcher.Settings{RetentionPeriod: 24 * time.Hour}, func(r *rig) {
		ran := false
		r.handle("t", func(context.Context, raw) error { ran = true; return nil })
		r.send("t", nil, task.At(time.Now().Add(10*24*time.Hour)))
		for range 24 * 11 {
			r.after(time.Hour)
			r.inspect(func(q *queue) {
				for _, m := range q.messages {
					if age := time.Since(m.sent); age > 24*time.Hour {
						t.Errorf("a copy is %v old: the queue has dropped it", age)
					}
				}
			})
		}
		if !ran {
			t.Error("never ran")
		}
	})
}

func TestCompat3_AtMostWorkersAtOnceAndScaling(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2, MaxWorkers: 4, ScaleFactor: 10}, func(r *rig) {
		var mu sync.Mutex
		running, highest := 0, 0
		enter := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			highest = max(highest, running)
		}
		most := func() int {
			mu.Lock()
			defer mu.Unlock()
			return highest
		}
		r.handle("t", func(context.Context, raw) error {
			enter(1)
			defer enter(-1)
			time.Sleep(time.Second)
			return nil
		})
		r.inspect(func(q *queue) { q.length = 0 })
		for range 300 {
			r.send("t", nil)
		}
		r.after(5 * time.Second)
		if most() != 2 {
			t.Errorf("%d at once, want 2", most())
		}
		r.inspect(func(q *queue) { q.length = 26 }) // > 2·10+5, not > 3·10+5
		r.after(25 * time.Second)
		if n := r.mon.Stats().Workers; n != 3 {
			t.Errorf("%d workers at 26 waiting, want 3", n)
		}
		r.inspect(func(q *queue) { q.length = 1000 })
		r.after(35 * time.Second)
		if n := r.mon.Stats().Workers; n != 4 || most() != 4 {
			t.Errorf("%d workers and %d at once at 1000 waiting, want max_workers 4", n, most())
		}
		r.inspect(func(q *queue) { q.length = 34 }) // < 4·10-5
		r.after(12 * time.Second)
		if n := r.mon.Stats().Workers; n != 3 {
			t.Errorf("%d workers at 34 waiting, want 3", n)
		}
		r.inspect(func(q *queue) { q.length = 0 })
		r.after(30 * time.Minute)
		if n := r.mon.Stats().Workers; n != 2 {
			t.Errorf("%d workers on an empty queue, want the configured 2", n)
		}
		var counts int
		r.inspect(func(q *queue) { counts = q.counts })
		r.after(time.Hour)
		r.inspect(func(q *queue) {
			if q.counts != counts {
				t.Errorf("an idle dispatcher asked %d times for the length", q.counts-counts)
			}
		})
	})
}

func TestCompat3_QueueIsNotCountedWithoutScaling(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 6}, func(r *rig) { // max_workers is 6 by default
		r.handle("t", func(context.Context, raw) error { time.Sleep(time.Second); return nil })
		for range 200 {
			r.send("t", nil)
		}
		r.after(time.Minute)
		r.inspect(func(q *queue) {
			if q.counts != 0 {
				t.Errorf("counted %d times", q.counts)
			}
		})
	})
}

func TestCompat3_StopLetsRunningEndAndForceDoesNot(t *testing.T) {
	for _, force := range []bool{false, true} {
		bubble(t, dispatcher.Settings{}, func(r *rig) {
			ended := make(chan error, 1)
			r.handle("t", func(ctx context.Context, _ raw) error {
				select {
				case <-time.After(5 * time.Second):
					ended <- nil
					return nil
				case <-ctx.Done():
					ended <- context.Cause(ctx)
					return ctx.Err()
				}
			})
			r.send("t", nil)
			r.settle()
			deadline := time.Now().Add(time.Minute)
			if force {
				deadline = time.Now()
			}
			begin := time.Now()
			states := make(chan dispatcher.Status, 1)
			time.AfterFunc(time.Millisecond, func() { states <- r.mon.Status() })
			done, err := r.client.Drain(r.ctx(), deadline)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			if err := <-ended; force != errors.Is(err, dispatcher.ErrDrained) || force && took > time.Second || !force && took != 5*time.Second {
				t.Errorf("force %v: handler ended with %v after %v", force, err, took)
			}
			if left := r.left(); force && left != 1 || !force && left != 0 {
				t.Errorf("force %v: %d messages left, %+v", force, left, done)
			}
			if r.mon.Status() != dispatcher.Stopped || !force && <-states != dispatcher.Stopping {
				t.Error("wrong status")
			}
		})
	}
}

// Any of these ended the original's loop for good.
func TestCompat3_OneBadMessageNeverStopsTheConsumer(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return nil })
		bad := []map[string]string{
			{"task_name": "t", "when": "soon", "exec_id": "e"},
			{"task_name": "t", "when": "32/13/26 25:61:61"},
			{"task_name": "t", "chassis.failures": "x", "chassis.more": "{", "chassis.when": "?", "chassis.first": "!"},
		}
		r.put("not JSON", map[string]string{"task_name": "t", "exec_id": "e", "when": "01/01/00 00:00:00"})
		r.put("", map[string]string{"task_name": "t"})
		for _, attrs := range bad {
			r.put("{}", attrs)
		}
		r.settle()
		r.send("t", nil)
		r.settle()
		dead := r.dead()
		if runs != 2 || len(dead) != 4 || r.left() != 0 {
			t.Fatalf("%d runs, %d dead, %d left", runs, len(dead), r.left())
		}
		for _, m := range dead {
			if m.Reason != task.ReasonUndecodable || m.LastError == "" {
				t.Errorf("dead letter %+v", m)
			}
		}
		if s := r.mon.Status(); s != dispatcher.Running {
			t.Errorf("status %v", s)
		}
	})
}

// A message that was postponed, and is then delivered to an instance that does
// not know its name, is not to be charged for its postponements.
func TestCompat3_UnknownNameOfAScheduledTaskSpendsNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		when := time.Now().Add(40 * time.Hour)
		r.send("late", nil, task.At(when))
		r.after(40*time.Hour - time.Minute) // due since four minutes, unknown
		if n := len(r.dead()); n != 0 {
			t.Fatalf("%d dead letters of a task that is hardly due", n)
		}
		r.handle("late", func(context.Context, raw) error { runs++; return nil }, task.MaxFailures(1))
		r.after(time.Minute)
		if runs != 1 {
			t.Errorf("%d runs, dead %+v", runs, r.dead())
		}
	})
}

// The first record of an unknown task came when it was given up, after 8 min,
// and one message cost 150 requests.
func TestAnUnknownTaskIsLoggedAtItsFirstDeliveryWithTheLikelyName(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("welcome", func(context.Context, raw) error { return nil })
		r.send("welcmoe", nil)
		r.settle()
		log := r.log.String()
		for _, want := range []string{"level=WARN", "not registered", "task=welcmoe", "likely=welcome", "dead_letter_after=8m20s"} {
			if !strings.Contains(log, want) {
				t.Errorf("%q is not in the log: %s", want, log)
			}
		}
		r.after(501 * time.Second)
		r.inspect(func(q *queue) {
			if n := len(q.settles); n > 12 {
				t.Errorf("the message was delivered %d times", n)
			}
		})
		if dead := r.dead(); len(dead) != 1 || dead[0].Reason != task.ReasonUnknown {
			t.Errorf("dead letters %+v", dead)
		}
		if n := strings.Count(r.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings for one name", n)
		}
	})
}
