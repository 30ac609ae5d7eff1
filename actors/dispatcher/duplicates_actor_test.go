package dispatcher_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// again delivers each message that is in flight a second time, as SQS may.
func (r *rig) again() {
	r.t.Helper()
	r.inspect(func(q *queue) {
		for _, m := range q.messages {
			if m.lease == 0 {
				continue
			}
			q.next++
			m.receives++
			m.lease = q.next
			q.leases[q.next] = m
			q.send(&poller.Delivered{Lease: q.next, MessageID: m.id, Body: m.body, Attributes: m.attrs, ReceiveCount: m.receives,
				Visibility: q.lease, Sent: m.sent, FirstReceived: m.first, Epoch: q.epoch})
		}
	})
	r.settle()
}

// leases returns the number of leases that the queue knows.
func (r *rig) leases() (n int) {
	r.inspect(func(q *queue) { n = len(q.leases) })
	return n
}

// TestAMessageThatIsDeliveredTwiceRunsBesideItself: SQS delivered a message again
// within its first lease, to the same process, and the task ran twice at a time.
func TestAMessageThatIsDeliveredTwiceRunsBesideItself(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		result error
		runs   int32
	}{
		"a success": {nil, 1}, "a failure": {boom, 3}, "a wait of its own": {task.Snooze(time.Hour), 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
				var runs, running, most atomic.Int32
				r.handle("t", func(ctx context.Context, _ raw) error {
					defer running.Add(-1)
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(time.Second)
					if runs.Add(1) == 2 && name == "a wait of its own" {
						return nil
					}
					return c.result
				}, task.MaxFailures(3), task.Wait(time.Minute, task.None))
				r.send("t", nil)
				r.settle()
				r.again()
				r.again()
				r.after(3 * time.Hour)
				if runs.Load() != c.runs || most.Load() != 1 {
					t.Errorf("%d runs, want %d; %d at once, want 1", runs.Load(), c.runs, most.Load())
				}
				if n := r.leases(); n != 0 || r.left() != 0 {
					t.Errorf("%d leases and %d messages are left", n, r.left())
				}
				if dead := len(r.dead()); dead != 0 && c.result == nil || dead > 1 {
					t.Errorf("%d dead letters", dead)
				}
			})
		})
	}
}

// TestADeliveryTakesThePlaceOfAFirstThatIsLost: the first lease is lost, its run
// ends, and the second delivery runs then.
func TestADeliveryTakesThePlaceOfAFirstThatIsLost(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
		var runs, running, most atomic.Int32
		r.handle("t", func(ctx context.Context, _ raw) error {
			defer running.Add(-1)
			most.Store(max(most.Load(), running.Add(1)))
			if runs.Add(1) == 1 {
				<-ctx.Done()
				time.Sleep(time.Second)
				return ctx.Err()
			}
			return nil
		})
		r.send("t", nil)
		r.settle()
		r.again()
		r.inspect(func(q *queue) {
			delete(q.leases, 1)
			q.send(&poller.LeaseLost{Lease: 1, Err: errors.New("its handle is stale")})
		})
		r.after(time.Minute)
		if runs.Load() != 2 || most.Load() != 1 || r.left() != 0 || r.leases() != 0 {
			t.Errorf("%d runs, %d at once, %d messages and %d leases left", runs.Load(), most.Load(), r.left(), r.leases())
		}
	})
}

// TestADrainWithADuplicate ends, and gives back what did not run to its end.
func TestADrainWithADuplicate(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		var runs atomic.Int32
		r.handle("t", func(ctx context.Context, _ raw) error {
			runs.Add(1)
			time.Sleep(time.Second)
			return nil
		})
		r.send("t", nil)
		r.send("t", nil)
		r.settle()
		r.again()
		if _, err := r.client.Drain(r.ctx(), time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if n := r.leases(); n != 0 {
			t.Errorf("%d leases are left after the drain", n)
		}
		if left := r.left(); int(runs.Load())+left != 2 {
			t.Errorf("%d runs and %d messages left of 2", runs.Load(), left)
		}
	})
}
