package dispatcher_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// runsAhead counts the runs of a task, and those before its time.
type runsAhead struct {
	mu          sync.Mutex
	runs, early int
	latest      time.Duration
}

func (r *runsAhead) handle(_ context.Context, job raw) error {
	late := time.Since(job.Info.When)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	if late < 0 {
		r.early++
	}
	r.latest = max(r.latest, late)
	return nil
}

// TestASenderWithAFastClockCostsNoMoreRequests: each of its tasks was given back
// by a delayed copy, for three requests in ten more, and one received again.
func TestASenderWithAFastClockCostsNoMoreRequests(t *testing.T) {
	const n, ahead = 3000, 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		e := newEmbeddedOf(t, system, 20)
		e.latency.Store(int64(5 * time.Millisecond)) // as to a queue in the same region
		var r runsAhead
		e.handle("t", r.handle)
		synctest.Wait()
		before := e.requests.Load()
		for range n / 10 {
			var batch []poller.Outgoing
			for range 10 {
				out, err := task.Encode("t", nil, time.Now().Add(ahead))
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, poller.Outgoing{Pool: "pool", Body: out.Body, Attributes: out.Attributes, Delay: out.Delay})
			}
			if _, err := e.sender.SendMany(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(ahead + time.Second)
		synctest.Wait()
		per := float64(e.requests.Load()-before) / n
		t.Logf("%d runs, %d early, the latest %v after its time; %.4f requests a task with sending", r.runs, r.early, r.latest, per)
		if r.runs != n || r.early > 0 || r.latest > time.Second {
			t.Errorf("%d runs, %d early, the latest %v after its time", r.runs, r.early, r.latest)
		}
		if per > 0.31 {
			t.Errorf("%.4f requests a task", per)
		}
		e.down()
		shutdown(system)
	})
}

// near sends tasks that are due in 20 s, and takes the times of their runs.
func (r *rig) near(n int, opts ...task.Option) (when time.Time, runs *[]time.Duration) {
	r.t.Helper()
	when, runs = time.Now().Add(20*time.Second), &[]time.Duration{}
	var mu sync.Mutex // several run at one instant
	r.handle("t", func(context.Context, raw) error {
		mu.Lock()
		defer mu.Unlock()
		*runs = append(*runs, time.Since(when))
		return nil
	}, task.MaxFailures(1))
	for range n {
		r.send("t", nil, append(opts, task.At(when))...)
	}
	r.settle()
	return when, runs
}

func TestAFirstWaitBeyondMaxHeldIsSpentByACopy(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 5, MaxHeld: 3}, func(r *rig) {
		_, runs := r.near(5)
		r.inspect(func(q *queue) {
			if len(q.leases) != 3 || len(q.settles) != 2 || q.settles[0].Release || q.settles[0].Send[0].Delay != 20*time.Second {
				t.Errorf("%d wait in place, settled %+v", len(q.leases), q.settles)
			}
		})
		r.after(time.Minute)
		if len(*runs) != 5 || r.left() != 0 || slices.Min(*runs) < 0 {
			t.Errorf("ran at %v, %d left", *runs, r.left())
		}
	})
}

// TestADrainGivesAFirstWaitBackWithItsRest: by a copy, or hidden in order. The
// next process runs it at its time, and nothing was spent.
func TestADrainGivesAFirstWaitBackWithItsRest(t *testing.T) {
	for _, pool := range []string{"pool", "pool.fifo"} {
		bubbleOn(t, pool, dispatcher.Settings{}, func(r *rig) {
			_, runs := r.near(1, task.Group("g"))
			r.after(5 * time.Second)
			if _, err := r.client.Drain(r.ctx(), time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			r.inspect(func(q *queue) {
				s := q.settles[0]
				if len(s.Send) == 1 {
					s.Visible = s.Send[0].Delay
				}
				if len(q.settles) != 1 || s.Visible != 15*time.Second || s.Release != (pool == "pool.fifo") {
					t.Errorf("%s: settled %+v", pool, s)
				}
			})
			r.crash()
			r.up()
			r.handle("t", func(_ context.Context, job raw) error {
				*runs = append(*runs, time.Since(job.Info.When))
				if job.Info.Attempt != 1 {
					t.Errorf("%s: attempt %d", pool, job.Info.Attempt)
				}
				return nil
			})
			r.after(time.Minute)
			if len(*runs) != 1 || (*runs)[0] < 0 || (*runs)[0] > time.Second {
				t.Errorf("%s: ran at %v", pool, *runs)
			}
		})
	}
}

// TestCrashesDuringAFirstWaitLoseNothing: the lease is shorter than the wait, so
// the message comes again and again before its time, and each delivery crashes.
func TestCrashesDuringAFirstWaitLoseNothing(t *testing.T) {
	for _, pool := range []string{"pool", "pool.fifo"} {
		bubbleOn(t, pool, dispatcher.Settings{}, func(r *rig) {
			r.inspect(func(q *queue) { q.lease = 3 * time.Second })
			when, runs := r.near(1, task.Group("g"))
			for time.Until(when) > time.Second {
				r.after(100 * time.Millisecond)
				r.crash()
				r.up()
				var mu sync.Mutex // several run at one instant
				r.handle("t", func(context.Context, raw) error {
					mu.Lock()
					defer mu.Unlock()
					*runs = append(*runs, time.Since(when))
					return nil
				}, task.MaxFailures(1))
				r.after(3 * time.Second)
			}
			r.after(time.Minute)
			if len(*runs) != 1 || (*runs)[0] < 0 || (*runs)[0] > 5*time.Second || r.left() != 0 {
				t.Errorf("%s: ran at %v, %d left", pool, *runs, r.left())
			}
			r.inspect(func(q *queue) {
				if dead := len(q.others[dispatcher.DeadLetterPool(pool)]); dead > 0 {
					t.Errorf("%s: %d dead letters", pool, dead)
				}
			})
		})
	}
}

// TestACrashInTheFirstRunAfterAWaitInPlaceIsCounted: it looked like the end of a
// postponement.
func TestACrashInTheFirstRunAfterAWaitInPlaceIsCounted(t *testing.T) {
	for _, pool := range []string{"pool", "pool.fifo"} {
		bubbleOn(t, pool, dispatcher.Settings{}, func(r *rig) {
			started := 0
			register := func() {
				r.handle("t", func(ctx context.Context, _ raw) error { started++; <-ctx.Done(); return nil }, task.MaxFailures(1))
			}
			register()
			r.send("t", nil, task.At(time.Now().Add(20*time.Second)), task.Group("g"))
			r.after(21 * time.Second)
			for range 10 {
				r.crash()
				r.up()
				register()
				r.after(121 * time.Second)
			}
			r.inspect(func(q *queue) {
				if dead := len(q.others[dispatcher.DeadLetterPool(pool)]); dead != 1 || started != 4 {
					t.Errorf("%s: %d crashes in a run, %d dead letters", pool, started, dead)
				}
			})
		})
	}
}

// TestAFirstWaitInPlaceKeepsTheOrder of its group, and costs no request.
func TestAFirstWaitInPlaceKeepsTheOrder(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4, MaxHeld: 1}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, _ := o.enter(job)
			o.leave(g)
			if time.Now().Before(job.Info.When) {
				t.Errorf("group %s: runs early", g)
			}
			return nil
		})
		for _, g := range []string{"a", "b", "c"} {
			r.send("t", pair{g, "0"}, task.Group(g), task.At(time.Now().Add(20*time.Second)))
			r.send("t", pair{g, "1"}, task.Group(g))
		}
		r.after(19 * time.Second)
		r.inspect(func(q *queue) {
			if len(q.settles) > 0 {
				t.Errorf("settled %+v", q.settles[0])
			}
		})
		r.after(2 * time.Second)
		for _, g := range []string{"a", "b", "c"} {
			if got := o.ran(g); got != "[0 1]" {
				t.Errorf("group %s ran %s", g, got)
			}
		}
	})
}
