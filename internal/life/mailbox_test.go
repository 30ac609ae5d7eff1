package life

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// forever restarts without a pause, whatever happens.
var forever = actor.NewRestartingStrategy()

// bubble runs f with an actor system in simulated time.
func bubble(t *testing.T, f func(system *actor.ActorSystem)) {
	synctest.Test(t, func(t *testing.T) {
		system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		f(system)
		system.Shutdown()
		time.Sleep(time.Hour)
	})
}

// spawnRoot spawns an actor under the guardian that restarts forever.
func spawnRoot(t *testing.T, system *actor.ActorSystem, restarts *Restarts, f actor.ReceiveFunc) *actor.PID {
	t.Helper()
	pid, err := system.Root.Copy().WithGuardian(forever).SpawnNamed(actor.PropsFromFunc(f, actor.WithMailbox(restarts.Mailbox)), "kept")
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAnActorThatPanicsAtEachStartIsRestartedSlowly(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		var starts atomic.Int32
		var stopped atomic.Bool
		pid := spawnRoot(t, system, &Restarts{}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				starts.Add(1)
				panic("no start")
			case *actor.Stopped:
				stopped.Store(true)
			}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := starts.Load(); n < 10 || n > 30 {
			t.Errorf("%d starts in a minute, want about 25", n)
		}
		system.Root.Stop(pid) // in a pause
		synctest.Wait()
		if !stopped.Load() {
			t.Error("a stop in the pause waits")
		}
	})
}

func TestMessagesWaitForARestartThatWaits(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		var got atomic.Int32
		pid := spawnRoot(t, system, &Restarts{}, func(c actor.Context) {
			if m, ok := c.Message().(string); ok {
				if m == "panic" {
					panic(m)
				}
				got.Add(1)
			}
		})
		for _, m := range []string{"panic", "panic", "panic", "panic", "a", "b"} {
			system.Root.Send(pid, m)
		}
		synctest.Wait()
		if n := got.Load(); n > 0 {
			t.Errorf("%d messages were handled before the restart", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := got.Load(); n != 2 {
			t.Errorf("%d messages were handled, want a and b", n)
		}
		system.Root.Stop(pid)
		synctest.Wait()
	})
}

func TestAStrangersSuspendMailboxDoesNothing(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		var got atomic.Int32
		pid := spawnRoot(t, system, &Restarts{}, func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				got.Add(1)
			}
		})
		process, _ := system.ProcessRegistry.Get(pid)
		process.SendSystemMessage(pid, &actor.SuspendMailbox{})
		system.Root.Send(pid, "hello")
		synctest.Wait()
		if got.Load() != 1 {
			t.Error("the message was not handled")
		}
		system.Root.Stop(pid)
		synctest.Wait()
	})
}

func TestAnActorThatComesBackEachTimeItIsStoppedDoesSoSlowly(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		restarts := &Restarts{}
		var starts atomic.Int32
		var over atomic.Bool
		var again *Respawn
		var props *actor.Props
		props = actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				starts.Add(1)
				c.Stop(c.Self())
			case *actor.Stopping:
				again = restarts.Respawn(c)
			case *actor.Stopped:
				if !over.Load() {
					if err := again.Spawn(c, props); err != nil {
						t.Error(err)
					}
				}
			}
		}, actor.WithMailbox(restarts.Mailbox))
		if _, err := Under(system, nil).SpawnAs("kept", props); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := starts.Load(); n < 10 || n > 30 {
			t.Errorf("%d starts in a minute, want about 25", n)
		}
		over.Store(true)
		time.Sleep(time.Minute)
	})
}

func TestAFailureIsSeenAboveTheStackOfItsPanic(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		var seen atomic.Int32
		restarts := &Restarts{OnFailure: func(f *actor.Failure) {
			if f.Reason == "boom" {
				seen.Add(1)
			}
		}}
		pid := spawnRoot(t, system, restarts, func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Send(c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(string); ok {
						panic("boom")
					}
				})), "go")
			}
		})
		synctest.Wait()
		if n := seen.Load(); n != 1 {
			t.Errorf("%d failures seen", n)
		}
		system.Root.Stop(pid)
		synctest.Wait()
	})
}

func TestNoMessageIsLostWhenAnActorComesBack(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		restarts := &Restarts{}
		var got atomic.Int32
		var over atomic.Bool
		var again *Respawn
		var props *actor.Props
		props = actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				if c.Sender() == nil || c.Sender().Id != "asker" {
					t.Error("the sender is lost")
				}
				got.Add(1)
			case *actor.Stopping:
				if !over.Load() {
					again = restarts.Respawn(c)
				}
			case *actor.Stopped:
				if !over.Load() {
					time.Sleep(time.Millisecond) // there is no process
					if err := again.Spawn(c, props); err != nil {
						t.Error(err)
					}
				}
			}
		}, actor.WithMailbox(restarts.Mailbox))
		pid, err := Under(system, nil).SpawnAs("kept", props)
		if err != nil {
			t.Fatal(err)
		}
		asker := actor.NewPID(system.Address(), "asker")
		for i := range 400 {
			system.Root.RequestWithCustomSender(pid, "hello", asker)
			time.Sleep(100 * time.Microsecond)
			if i%100 == 50 && i < 250 {
				system.Root.Stop(pid)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := got.Load(); n != 400 {
			t.Errorf("%d of 400 messages", n)
		}
		over.Store(true)
		system.Root.Stop(pid)
		synctest.Wait()
	})
}

// Proto.Actor sets the predicate of a subscription after it is published to, and
// meanwhile it got the events of others, at which it panicked.
func TestARespawnRacedWithWhatWasPublished(t *testing.T) {
	bubble(t, func(system *actor.ActorSystem) {
		var over atomic.Bool
		var stopped sync.WaitGroup
		go func() {
			for !over.Load() {
				system.EventStream.Publish("an event of another")
			}
		}()
		for range 100 {
			restarts := &Restarts{}
			var again *Respawn
			var props *actor.Props
			props = actor.PropsFromFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Stopping:
					if again == nil {
						again = restarts.Respawn(c)
					}
				case *actor.Stopped:
					if again == nil {
						return
					}
					if err := again.Spawn(c, props); err != nil {
						t.Error(err)
					}
					stopped.Done()
				}
			}, actor.WithMailbox(restarts.Mailbox))
			pid, err := Under(system, nil).SpawnAs("kept"+system.ProcessRegistry.NextId(), props)
			if err != nil {
				t.Fatal(err)
			}
			stopped.Add(1)
			system.Root.Stop(pid)
		}
		stopped.Wait()
		over.Store(true)
		synctest.Wait()
	})
}
