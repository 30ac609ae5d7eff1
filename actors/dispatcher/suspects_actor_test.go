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

func TestASuspectKeepsToItsTasksLimitAndPause(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4, HoldLimit: 10 * time.Second}, func(r *rig) {
		var inside, most, paused atomic.Int32
		one := func(ctx context.Context, job raw) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			time.Sleep(time.Minute)
			return nil
		}
		r.handle("one", one, task.Concurrency(1))
		r.handle("paused", func(context.Context, raw) error { paused.Add(1); return nil })
		if err := r.client.Pause(r.ctx(), "paused"); err != nil {
			t.Fatal(err)
		}
		r.send("one", 1)
		r.settle()
		for _, name := range []string{"one", "paused"} {
			out, err := task.Encode(name, 2, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r.inspect(func(q *queue) {
				m := q.made(out.Body, out.Attributes, "", 0)
				m.receives = 1 // by a process that died
				q.messages = append(q.messages, m)
			})
		}
		r.after(5 * time.Minute)
		if most.Load() != 1 || paused.Load() != 0 {
			t.Errorf("%d of a task at once that may run once, %d runs of a paused task", most.Load(), paused.Load())
		}
		if err := r.client.Resume(r.ctx(), "paused"); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		if paused.Load() != 1 || r.left() != 0 {
			t.Errorf("%d runs after the resume, %d left", paused.Load(), r.left())
		}
	})
}
