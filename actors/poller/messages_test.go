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
