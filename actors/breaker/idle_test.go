package breaker

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
)

// asleep puts a breaker to sleep.
func asleep(t *testing.T, b *Breaker) {
	t.Helper()
	if _, healthy := b.idle(); !healthy {
		t.Fatalf("%s cannot be marked", b.service)
	}
	if !b.sleep() || b.view.Load().kind != viewAsleep {
		t.Fatalf("%s does not sleep", b.service)
	}
}

// TestASleepingBreakerWakes: whatever needs its actor wakes it, and it goes on
// with its state, its settings, and its log.
func TestASleepingBreakerWakes(t *testing.T) {
	answers := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	for name, use := range map[string]func(b *Breaker) error{
		"Do":          func(b *Breaker) error { return b.Do(t.Context(), "/a", succeed) },
		"Do of Route": func(b *Breaker) error { return b.Route("/a").Do(t.Context(), succeed) },
		"Acquire": func(b *Breaker) error {
			p, err := b.Acquire("/a")
			p.Settle(Success)
			return err
		},
		"Transport": func(b *Breaker) error {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.service+"/a", nil)
			res, err := b.Transport(answers).RoundTrip(req)
			if err == nil {
				err = res.Body.Close()
			}
			return err
		},
		"a failure of an older call": func(b *Breaker) error {
			p := Permit{b: b, path: "/a", gen: b.view.Load().gen}
			p.Settle(Failure)
			if n := b.Snapshot().Entries[0].Failures; n != 1 {
				t.Errorf("%d failures", n)
			}
			return b.Reset("")
		},
		"Listen": func(b *Breaker) error {
			stop, err := b.Listen(func(Transition) {})
			if err == nil {
				stop()
			}
			return err
		},
		"SetSettings": func(b *Breaker) error { return b.SetSettings(b.Settings()) },
		"PID": func(b *Breaker) error {
			answer, err := b.system.Root.RequestFuture(b.PID(), &GetSnapshot{}, 10*time.Second).Result()
			if err == nil && answer.(*Snapshot).Service != b.service {
				t.Errorf("answer %+v", answer)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, Settings{ClosedFailLimit: 2, RequestTimeout: 7 * time.Second})
			_ = b.Do(t.Context(), "", fail)
			_ = b.Do(t.Context(), "", fail)
			if err := b.Reset(""); err != nil {
				t.Fatal(err)
			}
			before, log, address := b.Snapshot(), len(b.Transitions(0)), b.pid.Id
			asleep(t, b)
			if err := b.Check("/a"); err != nil || b.State() != Closed || b.view.Load().kind != viewAsleep {
				t.Errorf("a look at a sleeping breaker: %v, %v, kind %v", err, b.State(), b.view.Load().kind)
			}
			if err := use(b); err != nil {
				t.Fatal(err)
			}
			if k := b.view.Load().kind; k == viewAsleep || k == viewMarked {
				t.Errorf("kind %v after a use", k)
			}
			after := b.Snapshot()
			if after.Seq != before.Seq || after.Settings != before.Settings || len(b.Transitions(0)) != log || b.pid.Id != address {
				t.Errorf("%+v became %+v, at %s", before, after, b.pid.Id)
			}
			for range 2 {
				_ = b.Do(t.Context(), "/a", fail)
			}
			if err := b.Do(t.Context(), "/a", succeed); !errors.Is(err, ErrOpen) {
				t.Errorf("the breaker does not open after it woke: %v", err)
			}
		})
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestWhatKeepsABreakerAwake: the state of a breaker, or what relies on its actor.
func TestWhatKeepsABreakerAwake(t *testing.T) {
	for name, keep := range map[string]func(t *testing.T, b *Breaker){
		"a failure":        func(t *testing.T, b *Breaker) { _ = b.Do(t.Context(), "/a", fail) },
		"an open entry":    func(t *testing.T, b *Breaker) { _, _ = b.Do(t.Context(), "", fail), b.Do(t.Context(), "", fail) },
		"an open path":     func(t *testing.T, b *Breaker) { force(t, b.ForceOpen("/a", time.Hour)) },
		"ForceClosed":      func(t *testing.T, b *Breaker) { force(t, b.ForceClosed("", 0)) },
		"MetricsOnly":      func(t *testing.T, b *Breaker) { force(t, b.MetricsOnly("", 0)) },
		"Listen":           func(t *testing.T, b *Breaker) { _, err := b.Listen(func(Transition) {}); force(t, err) },
		"its PID":          func(_ *testing.T, b *Breaker) { b.PID() },
		"a crash":          func(_ *testing.T, b *Breaker) { b.own.restarts.Add(1) },
		"a call meanwhile": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, Settings{ClosedFailLimit: 2, OpenTimeout: 30 * time.Second})
				if keep != nil {
					keep(t, b)
				}
				for range 2 {
					time.Sleep(4 * time.Minute) // within forget_after; an open entry is half-open by then
					synctest.Wait()
					_, healthy := b.idle()
					if keep == nil {
						_ = b.Do(t.Context(), "", succeed)
					}
					if healthy && b.sleep() {
						t.Error("it sleeps")
					}
				}
			})
		})
	}
}

func force(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAFailureIsForgottenBeforeTheSleep: a failure older than forget_after keeps no breaker awake.
func TestAFailureIsForgottenBeforeTheSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ForgetAfter: time.Minute})
		_ = b.Do(t.Context(), "", fail)
		time.Sleep(2 * time.Minute)
		asleep(t, b)
	})
}

func TestASleepingBreakerStops(t *testing.T) {
	b := newBreaker(t, Settings{})
	asleep(t, b)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Do(t.Context(), "", succeed); !errors.Is(err, ErrStopped) || !b.Snapshot().Stopped {
		t.Errorf("a call after the stop: %v", err)
	}
	if err := b.ForceOpen("", 0); !errors.Is(err, ErrStopped) {
		t.Errorf("an order after the stop: %v", err)
	}
}

// TestTheCollectorTakesASleepingBreaker: nothing but callers holds one that sleeps.
func TestTheCollectorTakesASleepingBreaker(t *testing.T) {
	system := newSystem(t)
	spawn := func() weak.Pointer[Breaker] {
		b, err := Spawn(system, "https://mail.internal", Settings{ClosedFailLimit: 1, OpenTimeout: time.Hour, OpenMax: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Do(t.Context(), "", fail) // starts its timer
		if err := b.Reset(""); err != nil {
			t.Fatal(err)
		}
		asleep(t, b)
		_ = b.Do(t.Context(), "/a", succeed) // a second actor, under the same address
		asleep(t, b)
		return weak.Make(b)
	}
	w := spawn()
	for range 50 { // on a busy machine a goroutine of the second actor may still be about to end
		runtime.GC()
		runtime.Gosched()
	}
	if w.Value() != nil {
		t.Error("a sleeping breaker that no caller holds is still there")
	}
}

// TestSleepAmongCalls puts a breaker to sleep again and again while it is called,
// ordered and at last stopped: no failure is lost, no message to its PID, and no
// call hangs.
func TestSleepAmongCalls(t *testing.T) {
	b := newBreaker(t, Settings{ClosedFailLimit: 1 << 30, ForgetAfter: time.Nanosecond})
	var stop atomic.Bool
	var sleeps, failed int
	var callers, sleeper sync.WaitGroup
	sleeper.Go(func() {
		for !stop.Load() {
			if _, healthy := b.idle(); healthy && b.sleep() {
				sleeps++
			}
			runtime.Gosched()
		}
	})
	for range 3 {
		callers.Go(func() {
			route := b.Route("/a")
			for i := range scaled(2_000, 10_000, 100_000) {
				if i%20 == 0 {
					time.Sleep(50 * time.Microsecond) // a time without calls, to fall asleep in
				}
				var err error
				switch i % 4 {
				case 0:
					err = b.Do(context.Background(), "", succeed)
				case 1:
					err = route.Do(context.Background(), succeed)
				case 2:
					var p Permit
					if p, err = b.Acquire(""); err == nil {
						p.Settle(Success)
					}
				case 3:
					err = b.MetricsOnly("", 0)
					if err == nil {
						err = b.Reset("")
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	for range 1000 { // nothing but failures: their number is exact
		if b.Do(context.Background(), "", fail) == errBoom {
			failed++
		}
	}
	if n := b.Snapshot().Entries[0].Failures; n != failed {
		t.Errorf("%d failures are counted of %d", n, failed)
	}
	pid := b.PID()
	for range 100 {
		if _, err := b.system.Root.RequestFuture(pid, &GetSnapshot{}, 10*time.Second).Result(); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	sleeper.Wait()
	if sleeps == 0 {
		t.Error("it never slept")
	}
	t.Logf("slept %d times", sleeps)
}

// TestPIDAndStopAgainstSleep: a PID that was given away is good, and a breaker that
// was stopped stays stopped, even if it was about to sleep.
func TestPIDAndStopAgainstSleep(t *testing.T) {
	system := newSystem(t)
	for i := range scaled(200, 2_000, 20_000) {
		b, err := Spawn(system, "https://mail.internal", Settings{})
		if err != nil {
			t.Fatal(err)
		}
		b.idle()
		var wg sync.WaitGroup
		wg.Go(func() { b.sleep() })
		if i%2 == 0 {
			var pid *actor.PID
			wg.Go(func() { pid = b.PID() })
			wg.Wait()
			if _, err := system.Root.RequestFuture(pid, &GetSnapshot{}, 10*time.Second).Result(); err != nil {
				t.Fatal(i, err)
			}
		}
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := b.Do(context.Background(), "", succeed); !errors.Is(err, ErrStopped) {
			t.Fatal(i, err)
		}
	}
}
