package systemtest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/systemtest/internal/kit"
)

// TestAServicesActorsWhileTheSystemStartsAndDrains spawns, watches, asks and stops
// actors of the service from several goroutines, while a system starts and drains:
// 10 systems, or 1 000 with CHASSIS_SCALE=full.
func TestAServicesActorsWhileTheSystemStartsAndDrains(t *testing.T) {
	set := chassis.DefaultSettings()
	set.Log.Level, set.Tasks.ReceiveWait = "critical", time.Second
	lives := 10
	if os.Getenv("CHASSIS_SCALE") == "full" {
		lives = 1000
	}
	for range lives {
		sys, err := chassis.New("test", chassis.WithSettings(set), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		sys.Register("work", kit.Done())
		ctx, end := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for range 2 {
			work.Go(func() { useActors(ctx, t, sys) })
		}
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := sys.Send(t.Context(), "work", struct{}{}); err != nil {
			t.Fatal(err)
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		end()
		work.Wait()
	}
	time.Sleep(10 * time.Millisecond) // Proto.Actor's goroutine that counts dead letters ends by time alone
}

func useActors(ctx context.Context, t *testing.T, sys *chassis.System) {
	root, system := sys.Actors().Root, sys.Actors()
	answers := actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case int:
			c.Respond(m + 1)
		case *actor.PID:
			c.Watch(m)
		case string:
			panic(m)
		}
	})
	for i := 0; ctx.Err() == nil; i++ {
		pid, other := root.Spawn(answers), root.Spawn(answers)
		root.Send(sys.PID("lifecycle"), lifecycle.Subscribe{To: other})
		root.Send(other, pid)
		if n, err := actors.Ask[int](ctx, system, pid, i); ctx.Err() == nil && (err != nil || n != i+1) {
			t.Errorf("asked with %d: %d, %v", i, n, err)
		}
		root.Send(pid, "a panic")
		_, err := actors.Ask[*breaker.Snapshot](ctx, system, sys.PID("breaker/https://mail.internal"), &breaker.GetSnapshot{})
		if ctx.Err() == nil && err != nil && !errors.Is(err, actors.ErrDeadLetter) && !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
		if _, err := sys.Spawn(answers, "own"); err == nil {
			root.Stop(sys.PID("own"))
		}
		root.Stop(pid)
		root.Poison(other)
	}
}
