package systemtest_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
)

// A queue that delivers out of order and twice, and shows old counts, loses no
// task and makes no dead letters.
func TestTasksRunOnAQueueThatBehavesAsAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := localsqs.New(localsqs.AsAWS(1))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close() //nolint:errcheck // in memory
		sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithEmbedded(server),
			chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(),
			chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		type letter struct{ N int }
		job := task.Define[letter]("job")
		var mu sync.Mutex
		ran := map[int]int{}
		chassis.Handle(sys, job, func(_ context.Context, j task.Job[letter]) error {
			mu.Lock()
			defer mu.Unlock()
			ran[j.Args.N]++
			return nil
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range 500 {
			if _, err := chassis.Send(t.Context(), sys, job, letter{n}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for _, q := range server.Stats().Queues {
			if q.Visible+q.InFlight+q.Delayed > 0 {
				t.Errorf("left on %s: %d visible, %d in flight, %d delayed", q.Name, q.Visible, q.InFlight, q.Delayed)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(ran) != 500 {
			t.Errorf("%d of 500 tasks ran", len(ran))
		}
		time.Sleep(time.Second) // Proto.Actor counts dead letters by time alone
	})
}
