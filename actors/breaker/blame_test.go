package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

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
