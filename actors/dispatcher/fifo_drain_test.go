package dispatcher_test

import (
	"context"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
)

// TestFIFOADrainThatWaitsForItsReceivesTakesAMessageTwiceAtMost: each receive under way would
// bring the message that was just given back, and one delivery that is long afterwards would
// make silent ends of them all.
func TestFIFOADrainThatWaitsForItsReceivesTakesAMessageTwiceAtMost(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
		r.handle("t", func(ctx context.Context, _ raw) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r.inspect(func(q *queue) { q.polls = 8 })
		r.sendAll("t", "a", 0)
		r.settle()
		go func() { _, _ = r.client.Drain(r.ctx(), time.Now().Add(time.Second)) }()
		r.after(5 * time.Second)
		r.inspect(func(q *queue) {
			if m := q.messages[0]; m.receives != 3 || time.Until(m.visible) < 14*time.Second {
				t.Errorf("%d receives, visible in %v: want that of its run and two, until the receives are over", m.receives, time.Until(m.visible))
			}
			if len(q.settles) != 3 || q.settles[1].Visible != 0 {
				t.Errorf("settled %+v: want the first of the drain given back at once", q.settles)
			}
			q.draining, q.demand, q.polls = true, 0, 0
			q.send(&poller.Drained{})
		})
		r.settle()
		r.crash()
		r.up()
		var attempts []int
		r.handle("t", func(_ context.Context, job raw) error {
			attempts = append(attempts, job.Info.Attempt)
			return nil
		})
		r.after(30 * time.Second)
		if len(attempts) != 1 || attempts[0] != 1 || r.left() != 0 {
			t.Errorf("attempts %v, %d left: a release is no silent end", attempts, r.left())
		}
	})
}
