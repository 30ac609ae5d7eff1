package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnOrderOfAnOperatorBeginsAGeneration: what was under way before it counts
// for nothing afterwards, on the path of the order and below; above it does.
func TestAnOrderOfAnOperatorBeginsAGeneration(t *testing.T) {
	orders := map[string]func(b *Breaker, path string) error{
		"reset":        func(b *Breaker, path string) error { return b.Reset(path) },
		"metrics only": func(b *Breaker, path string) error { return b.MetricsOnly(path, 0) },
		"forced closed, reset": func(b *Breaker, path string) error {
			_ = b.ForceClosed(path, 0)
			return b.Reset(path)
		},
		"forced open for a second": func(b *Breaker, path string) error {
			err := b.ForceOpen(path, time.Second)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return err
		},
	}
	for name, order := range orders {
		for _, c := range []struct {
			entry  bool // the paths have entries before
			path   string
			counts int // failures of the service entry afterwards
		}{{false, "", 0}, {true, "", 0}, {false, "/a", 3}, {true, "/a", 3}, {true, "/a/b", 3}} {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, Settings{ClosedFailLimit: 5, ClosedSuccessLimit: 100, OpenTimeout: time.Hour, OpenMax: time.Hour})
				if c.entry {
					_ = b.Do(t.Context(), "/a/b", fail)
					_ = b.Reset("") // an order too
					_ = b.Do(t.Context(), "/a/b", fail)
				}
				var late []Permit
				for range 3 {
					p, err := b.Acquire("/a/b")
					if err != nil {
						t.Fatal(err)
					}
					late = append(late, p)
				}
				if err := order(b, c.path); err != nil {
					t.Fatal(err)
				}
				before := b.Snapshot().Entries[0].Failures
				for i := range late {
					late[i].Settle(Failure)
				}
				if n := b.Snapshot().Entries[0].Failures - before; n != c.counts {
					t.Errorf("%s of %q: the late failures count as %d, want %d", name, c.path, n, c.counts)
				}
				for _, e := range b.Snapshot().Entries[1:] {
					if e.Entry >= c.path && e.Failures > 1 || e.Own != Closed {
						t.Errorf("%s of %q: %+v", name, c.path, e)
					}
				}
			})
		}
	}
}

// TestAnOrderFreesTheSlotsOfProbes: a probe from before it neither counts nor
// fails at its deadline.
func TestAnOrderFreesTheSlotsOfProbes(t *testing.T) {
	for _, path := range []string{"", "/a"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, Settings{ClosedFailLimit: 1})
			_ = b.Do(t.Context(), "/a/b", fail)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			p, err := b.Acquire("/a/b")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.MetricsOnly(path, 0); err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Snapshot().Entries {
				if e.Entry >= path && e.Probes != 0 {
					t.Errorf("%+v", e)
				}
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			p.Settle(Failure)
			for _, e := range b.Snapshot().Entries {
				if e.Entry >= path && e.Own != HalfOpen {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

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

// TestBrokenLeafDoesNotHoldUpItsHost simulates a host that was down and is up
// again, but for one page that takes 30 % of the traffic, and measures how long
// the host's entry takes to close from the moment the host is up.
func TestBrokenLeafDoesNotHoldUpItsHost(t *testing.T) {
	simulate := func(t *testing.T, blame string, knownBad bool, seed uint64) time.Duration {
		var took time.Duration
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, Settings{Blame: blame})
			rng := rand.New(rand.NewPCG(seed, 1))
			hostUp := false
			call := func() {
				path := "/ok/page"
				broken := rng.Float64() < 0.3
				if broken {
					path = "/broken/page"
				}
				err := b.Do(t.Context(), path, func(context.Context) error {
					if !hostUp || broken {
						return errBoom
					}
					return nil
				})
				if err != nil && !errors.Is(err, errBoom) && !errors.Is(err, ErrOpen) {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if knownBad { // the page was bad before the host went down
				for range 10 {
					_ = b.Do(t.Context(), "/broken/page", fail)
					_ = b.Do(t.Context(), "/ok/page", succeed)
				}
			}
			for b.State() != Open {
				call()
			}
			hostUp = true
			start := time.Now()
			for b.State() != Closed && time.Since(start) < 2*time.Hour {
				call()
			}
			took = time.Since(start)
		})
		return took
	}
	rounds := scaled(10, 40, 40)
	open := DefaultSettings().OpenTimeout
	for _, knownBad := range []bool{false, true} {
		var worst, sum time.Duration
		for seed := range uint64(rounds) {
			took := simulate(t, "deepest", knownBad, seed)
			worst, sum = max(worst, took), sum+took
		}
		t.Logf("blame deepest, known bad %v: mean %v, worst %v", knownBad, sum/time.Duration(rounds), worst)
		// One open period is the host's own; one more is the leaf's to cost.
		if worst > 2*open+2*time.Second {
			t.Errorf("the host took up to %v to recover, want at most two open periods of %v", worst, open)
		}
	}
	var sum time.Duration
	for seed := range uint64(rounds) {
		sum += simulate(t, "all", false, seed)
	}
	mean := sum / time.Duration(rounds)
	t.Logf("blame all: mean %v", mean)
	if mean < 100*time.Second {
		t.Errorf("without blame it took %v on average: the simulation shows nothing", mean)
	}
}
