package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

func TestOperatorCancelsSnoozesAndInspects(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var bRuns atomic.Int32
		r.handle("t", func(ctx context.Context, job raw) error {
			task.Report(ctx, 3, 10, "rows")
			if job.ExecID == "b" && bRuns.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		r.handle("failing", func(context.Context, raw) error { return errors.New("no") }, task.Wait(20*time.Second, task.None))
		r.send("t", nil, task.ExecID("a"))
		r.send("t", nil, task.ExecID("b"))
		r.send("failing", nil, task.ExecID("c"))
		r.settle()
		list, err := r.client.Inspect(r.ctx(), "a", 0)
		if err != nil || len(list.List) != 1 || list.List[0].Phase != "running" || list.List[0].Progress == nil || list.List[0].Progress.Done != 3 {
			t.Errorf("%+v, %v", list, err)
		}
		list, err = r.client.Inspect(r.ctx(), "c", 0)
		if err != nil || len(list.List) != 1 || list.List[0].Phase != "waiting" || list.List[0].Error != "no" || list.List[0].Failures != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		begin := time.Now()
		for _, id := range []string{"a", "c"} {
			if n, err := r.client.CancelExecution(r.ctx(), id, "wrong customer"); n != 1 || err != nil {
				t.Errorf("cancel %s: %d, %v", id, n, err)
			}
		}
		if n, err := r.client.SnoozeExecution(r.ctx(), "b", 10*time.Minute); n != 1 || err != nil {
			t.Errorf("snooze: %d, %v", n, err)
		}
		r.settle()
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		dead := r.dead()
		if len(dead) != 2 || dead[0].Reason != task.ReasonCancelled || !strings.Contains(dead[0].LastError, "wrong customer") {
			t.Errorf("dead %+v", dead)
		}
		r.after(11 * time.Minute)
		if bRuns.Load() != 2 || r.left() != 0 {
			t.Errorf("b ran %d times, %d left", bRuns.Load(), r.left())
		}
		if n, err := r.client.CancelExecution(r.ctx(), "nobody", ""); n != 0 || err == nil {
			t.Errorf("cancelling nobody: %d, %v", n, err)
		}
	})
}

func TestPauseAndResumeOfPoolAndTask(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := map[string]int{}
		var mu sync.Mutex // handlers run at once; they are over when runs is read
		h := func(_ context.Context, job raw) error {
			mu.Lock()
			defer mu.Unlock()
			runs[job.Task]++
			return nil
		}
		r.handle("a", h)
		r.handle("b", h)
		if err := r.client.Pause(r.ctx(), "a"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			r.send("a", nil)
			r.send("b", nil)
		}
		r.after(time.Minute)
		if runs["a"] != 0 || runs["b"] != 5 {
			t.Errorf("a paused: %v", runs)
		}
		if err := r.client.Resume(r.ctx(), "a"); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if runs["a"] != 5 {
			t.Errorf("a resumed: %v", runs)
		}
		if err := r.client.Pause(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		r.send("b", nil)
		r.after(time.Minute)
		var receives int
		r.inspect(func(q *queue) { receives = q.messages[0].receives })
		if runs["b"] != 5 || receives != 0 || !r.mon.Stats().Paused {
			t.Errorf("pool paused: %v, %d receives", runs, receives)
		}
		if err := r.client.Resume(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if runs["b"] != 6 {
			t.Errorf("pool resumed: %v", runs)
		}
		if err := r.client.Pause(r.ctx(), "nobody"); err == nil {
			t.Error("an unknown task was paused")
		}
	})
}

func TestConcurrencyOfATaskDoesNotStarveOthers(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
		var now, over, others atomic.Int32
		r.handle("limited", func(context.Context, raw) error {
			if now.Add(1) > 1 {
				over.Add(1)
			}
			time.Sleep(time.Minute)
			now.Add(-1)
			return nil
		}, task.Concurrency(1))
		r.handle("other", func(context.Context, raw) error { others.Add(1); return nil })
		for range 10 {
			r.send("limited", nil)
		}
		for range 10 {
			r.send("other", nil)
		}
		r.after(time.Second)
		if now.Load() != 1 || others.Load() != 10 {
			t.Errorf("%d limited at once, %d others ran", now.Load(), others.Load())
		}
		r.after(20 * time.Minute)
		if r.left() != 0 || over.Load() != 0 {
			t.Errorf("%d left, %d times more than one at once", r.left(), over.Load())
		}
	})
}

func TestTooManyWaitersAreGivenBack(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 5, MaxHeld: 3}, func(r *rig) {
		var runs atomic.Int64
		r.handle("t", func(context.Context, raw) error {
			if runs.Add(1) <= 5 {
				return errors.New("no")
			}
			return nil
		})
		for range 5 {
			r.send("t", nil)
		}
		r.settle()
		if s := r.mon.Stats(); s.Held != 3 {
			t.Errorf("%d held, want 3", s.Held)
		}
		r.after(time.Minute)
		if runs.Load() != 10 || r.left() != 0 {
			t.Errorf("%d runs, %d left", runs.Load(), r.left())
		}
	})
}

func TestPriorityStartsFirst(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		var order []string
		h := func(_ context.Context, job raw) error {
			order = append(order, job.Task)
			if job.Attempt == 1 && job.Task != "blocker" {
				return task.Snooze(5 * time.Second)
			}
			if job.Task == "blocker" {
				time.Sleep(10 * time.Second)
			}
			return nil
		}
		r.handle("low", h, task.Priority(-1))
		r.handle("mid", h)
		r.handle("high", h, task.Priority(7))
		r.handle("blocker", h, task.Priority(9))
		r.send("low", nil)
		r.send("mid", nil)
		r.send("high", nil)
		r.settle()
		r.send("blocker", nil) // all three become due behind it
		r.after(time.Minute)
		if got := fmt.Sprint(order); got != "[low mid high blocker high mid low]" {
			t.Errorf("order %s", got)
		}
	})
}

// died puts a task on the queue as a process leaves it that died of it, or lost
// the answer of its receive, so many times: each took a lease.
func (r *rig) died(times int, name string, args any) {
	r.t.Helper()
	ago := time.Duration(times) * r.q.lease // it was due when it came first
	out, err := task.Encode(name, args, time.Now().Add(-ago))
	if err != nil {
		r.t.Fatal(err)
	}
	r.inspect(func(q *queue) {
		m := q.made(out.Body, out.Attributes, "", 0)
		m.receives, m.first = times, time.Now().Add(-ago).Truncate(time.Millisecond)
		q.messages = append(q.messages, m)
	})
}

// TestSuspectsRunOneAtATimeWhileHealthyWorkGoesOn: from the second silent end on;
// the first proves nothing.
func TestSuspectsRunOneAtATimeWhileHealthyWorkGoesOn(t *testing.T) {
	for _, c := range []struct {
		mode  string
		ends  int
		alone bool
	}{{"alone", 1, false}, {"alone", 2, true}, {"together", 2, false}} {
		bubble(t, dispatcher.Settings{Workers: 6, CrashSuspects: c.mode}, func(r *rig) {
			var inside, most, mails atomic.Int32
			r.handle("report", func(context.Context, raw) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				time.Sleep(5 * time.Minute)
				return nil
			})
			r.handle("mail", func(context.Context, raw) error { mails.Add(1); return nil })
			for range 5 {
				r.died(c.ends, "report", nil)
			}
			r.settle()
			for range 20 {
				r.send("mail", nil)
			}
			r.after(time.Second)
			if mails.Load() != 20 {
				t.Errorf("%+v: %d of 20 mails ran next to a suspect", c, mails.Load())
			}
			r.after(2 * time.Hour)
			if r.left() != 0 || (most.Load() == 1) != c.alone {
				t.Errorf("%+v: %d suspects at once, %d left", c, most.Load(), r.left())
			}
		})
	}
}

// TestSuspectsThatWaitForTheirTurnCostFewRequests: those that cannot run come again
// at about their turn.
func TestSuspectsThatWaitForTheirTurnCostFewRequests(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 60}, func(r *rig) {
		r.handle("work", func(context.Context, raw) error { time.Sleep(30 * time.Second); return nil })
		for range 60 {
			r.died(2, "work", nil)
		}
		began := time.Now()
		for r.left() > 0 && time.Since(began) < 3*time.Hour {
			r.after(time.Minute)
		}
		r.inspect(func(q *queue) {
			if took := time.Since(began); took > time.Hour || len(q.settles) > 60*10 {
				t.Errorf("%v and %d settles for sixty suspects of 30 s", took, len(q.settles))
			} else {
				t.Logf("%v and %d settles for sixty suspects of 30 s", took, len(q.settles))
			}
		})
	})
}

// TestAForgedSuspectCostsItsOwnExecutionOnly: what a producer writes into our
// attributes holds up no other message.
func TestAForgedSuspectCostsItsOwnExecutionOnly(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
		var forged, healthy atomic.Int32
		r.handle("forged", func(context.Context, raw) error { forged.Add(1); time.Sleep(time.Minute); return nil })
		r.handle("healthy", func(context.Context, raw) error { healthy.Add(1); time.Sleep(time.Second); return nil })
		for i := range 200 {
			attrs := map[string]string{"task_name": "forged", "exec_id": fmt.Sprint(i), "chassis.suspect": "1", "chassis.silent": []string{"2", "3"}[i%2]}
			r.put("{}", attrs)
		}
		r.put("{}", map[string]string{"task_name": "forged", "exec_id": "many", "chassis.silent": "1000000000"})
		for range 300 {
			r.send("healthy", nil)
		}
		r.after(10 * time.Minute)
		if healthy.Load() != 300 {
			t.Errorf("%d of 300 healthy tasks ran in 10 minutes next to %d forged ones", healthy.Load(), forged.Load())
		}
		if dead := r.dead(); len(dead) != 1 || dead[0].ExecID != "many" {
			t.Errorf("dead letters %+v", dead)
		}
	})
}

// TestAKillerTakesNoNeighbourAlong: a message that kills its process is given up
// after exactly its budget. Those that were leased when it did run again, and all
// of them are done once. They were dead letters together with it, without having
// run once since.
func TestAKillerTakesNoNeighbourAlong(t *testing.T) {
	for _, c := range []struct{ budget, runs int }{{5, 5}, {10, 10}, {1, 4}} { // no less than the grace and one
		t.Run(fmt.Sprintf("MaxFailures(%d)", c.budget), func(t *testing.T) {
			bubble(t, dispatcher.Settings{Workers: 3}, func(r *rig) {
				var killing atomic.Bool
				var mu sync.Mutex
				done := map[string]int{}
				register := func() {
					r.handle("killer", func(ctx context.Context, _ raw) error {
						killing.Store(true)
						<-ctx.Done() // of the crash
						return ctx.Err()
					}, task.MaxFailures(c.budget))
					r.handle("neighbour", func(ctx context.Context, job raw) error {
						select {
						case <-time.After(5 * time.Second):
							mu.Lock()
							defer mu.Unlock()
							done[job.ExecID]++
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					}, task.MaxFailures(3))
				}
				register()
				var neighbours []*task.Outgoing
				for i := range 6 {
					if i%3 == 0 {
						r.send("killer", nil)
					}
					neighbours = append(neighbours, r.send("neighbour", nil))
				}
				for range 60 {
					r.after(time.Second)
					if !killing.Load() {
						r.after(2 * time.Minute)
					}
					if !killing.Swap(false) {
						continue
					}
					r.crash()
					r.up()
					register()
				}
				mu.Lock()
				defer mu.Unlock()
				for _, n := range neighbours {
					if done[n.ExecID] != 1 {
						t.Errorf("a neighbour was done %d times", done[n.ExecID])
					}
				}
				dead := r.dead()
				if len(dead) != 2 || r.left() != 0 {
					t.Errorf("%d left, dead letters %+v", r.left(), dead)
				}
				for _, m := range dead {
					if m.Name != "killer" || m.Failures != 0 || m.Silent != c.runs || m.Attempts != c.runs || !strings.Contains(m.LastError, "never seen to run") {
						t.Errorf("dead letter %+v, want %d runs", m, c.runs)
					}
				}
			})
		})
	}
}

func TestGivenBackByThisProcessIsNoSuspect(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error {
			if runs++; runs == 1 {
				return errors.New("no")
			}
			return nil
		}, task.Wait(time.Minute, task.None))
		r.handle("long", func(context.Context, raw) error { time.Sleep(time.Hour); return nil })
		r.send("t", nil)
		r.settle()
		r.send("long", nil)
		r.after(61 * time.Second)
		if runs != 2 {
			t.Errorf("%d runs: it waits to be alone", runs)
		}
	})
}

func TestASuspectWaitsForDeletesNoLongerThanHoldLimit(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2, HoldLimit: 30 * time.Second}, func(r *rig) {
		var ran atomic.Bool
		r.handle("suspect", func(context.Context, raw) error { ran.Store(true); return nil })
		r.handle("healthy", func(context.Context, raw) error { return nil })
		r.inspect(func(q *queue) { q.silent = true }) // deletes are not answered
		r.send("healthy", nil)
		r.settle()
		r.died(2, "suspect", nil)
		r.after(29 * time.Second)
		if ran.Load() {
			t.Error("it did not wait for the delete of what ran before it, which would run again after a crash")
		}
		r.after(2 * time.Second)
		if !ran.Load() {
			t.Error("the suspect still waits")
		}
	})
}

func TestEventsTellTheStory(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		sub := r.mon.Events(100)
		small := r.mon.Events(1)
		r.handle("t", func(_ context.Context, job raw) error {
			if job.Attempt == 1 {
				return errors.New("no")
			}
			return nil
		})
		out := r.send("t", nil)
		r.after(time.Minute)
		sub.Close()
		sub.Close()
		var kinds []string
		for e := range sub.C {
			if e.ExecID != out.ExecID || e.MessageID == "" || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
			kinds = append(kinds, string(e.Kind))
		}
		if got := strings.Join(kinds, " "); got != "received started failed held started succeeded settled" {
			t.Errorf("events: %s", got)
		}
		if small.Dropped() != 6 {
			t.Errorf("%d dropped, want 6", small.Dropped())
		}
		small.Close()
	})
}

func TestTaskLeaseIsTold(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil }, task.Lease(10*time.Second))
		r.send("t", nil)
		r.settle()
		r.inspect(func(q *queue) {
			if len(q.longer) != 1 || q.longer[0].For != 10*time.Second || q.longer[0].Lease != 1 {
				t.Errorf("%+v", q.longer)
			}
		})
	})
}

func TestCrowdedQueueIsPostponedByDelayedCopies(t *testing.T) {
	bubble(t, dispatcher.Settings{PostponedShare: 0.1}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil })
		r.inspect(func(q *queue) { q.inFlight = 20_000 })
		for range 10 {
			r.send("t", nil, task.At(time.Now().Add(48*time.Hour)))
			r.after(11 * time.Second)
		}
		r.inspect(func(q *queue) {
			if last := q.settles[len(q.settles)-1]; last.Release || len(last.Send) != 1 || last.Send[0].Delay != 15*time.Minute {
				t.Errorf("postponed by %+v", last)
			}
		})
	})
}

func TestResizeStartsWhatWaitsAndNeverEndsWhatRuns(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1, MaxWorkers: 1}, func(r *rig) {
		var running, most atomic.Int32
		r.handle("t", func(ctx context.Context, _ raw) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Minute)
			return nil
		})
		for range 12 {
			r.send("t", nil)
		}
		r.after(time.Second)
		resize := func(workers, limit int) {
			t.Helper()
			if err := r.client.Resize(r.ctx(), workers, limit, 100); err != nil {
				t.Fatal(err)
			}
			r.after(time.Second)
		}
		resize(4, 4)
		if running.Load() != 4 {
			t.Errorf("%d run with 4 workers", running.Load())
		}
		resize(2, 2)
		if running.Load() != 4 {
			t.Errorf("%d of 4 go on after a resize to 2", running.Load())
		}
		r.after(58 * time.Second) // the first four are over
		r.after(10 * time.Second)
		if running.Load() != 2 {
			t.Errorf("%d run with 2 workers", running.Load())
		}
		if err := r.client.Resize(r.ctx(), -1, 2, 100); err == nil || !strings.Contains(err.Error(), "tasks.workers") {
			t.Errorf("got %v", err)
		}
		r.settle()
		if most.Load() != 4 {
			t.Errorf("at most %d ran at once", most.Load())
		}
	})
}
