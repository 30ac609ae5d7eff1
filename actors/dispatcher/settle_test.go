package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
)

func TestExpiringLeaseIsCarriedOnByACopy(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return nil })
		if err := r.client.Pause(r.ctx(), "t"); err != nil {
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(11 * time.Hour)
		r.system.Root.Send(r.pid, &poller.LeaseExpiring{Lease: 1, At: time.Now().Add(5 * time.Minute)})
		r.settle()
		if err := r.client.Resume(r.ctx(), "t"); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.inspect(func(q *queue) {
			if runs != 1 || len(q.settles) != 2 || len(q.settles[0].Send) != 1 {
				t.Errorf("%d runs, settled %+v", runs, q.settles)
			}
		})
	})
}

func TestLostLeaseCancelsThatVeryExecution(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var causes []error
		release := make(chan struct{})
		r.handle("t", func(ctx context.Context, _ raw) error {
			select {
			case <-ctx.Done():
				causes = append(causes, context.Cause(ctx))
				return ctx.Err()
			case <-release:
				return nil
			}
		})
		r.send("t", 1)
		r.send("t", 2)
		r.settle()
		begin := time.Now()
		r.system.Root.Send(r.pid, &poller.LeaseLost{Lease: 1, Err: errors.New("extension refused")})
		r.settle()
		if len(causes) != 1 || !errors.Is(causes[0], dispatcher.ErrLeaseLost) || time.Since(begin) > time.Second {
			t.Errorf("causes %v after %v", causes, time.Since(begin))
		}
		r.inspect(func(q *queue) {
			if len(q.settles) != 0 {
				t.Errorf("a late failure settled %+v", q.settles[0])
			}
		})
		close(release)
		r.settle()
		if s := r.mon.Stats(); s.LostLeases != 1 || s.Running != 0 || r.left() != 1 {
			t.Errorf("%+v, %d left", s, r.left())
		}
	})
}

func TestLateSuccessAfterALostLeaseStillTriesToDelete(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		release := make(chan struct{})
		r.handle("t", func(context.Context, raw) error { <-release; return nil })
		r.send("t", 1)
		r.settle()
		r.system.Root.Send(r.pid, &poller.LeaseLost{Lease: 1})
		r.settle()
		close(release)
		r.settle()
		r.inspect(func(q *queue) {
			if len(q.settles) != 1 || q.settles[0].Release {
				t.Errorf("settles %+v", q.settles)
			}
		})
	})
}
