package breaker

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	type step struct {
		at    time.Duration
		calls int
		ask   int
		got   int // of ask
	}
	for name, c := range map[string]struct {
		budgetShare
		steps []step
	}{
		"nothing without calls or a floor": {budgetShare{0.2, 0}, []step{{0, 0, 1, 0}}},
		"nothing at all":                   {budgetShare{0, 0}, []step{{0, 1000, 1, 0}}},
		"a share of the calls":             {budgetShare{0.2, 0}, []step{{0, 10, 5, 2}, {time.Second, 10, 5, 2}}},
		"the floor of ten seconds":         {budgetShare{0.2, 10}, []step{{0, 1, 200, 100}, {9 * time.Second, 1, 1, 0}}},
		"the floor is no addition":         {budgetShare{0.2, 10}, []step{{0, 1000, 500, 200}}},
		"what is old is forgotten": {budgetShare{0.2, 0},
			[]step{{0, 100, 50, 20}, {9900 * time.Millisecond, 0, 1, 0}, {10 * time.Second, 5, 5, 1}}},
		"a long pause":                      {budgetShare{0.5, 0}, []step{{0, 100, 50, 50}, {24 * time.Hour, 4, 5, 2}, {25 * time.Hour, 4, 5, 2}}},
		"a now of before counts in the new": {budgetShare{0.5, 0}, []step{{time.Minute, 2, 1, 1}, {30 * time.Second, 2, 5, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBudget(&c.budgetShare)
			for i, s := range c.steps {
				for range s.calls {
					b.call(int64(s.at), 0)
				}
				got := 0
				for range s.ask {
					if b.take(int64(s.at)) {
						got++
					}
				}
				if got != s.got {
					t.Errorf("step %d: %d of %d, want %d", i, got, s.ask, s.got)
				}
			}
		})
	}
}

// TestHedgesAreEarned holds hedges to their share of the calls, whatever the floor is,
// and bounds what a time without slow answers saves up.
func TestHedgesAreEarned(t *testing.T) {
	b := newBudget(&budgetShare{0.2, 10})
	if b.hedge(0) {
		t.Error("a hedge before the first call")
	}
	got := 0
	for range 1000 {
		b.call(0, 0.05)
		if b.hedge(0) {
			got++
		}
	}
	if got < 49 || got > 50 {
		t.Errorf("%d hedges of 1000 calls, want 5 in a hundred", got)
	}
	for range 10_000 {
		b.call(0, 0.05)
	}
	for got = 0; b.hedge(0); got++ {
	}
	if got != mostHedges {
		t.Errorf("%d hedges were saved up, want %d", got, mostHedges)
	}
}

func TestBadRetryBudget(t *testing.T) {
	for _, v := range [][2]float64{{-0.1, 10}, {1.1, 10}, {nan(), 10}, {0.2, -1}, {0.2, nan()}, {0.2, 1e9}} {
		if _, err := Spawn(newSystem(t), "https://mail.internal", Settings{}, WithRetryBudget(v[0], v[1])); err == nil {
			t.Errorf("share %v and floor %v: no error", v[0], v[1])
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
