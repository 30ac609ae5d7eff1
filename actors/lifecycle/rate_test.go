package lifecycle

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var r rate
	logged, skipped := 0, uint64(0)
	for range 1000 {
		if ok, n := r.take(now); ok {
			logged, skipped = logged+1, skipped+n
		}
	}
	if logged != rateBurst || skipped != 0 {
		t.Errorf("a burst: %d logged, %d skipped", logged, skipped)
	}
	ok, n := r.take(now.Add(3 * rateRefill))
	if !ok || n != 1000-rateBurst {
		t.Errorf("after a while: %v, %d skipped", ok, n)
	}
	for i := range 2 {
		if ok, n := r.take(now.Add(3 * rateRefill)); !ok || n != 0 {
			t.Errorf("refilled %d: %v, %d skipped", i, ok, n)
		}
	}
	if ok, _ := r.take(now.Add(3 * rateRefill)); ok {
		t.Error("more than was refilled")
	}
}
