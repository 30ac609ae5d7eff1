package breaker

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// crash is a message that the actor panics over.
func crash(s *state, _ *ask) { panic("crash") }

// crashNow makes the actor panic, by a message that a caller waits for.
func crashNow(t *testing.T, b *Breaker) {
	t.Helper()
	a := &ask{do: crash}
	if err := b.ask(a); err != errCrashed {
		t.Errorf("the crash came back as %v", err)
	}
}

func TestRestartGoesOnFromThePublishedState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 3})
		end := []struct {
			name string
			kill func()
		}{
			{"a panic", func() { crashNow(t, b) }},
			{"a stranger's stop", func() { b.system.Root.Stop(b.PID()) }},
			{"a stranger's poison", func() { b.system.Root.Poison(b.PID()) }},
		}
		pid := b.PID()
		for i, e := range end {
			_ = b.Do(t.Context(), "/a", fail)
			_ = b.Do(t.Context(), "/a", fail)
			e.kill()
			synctest.Wait()
			if got := b.Snapshot(); got.Restarts != 3*i+1 || got.Entries[0].Failures != 2 {
				t.Fatalf("%s: %+v", e.name, got)
			}
			_ = b.Do(t.Context(), "/a", fail)
			if b.State() != Open {
				t.Fatalf("%s: the counts were lost: %v", e.name, b.State())
			}
			e.kill()
			time.Sleep(10*time.Second - 1)
			if b.State() != Open {
				t.Fatalf("%s: open ended early", e.name)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if b.State() != HalfOpen {
				t.Fatalf("%s: the timer was lost: %v", e.name, b.State())
			}
			p, err := b.Acquire("/b")
			if err != nil {
				t.Fatal(err)
			}
			e.kill()
			if _, err := b.Acquire("/b"); !errors.Is(err, ErrOpen) {
				t.Fatalf("%s: the slot was given twice: %v", e.name, err)
			}
			p.Settle(Success)
			time.Sleep(30 * time.Second)
			for range 10 {
				if err := b.Do(t.Context(), "/b", succeed); err != nil {
					t.Fatal(err)
				}
			}
			if b.State() != Closed {
				t.Fatalf("%s: %v", e.name, b.State())
			}
			if err := b.Reset(""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if b.PID() != pid {
			t.Error("the PID has changed")
		}
		if res, err := b.system.Root.RequestFuture(pid, &GetSnapshot{}, time.Second).Result(); err != nil {
			t.Error(err)
		} else if s := res.(*Snapshot); s.Restarts != 9 {
			t.Errorf("%+v", s)
		}
		checkLog(t, b)
	})
}

// checkLog checks that the log has no gaps and leads to the present states.
func checkLog(t *testing.T, b *Breaker) {
	t.Helper()
	log := b.Transitions(0)
	snapshot := b.Snapshot()
	for i, tr := range log {
		if tr.Seq != uint64(i+1) {
			t.Fatalf("transition %d has number %d", i+1, tr.Seq)
		}
	}
	if uint64(len(log)) != snapshot.Seq {
		t.Fatalf("%d transitions in the log, %d happened", len(log), snapshot.Seq)
	}
	replayed := Replay(log)
	for _, e := range snapshot.Entries {
		if e.State != replayed[e.Entry] {
			t.Errorf("%q is %v, the log leads to %v", e.Entry, e.State, replayed[e.Entry])
		}
		delete(replayed, e.Entry)
	}
	if len(replayed) > 0 {
		t.Errorf("the log leads to states that are not: %v", replayed)
	}
}

// TestKilledWhileCallsRun kills and crashes the actor while calls run: none
// hangs, and once open nothing passes.
func TestKilledWhileCallsRun(t *testing.T) {
	b := newBreaker(t, Settings{ClosedFailLimit: 1000, OpenTimeout: time.Hour, OpenMax: time.Hour})
	var stop atomic.Bool
	var group sync.WaitGroup
	var calls [4]atomic.Int64
	for w := range calls {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				fn := succeed
				if i%3 == 0 {
					fn = fail
				}
				if err := b.Do(t.Context(), "/a/b", fn); errors.Is(err, ErrStopped) {
					t.Error(err)
				}
				calls[w].Add(1)
			}
		})
	}
	for kills := 0; kills < 60; kills++ {
		for w, before := kills%4, calls[kills%4].Load(); calls[w].Load() == before; { // every caller gets on between kills
			runtime.Gosched()
		}
		switch kills % 3 {
		case 0:
			crashNow(t, b)
		case 1:
			b.system.Root.Stop(b.PID())
		default:
			b.system.Root.Poison(b.PID())
		}
	}
	stop.Store(true)
	group.Wait()
	t.Logf("%d restarts", b.Snapshot().Restarts)
	for b.State() != Open { // a crash may have cost a report, no more
		_ = b.Do(t.Context(), "/a/b", fail)
	}
	for range 300 {
		group.Go(func() { crashNow(t, b) })
		if err := b.Do(t.Context(), "/a/b", succeed); !errors.Is(err, ErrOpen) {
			t.Fatalf("a call was admitted while open: %v", err)
		}
	}
	group.Wait()
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 1})
		_ = b.Do(t.Context(), "/a", fail) // its timer must not outlive it
		for range 2 {
			if err := b.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		called := false
		err := b.Do(t.Context(), "", func(context.Context) error { called = true; return nil })
		if !errors.Is(err, ErrStopped) || called {
			t.Error(err, called)
		}
		if _, err := b.Acquire("/a"); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		for name, err := range map[string]error{"ForceOpen": b.ForceOpen("", 0), "Reset": b.Reset(""), "SetSettings": b.SetSettings(Settings{}), "Check": b.Check("")} {
			if !errors.Is(err, ErrStopped) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := b.Snapshot(); !s.Stopped || s.State != Open {
			t.Errorf("%+v", s)
		}
		checkLog(t, b)
	})
}

func TestStopWhileCallsRun(t *testing.T) {
	for range 50 {
		b := newBreaker(t, Settings{ClosedFailLimit: 1 << 20})
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for {
					if err := b.Do(t.Context(), "/a", fail); errors.Is(err, ErrStopped) {
						return
					}
				}
			})
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		group.Wait()
	}
}

// TestWatchersGetTheRealEndAlone: a breaker lives on when something else stops
// or suspends its actor.
func TestWatchersGetTheRealEndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{}, WithHealth(func(context.Context) error { return errBoom }))
		ended := 0
		watcher := b.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(b.PID())
			case *actor.Terminated:
				ended++
			}
		}))
		defer b.system.Root.Stop(watcher)
		for i, end := range []func(){
			func() { b.system.Root.Stop(b.PID()) },
			func() { b.system.Root.Poison(b.PID()) },
			func() { b.mailbox.Load().PostSystemMessage(&actor.SuspendMailbox{}) },
			func() { _ = b.ForceOpen("/other", 0) }, // with a child that makes health calls
			func() { _ = b.Reset("/other"); _ = b.Do(t.Context(), "", fail) },
			func() { crashNow(t, b) },
			func() { b.system.Root.Stop(b.PID()) },
			func() { b.system.Root.Stop(b.PID()); b.system.Root.Stop(b.PID()) },
		} {
			end()
			time.Sleep(time.Second)
			synctest.Wait()
			if err := b.Do(t.Context(), "", fail); err == nil || ended != 0 {
				t.Fatalf("%d: %v, %d ends were reported", i, err, ended)
			}
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ended != 1 {
			t.Errorf("%d ends were reported, want one", ended)
		}
	})
}

// A breaker under an actor of the service's own: the parent decides on its
// failures, and it ends with the parent.
func TestABreakerUnderAParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		made := make(chan *Breaker, 1)
		parent := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				b, err := SpawnUnder(c, "https://mail.internal", Settings{ClosedFailLimit: 2})
				if err != nil {
					t.Error(err)
				}
				if len(c.Children()) != 1 || !c.Children()[0].Equal(b.PID()) {
					t.Errorf("the parent has the children %v", c.Children())
				}
				made <- b
			}
		}))
		b := <-made
		_ = b.Do(t.Context(), "/a", fail)
		crashNow(t, b)
		synctest.Wait()
		_ = b.Do(t.Context(), "/a", fail)
		if b.State() != Open {
			t.Errorf("restarted by its parent it is %v, want open: the failure before counts", b.State())
		}
		system.Root.Stop(parent)
		synctest.Wait()
		if err := b.Do(t.Context(), "/a", nil); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end of its parent: %v", err)
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if _, alive := system.ProcessRegistry.GetLocal(b.PID().Id); alive {
			t.Error("its process is still there")
		}
		time.Sleep(time.Minute) // the throttle of the dead letters ends
	})
	if _, err := SpawnUnder(nil, "https://mail.internal", Settings{}); err == nil {
		t.Error("no parent is taken")
	}
}

// TestRestartThatComesAfterTheStop: a restart and a stop may cross each other.
func TestRestartThatComesAfterTheStop(t *testing.T) {
	b := newBreaker(t, Settings{})
	old := b.mailbox.Load()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	old.PostSystemMessage(&actor.SuspendMailbox{})
	old.PostSystemMessage(&actor.Restart{})
	if b.Snapshot().Restarts != 0 {
		t.Fatal("a stopped actor has risen from the dead")
	}
	a := &ask{do: func(*state, *ask) { t.Error("a dead actor took a message") }, mailbox: old}
	old.PostUserMessage(a)
	if a.wait(); a.fail != errGone {
		t.Errorf("%v", a.fail)
	}
}
