package systemtest_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// TestNoReplacementOutlivesTheStop: as of a supervisor that reports its drain while
// the worker that it has just replaced lives on, garrytan/gbrain#2921.
func TestNoReplacementOutlivesTheStop(t *testing.T) {
	for _, when := range []string{"before", "meanwhile"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard),
					chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
				if err != nil {
					t.Fatal(err)
				}
				block := make(chan struct{})
				chassis.Handle(sys, task.Define[any]("slow"), func(context.Context, task.Job[any]) error { <-block; return nil })
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				actors := []*actor.PID{sys.PID("dispatcher/test-tasks"), sys.PID("poller/test-tasks")}
				kill := func() {
					for _, pid := range actors {
						sys.Actors().Root.Stop(pid)
					}
				}
				if when == "before" {
					kill()
				} else {
					if _, err := sys.Send(t.Context(), "slow", nil); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					time.AfterFunc(5*time.Second, kill)
				}
				begun := time.Now()
				err = sys.Stop(context.Background())
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("the stop took %v: %v", took, err)
				}
				synctest.Wait()
				for _, pid := range actors {
					if _, alive := sys.Actors().ProcessRegistry.GetLocal(pid.Id); alive {
						t.Errorf("%s lives on after the stop (%v)", pid.Id, err)
					}
				}
				close(block)
				time.Sleep(time.Minute) // on the bubble's clock: timers run out
			})
		})
	}
}
