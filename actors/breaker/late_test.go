package breaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestResultsOfAnEarlierClosedState: closed again is not the closed that the
// calls were admitted in, whether the entry is still there or was dropped.
func TestResultsOfAnEarlierClosedState(t *testing.T) {
	for _, wait := range []time.Duration{0, 20 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, Settings{ClosedFailLimit: 2, HalfSuccessLimit: 1})
			var late []Permit
			for range 5 {
				p, err := b.Acquire("/a/b")
				if err != nil {
					t.Fatal(err)
				}
				late = append(late, p)
			}
			script(t, b, "/a/b", "FF[open]"+tenSeconds+"S[closed]")
			time.Sleep(wait)
			synctest.Wait()
			if n := len(b.Snapshot().Entries); wait > 0 && n != 1 {
				t.Fatalf("%d entries after %v", n, wait)
			}
			before := b.view.Load().dump()
			for i := range late {
				late[i].Settle(Failure)
			}
			if after := b.view.Load().dump(); after != before {
				t.Errorf("late failures have changed\n%s\ninto\n%s", before, after)
			}
		})
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

// TestEntriesAreBounded: past max_entries and max_depth the parents take the failures.
func TestEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{MaxEntries: 3, MaxDepth: 2, ClosedFailLimit: 4, ForgetAfter: time.Minute})
		script(t, b, "/a/b/c/d", "F")
		script(t, b, "/x/y", "F")
		script(t, b, "/z", "F")
		if n := len(b.Snapshot().Entries); n != 4 || b.Snapshot().Entries[0].Failures != 3 {
			t.Fatalf("%+v", b.Snapshot().Entries)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(b.Snapshot().Entries); n != 1 {
			t.Fatalf("not forgotten: %+v", b.Snapshot().Entries)
		}
		script(t, b, "/z", "F")
		if b.State() != Open {
			t.Error("the service's own count was forgotten")
		}
	})
}

// TestATimerThatCameTooLate: a piece of a body may come at the very moment at
// which the timer goes off, and the next one be waited for before the timer's
// function runs. The next piece has all the time again.
func TestATimerThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{})
		x := &exchange{b: b, parent: t.Context(), permit: Permit{b: b, path: "/a"}, patience: time.Minute}
		ctx := x.Done()
		x.clock.timer.Stop() // as when it has gone off, and its function is on its way
		if x.arrive(stagePaused) {
			t.Fatal("late before the function ran")
		}
		x.wait()
		x.giveUp()
		if x.arrive(stagePaused) || x.Err() != nil {
			t.Error("the next piece was given up at once")
		}
		x.wait()
		<-ctx
		if !x.arrive(stagePaused) || b.Snapshot().Entries[0].Failures != 1 {
			t.Error("a piece that did not come was waited for in vain")
		}
		x.end(Neutral, 0)
	})
}
