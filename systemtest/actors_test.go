package systemtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
)

// plainSystem is an actor system without the chassis.
func plainSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

// rootOf is what can be seen of a system's Root. Functions are compared by
// whether they are there.
func rootOf(system *actor.ActorSystem) string {
	text := fmt.Sprint("self ", system.Root.Self())
	v := reflect.ValueOf(system.Root).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Func, reflect.Interface, reflect.Pointer:
			text += fmt.Sprintf(", %s nil: %v", v.Type().Field(i).Name, f.IsNil())
		case reflect.Map:
			text += fmt.Sprintf(", %s %d", v.Type().Field(i).Name, f.Len())
		}
	}
	return text
}

// Start put the guardian of the chassis on the service's Root: its own actors
// had a parent that it never made, and restarted for ever without a pause.
func TestTheServicesRootIsLeftAsItIs(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		plain := plainSystem()
		want := rootOf(plain)
		sys := chassistest.New(t)
		sys.Register("work", kit.Done())
		same := func(when string) {
			if got := rootOf(sys.Actors()); got != want {
				t.Errorf("%s: Root is %s, want %s", when, got, want)
			}
		}
		same("after New")
		sys.Breaker("https://mail.internal")
		if _, err := sys.Spawn(kit.Idle(), "stock"); err != nil {
			t.Fatal(err)
		}
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		same("after Start")
		if _, err := sys.Send(t.Context(), "work", struct{}{}); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Minute)
		same("after a task")
		var parent *actor.PID
		sys.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) { parent = c.Parent() }))
		kit.Pass(time.Second)
		if parent != nil {
			t.Errorf("the parent of the service's own actor is %v, want none", parent)
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		same("after Stop")
	})
}

// An actor that panics on every message, or at its start, begins as often in a
// second as in a system of one's own.
func TestRestartsAreThoseOfAPlainSystem(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		count := func(system *actor.ActorSystem, atOnce bool) int64 {
			var starts atomic.Int64
			pid := system.Root.Spawn(kit.Failing(&starts, atOnce))
			for range 100 {
				system.Root.Send(pid, "count")
				kit.Pass(10 * time.Millisecond)
			}
			return starts.Load()
		}
		plain := plainSystem()
		sys := chassistest.New(t)
		sys.Register("work", kit.Done())
		for _, atOnce := range []bool{true, false} {
			want := count(plain, atOnce)
			if got := count(sys.Actors(), atOnce); got != want {
				t.Errorf("before Start: %d starts, want %d", got, want)
			}
		}
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, atOnce := range []bool{true, false} {
			want := count(plain, atOnce)
			if got := count(sys.Actors(), atOnce); got != want || want != 11 {
				t.Errorf("after Start: %d starts, want %d, which is 11", got, want)
			}
		}
	})
}

// The chassis spawns with contexts of its own, for what a service has put on
// Root too.
func TestTheServicesMiddlewareIsNotTheChassis(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		var spawned atomic.Int64
		sys.Actors().Root.WithSpawnMiddleware(func(next actor.SpawnFunc) actor.SpawnFunc {
			return func(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
				spawned.Add(1)
				return next(system, id, props, parent)
			}
		})
		sys.Register("work", kit.Done())
		sys.Breaker("https://mail.internal")
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := spawned.Load(); n != 0 {
			t.Errorf("%d actors of the chassis went through the service's middleware", n)
		}
	})
}

func TestShutdownIsTheServices(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		defer sys.Actors().Shutdown() // it panics when it is called twice
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAddressesOfTheSystem(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.TaskPool, s.Tasks.Pools = "mails", map[string]chassis.PoolSettings{"reports": {}}
		}))
		sys.Register("work", kit.Done())
		mail := sys.Breaker("https://mail.internal")
		early := sys.PID("dispatcher/mails") // before it is there
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, system := t.Context(), sys.Actors()
		if pid := sys.PID("breaker/HTTPS://Mail.internal:443/"); !pid.Equal(mail.PID()) {
			t.Errorf("the breaker is at %v, want %v", pid, mail.PID())
		}
		for _, pid := range []*actor.PID{early, sys.PID("dispatcher/reports")} {
			if _, err := actors.Ask[*dispatcher.Stats](ctx, system, pid, &dispatcher.GetStats{}); err != nil {
				t.Error(err)
			}
		}
		if _, err := actors.Ask[*breaker.Snapshot](ctx, system, sys.PID("breaker/https://mail.internal"), &breaker.GetSnapshot{}); err != nil {
			t.Error(err)
		}
		if _, err := actors.Ask[logger.Stats](ctx, system, sys.PID("logger"), &logger.Describe{}); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"poller/mails", "poller/reports", "lifecycle", "shares"} {
			if _, ok := system.ProcessRegistry.GetLocal(name); !ok {
				t.Errorf("no actor at %s", name)
			}
		}
		if _, err := actors.Ask[any](ctx, system, sys.PID("breaker/https://mial.internal"), &breaker.GetSnapshot{}); err == nil {
			t.Error("no error for a breaker that there is not")
		}
	})
}
