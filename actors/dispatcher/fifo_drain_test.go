package dispatcher_test

import (
	"context"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
)

// TestFIFOADrainThatWaitsForItsReceivesTakesAMessageAgainOnceAtMost: each receive under way
// would bring the message that was just given back, and one delivery that is long makes
// silent ends of them all.
func TestFIFOADrainThatWaitsForItsReceivesTakesAMessageAgainOnceAtMost(t *testing.T) {
	for name, c := range map[string]struct {
		held     time.Duration // before the drain
		receives int           // after it, in all
	}{
		"a young one is given back for others": {time.Second, 2},
		"a long delivery counts":               {5 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 10}, func(r *rig) {
				r.handle("t", func(ctx context.Context, _ raw) error {
					<-ctx.Done()
					return ctx.Err()
				})
				r.inspect(func(q *queue) { q.polls = 8 })
				r.sendAll("t", "a", 0)
				r.after(c.held)
				go func() { _, _ = r.client.Drain(r.ctx(), time.Now().Add(time.Second)) }()
				r.after(5 * time.Second)
				r.inspect(func(q *queue) {
					if m := q.messages[0]; m.receives != c.receives || time.Until(m.visible) < 14*time.Second {
						t.Errorf("%d receives, visible in %v: want %d, and not until the receives are over", m.receives,
							time.Until(m.visible), c.receives)
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
				want := 1
				if c.held > 2*time.Minute {
					want = 2 // it was held for longer than a lease
				}
				if len(attempts) != 1 || attempts[0] != want || r.left() != 0 {
					t.Errorf("attempts %v, %d left: want attempt %d", attempts, r.left(), want)
				}
			})
		})
	}
}
