package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// order keeps the starts of each group and checks that groups never overlap.
type order struct {
	t      *testing.T
	mu     sync.Mutex
	seen   map[string][]string
	inside map[string]bool
}

func newOrder(t *testing.T) *order {
	return &order{t: t, seen: map[string][]string{}, inside: map[string]bool{}}
}

func (o *order) leave(group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.inside, group)
}

// ran lists what ran of a group.
func (o *order) ran(group string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprint(o.seen[group])
}

type pair [2]string

// arg is [group, name of the message].
func (o *order) enter(job raw) (group, name string) {
	var arg [2]string
	if _, err := fmt.Sscanf(string(job.Args), `[%q, %q]`, &arg[0], &arg[1]); err != nil {
		o.t.Error(err)
	}
	group, name = arg[0], arg[1]
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inside[group] {
		o.t.Errorf("two of group %s at once", group)
	}
	o.inside[group] = true
	o.seen[group] = append(o.seen[group], name)
	return group, name
}

func TestFIFOGroupKeepsItsOrderBehindAFailingHead(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, 5 * time.Minute} {
		t.Run(wait.String(), func(t *testing.T) {
			bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
				o := newOrder(t)
				r.handle("t", func(_ context.Context, job raw) error {
					g, name := o.enter(job)
					defer o.leave(g)
					time.Sleep(100 * time.Millisecond)
					if g == "a" && name == "2" && job.Failures < 2 {
						return errors.New("not yet")
					}
					return nil
				}, task.Wait(wait, task.None))
				for _, g := range []string{"a", "b"} {
					r.sendAll("t", g, pair{g, "0"}, pair{g, "1"}, pair{g, "2"}, pair{g, "3"}, pair{g, "4"})
				}
				r.after(10 * time.Second)
				if got := o.ran("b"); got != "[0 1 2 3 4]" {
					t.Errorf("group b ran %s: held up by a", got)
				}
				r.after(time.Hour)
				if got := o.ran("a"); got != "[0 1 2 2 2 3 4]" {
					t.Errorf("group a ran %s", got)
				}
				r.inspect(func(q *queue) {
					for _, s := range q.settles {
						if len(s.Send) > 0 {
							t.Error("a copy on a FIFO pool")
						}
					}
				})
				if r.left() != 0 {
					t.Errorf("%d left", r.left())
				}
			})
		})
	}
}

func TestFIFONextWaitsUntilTheLastIsSettled(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, _ := o.enter(job)
			o.leave(g)
			return nil
		})
		fails := true
		r.inspect(func(q *queue) {
			q.refuse = func(*poller.Settle) error {
				if fails {
					fails = false
					return errors.New("the delete failed for good")
				}
				return nil
			}
		})
		r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"})
		r.settle()
		r.after(time.Minute)
		// The head's delete failed, so SQS will deliver it again: its follower must
		// not have run before it.
		if got := o.ran("a"); got != "[0]" {
			t.Errorf("ran %s", got)
		}
	})
}

func TestFIFOExhaustedHeadIsDeadLetteredInItsGroupAndTheNextRuns(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				return errors.New("never")
			}
			return nil
		}, task.MaxFailures(3))
		r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"})
		r.after(time.Hour)
		if got := o.ran("a"); got != "[0 0 0 1]" {
			t.Errorf("ran %s", got)
		}
		r.inspect(func(q *queue) {
			dead := q.others["pool_dead.fifo"]
			if len(dead) != 1 || dead[0].GroupID != "a" || dead[0].DedupID != "m1" {
				t.Errorf("dead %+v", dead)
			}
		})
	})
}

func TestFIFODrainAndCrashKeepTheOrder(t *testing.T) {
	for _, crash := range []bool{false, true} {
		bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
			o := newOrder(t)
			h := func(ctx context.Context, job raw) error {
				g, _ := o.enter(job)
				defer o.leave(g)
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			r.handle("t", h)
			r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"}, pair{"a", "2"}, pair{"a", "3"})
			r.after(90 * time.Second) // 0 is done, 1 runs
			if crash {
				r.crash()
			} else {
				if _, err := r.client.Drain(r.ctx(), time.Now()); err != nil {
					t.Fatal(err)
				}
				r.system.Root.Stop(r.pid)
				r.settle()
			}
			r.up()
			r.handle("t", h)
			r.after(time.Hour)
			if got := o.ran("a"); got != "[0 1 1 2 3]" {
				t.Errorf("crash %v: ran %s", crash, got)
			}
			if r.left() != 0 {
				t.Errorf("%d left", r.left())
			}
		})
	}
}

func TestFIFOLostHeadTakesItsFollowersBack(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
		var ran []string
		r.handle("t", func(ctx context.Context, job raw) error {
			ran = append(ran, string(job.Args))
			<-ctx.Done()
			return ctx.Err()
		})
		r.sendAll("t", "a", 0, 1)
		r.settle()
		r.system.Root.Send(r.pid, &poller.LeaseLost{Lease: 1, Err: errors.New("gone")})
		r.settle()
		if fmt.Sprint(ran) != "[0]" {
			t.Errorf("ran %v: a follower overtook its head", ran)
		}
		r.inspect(func(q *queue) {
			if len(q.settles) != 1 || q.settles[0].Lease != 2 || !q.settles[0].Release {
				t.Errorf("settles %+v", q.settles)
			}
		})
	})
}

func TestFIFOSnoozedFollowerWaitsForItsHead(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		list := r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"}, pair{"a", "2"})
		r.settle()
		if n, err := r.client.SnoozeExecution(r.ctx(), list[1].ExecID, time.Second); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.after(10 * time.Minute)
		if got := o.ran("a"); got != "[0 1 2]" || r.left() != 0 {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}

func TestFIFOLostFollowerTakesThoseBehindItBack(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"}, pair{"a", "2"})
		r.settle()
		r.inspect(func(q *queue) { // the lease of the second ends
			for id, m := range q.leases {
				if m == q.messages[1] {
					delete(q.leases, id)
					m.lease, m.visible = 0, time.Now()
					q.send(&poller.LeaseLost{Lease: id, Err: poller.ErrLeaseLost})
				}
			}
		})
		r.after(10 * time.Minute)
		if got := o.ran("a"); got != "[0 1 2]" || r.left() != 0 {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}

func TestFIFODeadLettersOfOneExecIDAreTwo(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return task.Cancel(errors.New("no")) })
		for range 2 {
			r.send("t", nil, task.ExecID("the same"), task.Group("g"))
		}
		r.after(time.Minute)
		r.inspect(func(q *queue) {
			list := q.others["pool_dead.fifo"]
			if len(list) != 2 || list[0].DedupID == list[1].DedupID || list[0].DedupID == "" {
				t.Errorf("SQS takes one of them: %+v", list)
			}
		})
	})
}
