package systemtest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
)

// A service's actors end after the tasks and before the breakers, the last
// first, behind what is in their mailboxes.
func TestSpawnedActorsEndInTheirOrder(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		mail := sys.Breaker("https://mail.internal")
		var mu sync.Mutex
		var ends []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, what)
		}
		recorder := func(name string) *actor.Props {
			return actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case string:
					note(m)
				case *actor.Stopped:
					note(name)
					if errors.Is(mail.Check(""), breaker.ErrStopped) {
						t.Error("the breaker ended first")
					}
				}
			})
		}
		for _, name := range []string{"first", "second"} {
			if _, err := sys.Spawn(recorder(name), name); err != nil {
				t.Fatal(err)
			}
		}
		sys.Register("work", actor.PropsFromFunc(func(c actor.Context) {
			if c.Sender() != nil {
				time.Sleep(time.Second)
				c.Send(sys.PID("first"), "the last word of a task")
				c.Respond(dispatcher.Done{})
			}
		}))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := sys.Send(t.Context(), "work", struct{}{}); err != nil {
			t.Fatal(err)
		}
		kit.Pass(500 * time.Millisecond)
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if len(ends) != 3 || ends[2] != "first" {
			t.Errorf("the ends: %q, want that of the first last, behind what was sent to it", ends)
		}
		if _, err := sys.Spawn(kit.Idle(), "late"); !errors.Is(err, chassis.ErrStopped) {
			t.Errorf("a spawn after the stop: %v", err)
		}
	})
}

func TestAnActorThatDoesNotEndIsNamed(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(t.Output()), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		free := make(chan struct{})
		blocks := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopping); ok {
				<-free
			}
		})
		ended := false
		good := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopped); ok {
				ended = true
			}
		})
		for name, props := range map[string]*actor.Props{"stuck": blocks} {
			if _, err := sys.Spawn(good, "good"); err != nil {
				t.Fatal(err)
			}
			if _, err := sys.Spawn(props, name); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		err = sys.Stop(context.Background())
		if err == nil || !strings.Contains(err.Error(), "actors: the actor stuck did not end") || strings.Contains(err.Error(), "good") {
			t.Errorf("Stop says %v", err)
		}
		if took := time.Since(began); took > 5*time.Second || !ended {
			t.Errorf("it took %v, and the other actor has ended: %v", took, ended)
		}
		close(free)
	})
}

func TestASpawnedActorIsRestartedWithPauses(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		var starts, few atomic.Int64
		if _, err := sys.Spawn(kit.Failing(&starts, true), "stock"); err != nil {
			t.Fatal(err)
		}
		two := actor.NewOneForOneStrategy(1, time.Minute, actor.DefaultDecider)
		if _, err := sys.Spawn(kit.Failing(&few, true), "few", chassis.SupervisedBy(two)); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Hour)
		if n := starts.Load(); n < 100 || n > 2000 {
			t.Errorf("%d starts in an hour, want some hundred", n)
		}
		if n := few.Load(); n != 2 {
			t.Errorf("%d starts by a strategy of one restart", n)
		}
		if c := sys.Lifecycle().Counts(); c.Stops != 1 || int64(c.Restarts) != starts.Load()-1+1 {
			t.Errorf("%+v for %d starts", c, starts.Load())
		}
	})
}

// A strategy that panics, or has nothing to escalate to, ends the process in
// Proto.Actor.
func TestAStrategyThatPanicsOrEscalatesStopsTheActor(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		for name, decide := range map[string]actor.DeciderFunc{
			"panics":    func(any) actor.Directive { panic("a decider") },
			"escalates": func(any) actor.Directive { return actor.EscalateDirective },
		} {
			var starts atomic.Int64
			pid, err := sys.Spawn(kit.Failing(&starts, false), name, chassis.SupervisedBy(actor.NewOneForOneStrategy(10, time.Second, decide)))
			if err != nil {
				t.Fatal(err)
			}
			sys.Actors().Root.Send(pid, "count")
			kit.Pass(time.Second)
			if _, ok := sys.Actors().ProcessRegistry.GetLocal(name); ok || starts.Load() != 1 {
				t.Errorf("%s: the actor lives, %d starts", name, starts.Load())
			}
		}
		if n := sys.Lifecycle().Counts().Stops; n != 2 {
			t.Errorf("%d stops", n)
		}
	})
}

// stopping makes a system that the test stops itself.
func stopping(t *testing.T) *chassis.System {
	t.Helper()
	sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// asynkron/protoactor-go#214: the restart took the stop back, and System.Stop waited
// for an actor that was at work again.
func TestAnActorThatPanicsAtItsEndCameBackToLife(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		kit.Bubble(t, func(t *testing.T) {
			sys := stopping(t)
			starts := 0
			pid, err := sys.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					starts++
				case *actor.Stopping:
					if !stopped {
						panic("at Stopping")
					}
				case *actor.Stopped:
					if stopped {
						panic("at Stopped")
					}
				}
			}), "stock")
			if err != nil {
				t.Fatal(err)
			}
			if err := sys.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			if _, lives := sys.Actors().ProcessRegistry.GetLocal(pid.Id); lives || starts != 1 {
				t.Errorf("%d starts, the actor lives: %v", starts, lives)
			}
			if n := sys.Lifecycle().Counts().Failures; n != 1 {
				t.Errorf("%d failures counted", n)
			}
		})
	}
}

// Each message of the backlog was a failure, and the pauses between them outlasted
// the stop (the hot loop of Tochemey/goakt#1268, slowed down).
func TestAnActorThatFailsAtItsBacklogHeldTheStopUp(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := stopping(t)
		pid, err := sys.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				panic("no stock")
			}
		}), "stock")
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			sys.Actors().Root.Send(pid, "count")
		}
		began := time.Now()
		if err := sys.Stop(context.Background()); err != nil || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if c := sys.Lifecycle().Counts(); c.Stops > 1 {
			t.Errorf("%+v", c)
		}
	})
}

// An actor was stopped in its pause, and the restart that it had waited for was
// that of the next one at its address.
func TestAPauseOfAnEarlierActorRestartedItsSuccessor(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		var starts, later atomic.Int64
		pid, err := sys.Spawn(kit.Failing(&starts, true), "stock")
		if err != nil {
			t.Fatal(err)
		}
		kit.Pass(3 * time.Second)
		sys.Actors().Root.Stop(pid)
		kit.Pass(0)
		if _, err := sys.Spawn(kit.Failing(&later, false), "stock"); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Minute)
		if n := later.Load(); n != 1 {
			t.Errorf("%d starts of an actor that does not fail", n)
		}
	})
}

func TestBadSpawnsAreErrors(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		if _, err := sys.Spawn(kit.Idle(), "stock"); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			props *actor.Props
			name  string
			opts  []chassis.SpawnOption
			want  string
		}{
			"no props":           {nil, "a", nil, "props are nil"},
			"no name":            {kit.Idle(), "", nil, "at least one letter"},
			"a child's name":     {kit.Idle(), "dispatcher/mails", nil, "neither / nor $"},
			"a name twice":       {kit.Idle(), "stock", nil, "name exists"},
			"a name of ours":     {kit.Idle(), "lifecycle", nil, "name exists"},
			"no strategy":        {kit.Idle(), "b", []chassis.SpawnOption{chassis.SupervisedBy(nil)}, "strategy is nil"},
			"a producer's panic": {actor.PropsFromProducer(func() actor.Actor { panic("no stock") }), "c", nil, "no stock"},
		} {
			if _, err := sys.Spawn(c.props, c.name, c.opts...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
