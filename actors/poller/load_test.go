package poller_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/poller"
)

// scale is the number of tasks of the long tests: plain, or full with
// CHASSIS_SCALE=full in the environment.
func scale(plain, full int) int {
	if os.Getenv("CHASSIS_SCALE") == "full" {
		return full
	}
	return plain
}

// floor is what all processes of a test know together: who runs what. It finds
// two runs of one message at once.
type floor struct {
	t       testing.TB
	mu      sync.Mutex
	running map[string]bool
	done    map[string]int // runs that were settled well
	deleted map[string]bool
	runs    int
	lost    int
	errs    []error // of settles
}

func newFloor(t testing.TB) *floor {
	return &floor{t: t, running: map[string]bool{}, done: map[string]int{}, deleted: map[string]bool{}}
}

func (f *floor) begin(d *poller.Delivered) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs++
	if f.running[d.MessageID] {
		f.t.Errorf("two runs of %s at once", d.Body)
	}
	if f.deleted[d.MessageID] {
		f.t.Errorf("a run of %s begins after its delete was acknowledged", d.Body)
	}
	f.running[d.MessageID] = true
}

func (f *floor) end(d *poller.Delivered) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[d.MessageID] = false
}

func (f *floor) settled(d *poller.Delivered, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.errs = append(f.errs, err)
	}
	if err == nil {
		f.deleted[d.MessageID] = true
		f.done[d.Body]++
	}
}

// process is one process of a fleet: a poller and a subscriber. Each of its
// tasks takes as long as duration says.
func (f *floor) process(r *rig, slots int, duration func(*poller.Delivered) time.Duration) {
	type run struct {
		d     *poller.Delivered
		timer *time.Timer
		over  bool
	}
	type over struct{ *run }
	runs := map[poller.LeaseID]*run{}
	sub := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *poller.Delivered:
			f.begin(m)
			u := &run{d: m}
			runs[m.Lease] = u
			self := c.Self()
			u.timer = time.AfterFunc(duration(m), func() { r.system.Root.Send(self, over{u}) })
		case over:
			if m.over {
				return // its lease was lost while the end was on its way
			}
			m.over = true
			f.end(m.d)
			c.Send(r.pid, &poller.Settle{Lease: m.d.Lease})
		case *poller.LeaseLost:
			u := runs[m.Lease]
			if u.over {
				return
			}
			u.over = true
			u.timer.Stop()
			f.end(u.d)
			f.mu.Lock()
			f.lost++
			f.mu.Unlock()
			delete(runs, m.Lease)
			c.Send(r.pid, &poller.Want{Credits: 1})
		case *poller.Settled:
			u := runs[m.Lease]
			delete(runs, m.Lease)
			f.settled(u.d, m.Err)
			c.Send(r.pid, &poller.Want{Credits: 1})
		}
	}))
	r.cast(&poller.Subscribe{To: sub})
	r.want(slots)
	r.t.Cleanup(func() {
		if err := r.system.Root.StopFuture(sub).Wait(); err != nil {
			r.t.Error(err)
		}
	})
}

func (f *floor) finished() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.done)
}

// Tasks last for up to twenty leases. Of the calls to the queue one in a hundred
// fails, and of the batches one in twenty fails in part.
func TestLongTasksOverAFlakyQueueNeverOverlap(t *testing.T) {
	n := scale(1000, 100_000)
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.send("m", n)
		const lease = 30 * time.Second
		f := newFloor(t)
		q.wire.breakBy(flaky(0.01, 0.05))
		var ran time.Duration
		var mu sync.Mutex
		var rigs []*rig
		for range 2 {
			r := q.start(timeout(lease))
			rigs = append(rigs, r)
			f.process(r, n/10, func(*poller.Delivered) time.Duration {
				d := rand.N(20 * lease)
				mu.Lock()
				ran += d
				mu.Unlock()
				return d
			})
		}
		began := time.Now()
		for f.finished() < n {
			if time.Since(began) > 24*time.Hour {
				t.Fatal("done:", f.finished(), f.errs)
			}
			time.Sleep(lease)
		}
		var extends, extended int64
		for _, r := range rigs {
			s := r.poller.Stats()
			extends += s.Requests.Extend
			extended += s.Extended
		}
		halves := float64(ran) / float64(lease/2)
		t.Logf("%d tasks in %d runs, %v on average; %d leases lost; %d extension requests (%d extensions) for %.0f half leases: %.3f per ten",
			n, f.runs, ran/time.Duration(f.runs), f.lost, extends, extended, halves, float64(extends)/halves*10)
		if float64(extends) > halves/10 {
			t.Error("more than one extension request per ten tasks and half lease")
		}
		if f.lost > 0 || f.runs != n {
			t.Errorf("%d runs of %d tasks, %d leases lost", f.runs, n, f.lost)
		}
		q.wire.restore()
		time.Sleep(time.Minute)
		if left := q.left(); left != none {
			t.Error("left:", left)
		}
	})
}

// Requests are counted where they arrive.
func TestRequestsUnderLoad(t *testing.T) {
	for _, tc := range []struct {
		slots int
		task  time.Duration
	}{{20, 0}, {100, 0}, {1000, 0}, {200, 50 * time.Millisecond}, {1000, time.Second}} {
		t.Run(fmt.Sprintf("%d slots, %v a task", tc.slots, tc.task), func(t *testing.T) {
			n := scale(3000, 40_000)
			bubble(t, func(t *testing.T) {
				q := newQueue(t, "tasks")
				q.send("m", n)
				sent := q.wire.count("SendMessageBatch")
				// A round trip as to a queue in the same region.
				q.wire.breakBy(slow(5 * time.Millisecond))
				r := q.start()
				f := newFloor(t)
				f.process(r, tc.slots, func(*poller.Delivered) time.Duration { return tc.task/2 + rand.N(tc.task+1) })
				began := time.Now()
				for f.finished() < n {
					time.Sleep(10 * time.Millisecond)
				}
				took := time.Since(began)
				receives, deleted := q.wire.count(receive), q.wire.count(deletes)
				// The long polls that find the queue empty at the end come
				// once, however many tasks there were.
				tail := poller.DefaultSettings().MaxReceives
				per := float64(max(receives-tail, n/10)+deleted) / float64(n)
				t.Logf("%d receives, %d deletes: %.4f a task, %.4f with sending; %v for what takes %v at best", receives, deleted, per,
					per+float64(sent)/float64(n), took, time.Duration(n/tc.slots)*tc.task)
				if per > 0.205 {
					t.Error("requests a task:", per)
				}
				if ideal := time.Duration(n/tc.slots)*(tc.task+25*time.Millisecond) + tc.task; took > ideal*5/4 {
					t.Errorf("took %v, more than a quarter above %v", took, ideal)
				}
			})
		})
	}
}

func TestRequestsOfAnIdleDay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		before := r.wire.total()
		r.want(1000)
		time.Sleep(24*time.Hour - time.Second)
		reads := r.wire.count("GetQueueAttributes") // of the queue's attributes, one in half an hour
		if n := r.wire.total() - before; n-reads > 4320 || reads > 48 {
			t.Errorf("requests in an idle day: %d, and %d reads of attributes", n-reads, reads)
		} else {
			t.Logf("requests in an idle day: %d, and %d reads of attributes", n-reads, reads)
		}
	})
}

// A thousand stops while a thousand messages a second come in: none is left
// invisible, and none takes longer than the long poll.
func TestNothingIsLeftInvisibleByAStop(t *testing.T) {
	stops := scale(40, 1000)
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		stop := make(chan struct{})
		var load sync.WaitGroup
		sent := 0
		load.Go(func() {
			s := poller.NewSender(q.client)
			for {
				select {
				case <-stop:
					if err := s.Close(t.Context()); err != nil {
						t.Error(err)
					}
					return
				case <-time.After(10 * time.Millisecond):
				}
				if _, err := s.SendMany(t.Context(), outgoings("tasks", 10)); err != nil {
					t.Error(err)
				}
				sent += 10
			}
		})
		q.wire.breakBy(slow(time.Millisecond))
		done := 0
		var longest time.Duration
		for range stops {
			r := q.start()
			r.want(50)
			deadline := time.After(rand.N(100 * time.Millisecond))
			held := map[poller.LeaseID]bool{}
			take := func(m any) {
				switch m := m.(type) {
				case *poller.Delivered:
					held[m.Lease] = true
					r.done(m)
					r.want(1)
				case *poller.Settled:
					if m.Err != nil {
						t.Error(m.Err)
					}
					delete(held, m.Lease)
					done++
				}
			}
			for running := true; running; {
				select {
				case m := <-r.inbox:
					take(m)
				case <-deadline:
					running = false
				}
			}
			began := time.Now()
			r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{}, r.sub)
			drained := false
			for !drained || len(held) > 0 {
				m := <-r.inbox
				_, ok := m.(*poller.Drained)
				drained = drained || ok
				take(m)
			}
			r.system.Root.RequestWithCustomSender(r.pid, &poller.Flush{}, r.sub)
			for flushed := false; !flushed; {
				_, flushed = (<-r.inbox).(*poller.Flushed)
			}
			longest = max(longest, time.Since(began))
			if left := q.left(); left[1] != "0" {
				t.Fatal("in flight after a stop:", left)
			}
			r.retire()
		}
		close(stop)
		load.Wait()
		synctest.Wait()
		q.wire.restore()
		left := len(q.all())
		t.Logf("%d stops, the longest %v; %d sent, %d done, %d left", stops, longest, sent, done, left)
		if done+left != sent {
			t.Errorf("%d sent, %d done, %d left", sent, done, left)
		}
		if longest > 21*time.Second {
			t.Error("a stop took", longest)
		}
	})
}
