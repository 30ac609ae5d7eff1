package dispatcher_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/task"
)

// crowd is a pool where most workers, or most messages, are no use to the tasks
// that are counted.
type crowd struct {
	workers int
	long    int // workers with work of an hour
	held    int // messages that wait in place
	parked  int // messages of a paused task
	mixed   int // more of the messages that wait and of those parked, for each hundred that are counted
	task    time.Duration
}

// rate is how many tasks a second the free workers of a pool do.
func (c crowd) rate(t *testing.T) (perSecond float64) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		e := newEmbeddedOf(t, system, c.workers)
		var done atomic.Int64
		stop := make(chan struct{})
		e.handle("short", func(context.Context, raw) error { time.Sleep(c.task); done.Add(1); return nil })
		e.handle("long", func(context.Context, raw) error { <-stop; return nil })
		e.handle("held", func(_ context.Context, job raw) error {
			if job.Attempt == 1 {
				return task.Snooze(20 * time.Second)
			}
			return nil
		})
		e.handle("parked", func(context.Context, raw) error { return nil })
		if err := e.ctl.Pause(t.Context(), "parked"); err != nil {
			t.Error(err)
		}
		for name, n := range map[string]int{"long": c.long, "held": c.held, "parked": c.parked} {
			for range n {
				e.send(name, nil)
			}
		}
		time.Sleep(2 * time.Second) // all of it is here
		n := min(max(100*c.free(), 300), sized(3000, 1500, 1000))
		if err := e.ctl.Pause(t.Context(), ""); err != nil {
			t.Error(err)
		}
		for i, owed := 0, 0; i < n; i++ {
			e.send("short", nil)
			for owed += c.mixed; owed >= 100; owed -= 100 {
				e.send("held", nil)
				e.send("parked", nil)
			}
		}
		e.latency.Store(int64(200 * time.Microsecond))
		if err := e.ctl.Resume(t.Context(), ""); err != nil {
			t.Error(err)
		}
		before, begun := done.Load(), time.Now()
		for done.Load() < int64(n)*8/10 {
			time.Sleep(time.Millisecond)
		}
		perSecond = float64(done.Load()-before) / time.Since(begun).Seconds()
		e.latency.Store(int64(0))
		close(stop)
		time.Sleep(2 * time.Second)
		e.down()
		shutdown(system)
	})
	return perSecond
}

func (c crowd) free() int { return c.workers - c.long }

// Few workers are free among many that do long work, or many messages
// wait in place or for a paused task: they must not wait for credits of
// slots that are not about to be free.
func TestFewFreeWorkersDoNotWaitForTheOthers(t *testing.T) {
	for _, c := range []crowd{
		{workers: 1}, {workers: 1, held: 200}, {workers: 1, parked: 200},
		{workers: 3}, {workers: 3, mixed: 5}, {workers: 3, mixed: 50}, {workers: 8, mixed: 5}, {workers: 8, mixed: 50}, {workers: 64, mixed: 5}, {workers: 64, mixed: 50}, {workers: 3, long: 2}, {workers: 3, held: 500},
		{workers: 8}, {workers: 8, held: 500}, {workers: 8, parked: 500}, {workers: 8, long: 4},
		{workers: 64, long: 58}, {workers: 64, held: 900}, {workers: 64, parked: 64},
		{workers: 200, long: 195}, {workers: 200, long: 195, held: 400, parked: 400}, {workers: 200, long: 100},
		{workers: 8, held: 500, task: 50 * time.Millisecond}, {workers: 64, long: 58, task: 50 * time.Millisecond}, {workers: 8, mixed: 50, task: 50 * time.Millisecond},
	} {
		if c.task == 0 {
			c.task = 3 * time.Millisecond
		}
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			got, want := c.rate(t), 0.6*float64(c.free())/(c.task+300*time.Microsecond).Seconds()
			if t.Logf("%.0f tasks a second, at least %.0f wanted", got, want); got < want {
				t.Errorf("%d free workers do %.0f tasks of %v a second, want %.0f and more", c.free(), got, c.task, want)
			}
		})
	}
}

// Every second task of a pool of eight workers snoozes in its first run: what
// waits in place must slow down nothing.
func TestTasksThatWaitInPlaceDoNotStarveTheWorkers(t *testing.T) {
	rate := func(snooze bool) (perSecond float64) {
		synctest.Test(t, func(t *testing.T) {
			n := sized(3000, 3000, 1000)
			system := newSystem()
			e := newEmbeddedOf(t, system, 8)
			var runs, left atomic.Int64
			e.handle("nth", func(_ context.Context, job raw) error {
				runs.Add(1)
				time.Sleep(3 * time.Millisecond)
				if snooze && (job.Args[len(job.Args)-1]-'0')%2 == 0 {
					if job.Attempt == 1 {
						return task.Snooze(20 * time.Second)
					}
					return nil
				}
				left.Add(1)
				return nil
			})
			if err := e.ctl.Pause(t.Context(), ""); err != nil {
				t.Error(err)
			}
			for i := range n {
				e.send("nth", i)
			}
			begun := time.Now()
			if err := e.ctl.Resume(t.Context(), ""); err != nil {
				t.Error(err)
			}
			want := int64(n)
			if snooze {
				want = int64(n / 2)
			}
			for left.Load() < want { // until all that do not wait have run
				time.Sleep(time.Millisecond)
			}
			perSecond = float64(runs.Load()) / time.Since(begun).Seconds()
			time.Sleep(time.Minute)
			if k := e.left(); k > 0 {
				t.Errorf("%d messages are left", k)
			}
			e.down()
			shutdown(system)
		})
		return perSecond
	}
	without, with := rate(false), rate(true)
	if t.Logf("%.0f runs a second without snoozes, %.0f with", without, with); with < 0.6*without {
		t.Errorf("with every second task waiting in place %.0f runs a second, without %.0f: want 0.6 of it and more", with, without)
	}
}

// Gathering credits for a full receive must go on where all slots take part in
// the turnover, long as their tasks may be.
func TestRequestsOfATaskUnderFullLoad(t *testing.T) {
	for _, tc := range []struct {
		workers  int
		task     time.Duration
		receives float64 // a task, at most
	}{
		{20, 0, 0.105}, {50, 3 * time.Millisecond, 0.105}, {200, 50 * time.Millisecond, 0.105},
		{100, time.Second, 0.17}, {200, 5 * time.Second, 0.26}, // fewer than ten end in the 100 ms that credits wait at most
	} {
		t.Run(fmt.Sprintf("%d workers, %v", tc.workers, tc.task), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := sized(3000, 3000, 1500)
				system := newSystem()
				e := newEmbeddedOf(t, system, tc.workers)
				var done atomic.Int64
				e.handle("t", func(_ context.Context, job raw) error {
					time.Sleep(tc.task/2 + time.Duration(job.Args[len(job.Args)-1]%10)*tc.task/9)
					done.Add(1)
					return nil
				})
				if err := e.ctl.Pause(t.Context(), ""); err != nil {
					t.Error(err)
				}
				for i := range n {
					e.send("t", i)
				}
				e.latency.Store(int64(5 * time.Millisecond))
				if err := e.ctl.Resume(t.Context(), ""); err != nil {
					t.Error(err)
				}
				for done.Load() < int64(n) {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Second)
				s := e.poller.Stats()
				// The polls that find the queue empty at the end are no task's.
				per := float64(s.Receives-s.EmptyReceives-s.ReceivesUnderWay) / float64(n)
				if t.Logf("%d receives, %d deletes: %.4f receives a task", s.Receives, s.Requests.Delete, per); per > tc.receives {
					t.Errorf("%.4f receives a task, want at most %v", per, tc.receives)
				}
				e.latency.Store(int64(0))
				e.down()
				shutdown(system)
			})
		})
	}
}
