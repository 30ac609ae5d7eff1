package poller_test

import (
	"errors"
	"testing"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/poller"
)

func TestQuestionsAreTakenAsPointersAndAsValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		for _, m := range []any{
			&poller.Count{}, poller.Count{}, &poller.Inspect{}, poller.Inspect{}, &poller.Flush{}, poller.Flush{},
			&poller.Drain{}, poller.Drain{},
		} {
			if answer, err := actors.Ask[any](t.Context(), r.system, r.pid, m); err != nil || answer == nil {
				t.Errorf("%T: %v, %v", m, answer, err)
			}
		}
		_, err := actors.Ask[any](t.Context(), r.system, r.pid, "how are you?")
		if u, ok := errors.AsType[*actors.Unhandled](err); !ok || u.Hint == "" {
			t.Error(err)
		}
	})
}

func TestAPollerThatAStrangerStopsComesBackWithItsLeases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(func(c *poller.Config) { c.Permanent = true })
		r.send("m", 20)
		r.tell(poller.Want{Credits: 10})
		ds := r.bodies(10)
		r.system.Root.Stop(r.pid)
		r.tell(poller.Want{Credits: 10})
		ds = append(ds, r.bodies(10)...)
		for _, d := range ds {
			r.tell(poller.Settle{Lease: d.Lease})
		}
		for range 20 {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Error(s.Err)
			}
		}
		if left := r.left(); left != [3]string{"0", "0", "0"} {
			t.Error("left:", left)
		}
		if s := r.poller.Stats(); s.Restarts != 1 {
			t.Errorf("%+v", s)
		}
	})
}
