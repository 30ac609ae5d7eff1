package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// After a sleep of the machine, which the poller notices by the wall clock, what
// had a time of its own keeps it.
func TestWaitsAndDeadlinesEndOnTimeAfterASleep(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		ends := map[string]time.Time{}
		var cause error
		r.handle("waits", func(context.Context, task.Job[json.RawMessage]) error {
			if ends["waits"].IsZero() {
				ends["waits"] = time.Now()
				return errors.New("later")
			}
			ends["waits"] = time.Now()
			return nil
		}, task.Wait(25*time.Second, task.None))
		for name, limit := range map[string]time.Duration{"over": 10 * time.Second, "soon": 30 * time.Second} {
			r.handle(name, func(ctx context.Context, _ task.Job[json.RawMessage]) error {
				<-ctx.Done()
				ends[name], cause = time.Now(), context.Cause(ctx)
				return nil
			}, task.Deadline(limit))
		}
		begun := time.Now()
		for _, name := range []string{"waits", "over", "soon"} {
			r.send(name, nil)
		}
		time.Sleep(time.Second)
		r.system.Root.Send(r.pid, &poller.Slept{For: 20 * time.Second})
		time.Sleep(time.Minute)
		synctest.Wait()
		for name, want := range map[string]time.Duration{"waits": 5 * time.Second, "over": time.Second, "soon": 10 * time.Second} {
			if got := ends[name].Sub(begun); got < want || got > want+time.Second {
				t.Errorf("%s ends %v after its start, want about %v: twenty seconds of it were slept", name, got, want)
			}
		}
		if !errors.Is(cause, dispatcher.ErrDeadline) {
			t.Errorf("the ctx ended by %v, want the deadline", cause)
		}
	})
}
