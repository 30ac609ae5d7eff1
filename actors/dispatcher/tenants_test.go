package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// tally counts the runs of each tenant at once.
type tally struct {
	mu           sync.Mutex
	inside, peak map[string]int
	ran          map[string]int // by exec_id
}

func newTally() *tally {
	return &tally{inside: map[string]int{}, peak: map[string]int{}, ran: map[string]int{}}
}

func (c *tally) enter(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside[tenant]++
	c.peak[tenant] = max(c.peak[tenant], c.inside[tenant])
}

func (c *tally) leave(tenant, execID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside[tenant]--
	c.ran[execID]++
}

func limited(running int) dispatcher.Settings {
	return dispatcher.Settings{Workers: 40, MaxWorkers: 1,
		Limits: dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: running}}}
}

// TestNoMoreOfATenantThanItsLimit: the senders know the limit, know another one, or none,
// and what runs of a tenant is bounded all the same.
func TestNoMoreOfATenantThanItsLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		group func(tenant, execID string) string
	}{
		{"known", func(tenant, execID string) string { return task.GroupOfTenant(tenant, execID, 3) }},
		{"unknown", func(tenant, _ string) string { return tenant }},
		{"a group for each message", func(_, execID string) string { return execID }},
		{"a greater one", func(tenant, execID string) string { return task.GroupOfTenant(tenant, execID, 10) }},
		{"a lesser one", func(tenant, execID string) string { return task.GroupOfTenant(tenant, execID, 2) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbleOn(t, "pool.fifo", limited(3), func(r *rig) {
				in := newTally()
				r.handle("t", func(_ context.Context, job raw) error {
					in.enter(job.Tenant)
					time.Sleep(time.Second)
					in.leave(job.Tenant, job.ExecID)
					return nil
				})
				ids := map[string]int{}
				for i := range 40 {
					tenant, id := fmt.Sprint("tenant-", i%2), fmt.Sprint("exec-", i)
					r.send("t", nil, task.Tenant(tenant), task.ExecID(id), task.Group(c.group(tenant, id)))
					ids[id] = 1
				}
				r.after(time.Minute)
				for tenant, peak := range in.peak {
					if most := 3; peak > most || peak < 2 {
						t.Errorf("%s: %d at once, want 3", tenant, peak)
					}
				}
				if !maps.Equal(in.ran, ids) || r.left() != 0 {
					t.Errorf("%d of 40 ran, some twice perhaps: %v; %d left", len(in.ran), in.ran, r.left())
				}
			})
		})
	}
}

// TestAMovedMessageIsMovedOnce and keeps what is on it: the queue knows a second copy of it
// by its deduplication id.
func TestAMovedMessageIsMovedOnce(t *testing.T) {
	bubbleOn(t, "pool.fifo", limited(3), func(r *rig) {
		var got []string
		r.handle("t", func(_ context.Context, job raw) error {
			got = append(got, fmt.Sprint(job.Tenant, " ", job.ExecID, " ", job.JobID, " ", string(job.Args), " ", *job.Extra["own"].StringValue))
			return nil
		})
		var message string
		r.send("t", "x", task.Tenant("acme"), task.ExecID("e"), task.ForJob("j", ""), task.Attribute("own", "1"))
		r.inspect(func(q *queue) { message = q.messages[0].id })
		r.after(time.Minute)
		if len(got) != 1 || got[0] != `acme e j "x" 1` {
			t.Errorf("ran as %q", got)
		}
		r.inspect(func(q *queue) {
			for _, s := range q.settles {
				for _, o := range s.Send {
					if o.DedupID != message || o.GroupID != task.GroupOfTenant("acme", "e", 3) {
						t.Errorf("moved to group %q with the deduplication id %q, want the message id %q", o.GroupID, o.DedupID, message)
					}
				}
			}
		})
		if n := strings.Count(r.log.String(), "moved to other message groups"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// TestWithoutALimitNothingIsMoved: a tenant on a FIFO pool keeps its order, or that of its
// own groups, and what names no tenant is not touched by a limit.
func TestWithoutALimitNothingIsMoved(t *testing.T) {
	for _, running := range []int{0, 3} {
		bubbleOn(t, "pool.fifo", limited(running), func(r *rig) {
			r.handle("t", func(context.Context, raw) error { return nil })
			r.send("t", nil, task.Group("own"))
			if running == 0 {
				r.send("t", nil, task.Tenant("acme"))
				r.send("t", nil, task.Tenant("acme"), task.Group("own"))
			}
			r.after(time.Minute)
			r.inspect(func(q *queue) {
				for _, s := range q.settles {
					if len(s.Send) > 0 {
						t.Errorf("with a limit of %d a copy was sent to group %q", running, s.Send[0].GroupID)
					}
				}
			})
			if r.left() != 0 {
				t.Errorf("%d left", r.left())
			}
		})
	}
}

// TestWhatFollowsATaskKeepsItsTenant: copies, dead letters, on_fail tasks.
func TestWhatFollowsATaskKeepsItsTenant(t *testing.T) {
	for _, pool := range []string{"pool", "pool.fifo"} {
		t.Run(pool, func(t *testing.T) {
			settings := dispatcher.Settings{Workers: 4}
			if pool == "pool.fifo" {
				settings = limited(3)
			}
			bubbleOn(t, pool, settings, func(r *rig) {
				fails := func(context.Context, raw) error { return errors.New("no") }
				r.handle("dies", fails, task.MaxFailures(2), task.Wait(time.Hour, task.None))
				r.handle("fails here", fails, task.MaxFailures(1), task.OnFail("sorry"))
				r.handle("fails there", fails, task.MaxFailures(1), task.OnFailIn("other", "sorry"))
				sorry := ""
				r.handle("sorry", func(_ context.Context, job raw) error { sorry = job.Tenant; return nil })
				for _, name := range []string{"dies", "fails here", "fails there"} {
					id := "id of " + name
					group := task.GroupOfTenant("acme", id, settings.Limits.Tenant.Running)
					r.send(name, nil, task.Tenant("acme"), task.ExecID(id), task.Group(group))
				}
				r.after(3 * time.Hour)
				dead := r.sentTo(dispatcher.DeadLetterPool(pool))
				if len(dead) != 1 || dead[0].Tenant != "acme" {
					t.Errorf("dead letters %+v", dead)
				}
				if sorry != "acme" {
					t.Errorf("the on_fail task is of %q", sorry)
				}
				r.inspect(func(q *queue) {
					if there := q.others["other"]; len(there) != 1 || there[0].GroupID != "acme" {
						t.Errorf("the on_fail task of another pool: %+v", there)
					}
					for _, s := range q.settles {
						for _, o := range s.Send {
							if m, _ := task.Decode(o.Body, o.Attributes); m.Tenant != "acme" || !strings.HasPrefix(o.GroupID, "acme") {
								t.Errorf("a copy is of %q in group %q", m.Tenant, o.GroupID)
							}
						}
					}
				})
			})
		})
	}
}

// TestAGroupOfAStandardPoolIsATenant: a producer in another language sets only that.
func TestAGroupOfAStandardPoolIsATenant(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var got []string
		r.handle("t", func(_ context.Context, job raw) error { got = append(got, job.Tenant); return nil })
		r.send("t", nil, task.Group("acme"))
		r.after(time.Minute)
		if len(got) != 1 || got[0] != "acme" {
			t.Errorf("tenants %q", got)
		}
	})
}

// TestAQuietTenantStartsNext among a thousand messages that wait for their task's limit.
func TestAQuietTenantStartsNext(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 10, MaxWorkers: 1}, func(r *rig) {
		quiet, noisy := 0, 0
		r.handle("t", func(_ context.Context, job raw) error {
			time.Sleep(time.Second)
			if job.Tenant == "quiet" && quiet == 0 {
				quiet = noisy
			}
			noisy++
			return nil
		}, task.Concurrency(1))
		for range 60 {
			r.send("t", nil, task.Tenant("noisy"))
		}
		r.after(10*time.Second + time.Millisecond)
		r.send("t", nil, task.Tenant("quiet"))
		r.after(time.Hour)
		if quiet == 0 || quiet > 13 {
			t.Errorf("the quiet tenant ran as number %d, sent after 10", quiet)
		}
		stats := r.mon.Stats().Tenants
		if len(stats) != 0 { // an hour ago
			t.Errorf("dwell times of an hour ago are shown: %+v", stats)
		}
	})
}

// TestADoneMessageStaysUntilItsSlotIsOver, or until the deadline of a drain: it is deleted in
// either case, and does not run again.
func TestADoneMessageStaysUntilItsSlotIsOver(t *testing.T) {
	for _, drained := range []bool{false, true} {
		settings := limited(1)
		settings.Limits.Tenant.Rate = dispatcher.Rate{Count: 1, Per: time.Minute}
		bubbleOn(t, "pool.fifo", settings, func(r *rig) {
			ran := 0
			r.handle("t", func(context.Context, raw) error { ran++; return nil })
			r.send("t", nil, task.Tenant("acme"), task.Group("acme#0"))
			r.after(time.Minute) // its slot has begun
			for ran == 0 {
				r.after(time.Second)
			}
			if r.left() != 1 {
				t.Fatal("the message is gone before its slot is over")
			}
			if !drained {
				r.after(time.Minute)
			} else if _, err := r.client.Drain(r.ctx(), time.Now().Add(5*time.Second)); err != nil {
				t.Fatal(err)
			}
			if r.left() != 0 || ran != 1 {
				t.Errorf("drained %v: %d left, ran %d times", drained, r.left(), ran)
			}
		})
	}
}

// TestAFailedTaskWithARateWaitsForItsSlot: each attempt is a start, and what is given back
// stays hidden for as long as its slot lasts.
func TestAFailedTaskWithARateWaitsForItsSlot(t *testing.T) {
	settings := limited(1)
	settings.Limits.Tenant.Rate = dispatcher.Rate{Count: 6, Per: time.Minute}
	bubbleOn(t, "pool.fifo", settings, func(r *rig) {
		var at []time.Time
		r.handle("t", func(context.Context, raw) error {
			at = append(at, time.Now())
			return errors.New("no")
		}, task.MaxFailures(5), task.Wait(time.Second, task.None))
		r.send("t", nil, task.Tenant("acme"), task.Group("acme#0"))
		r.after(5 * time.Minute)
		if len(at) != 5 || r.left() != 0 {
			t.Fatalf("%d attempts, %d left", len(at), r.left())
		}
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d < 9500*time.Millisecond || d > 21*time.Second {
				t.Errorf("attempt %d came after %v: a slot is 10 s", i+2, d)
			}
		}
	})
}
