package breaker

import (
	"testing"
	"time"
)

// TestQuantiles are never below the true one, and at most a fifth above it.
func TestQuantiles(t *testing.T) {
	var l latencyCounts
	for i := range 20_000 {
		if i < latencyFew && l.quantile(0.95) != 0 {
			t.Fatalf("a quantile of %d latencies", i)
		}
		l.add(time.Duration(i%100+1) * time.Millisecond)
	}
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		want := time.Duration(q*100) * time.Millisecond
		if got := l.quantile(q); got < want || got > want*6/5 {
			t.Errorf("%v: %v, want %v and up to a fifth more", q, got, want)
		}
	}
	for range 40_000 { // what was before is forgotten
		l.add(time.Second)
	}
	if got := l.quantile(0.5); got < time.Second || got > 6*time.Second/5 {
		t.Errorf("%v after many of 1 s", got)
	}
	for _, d := range []time.Duration{-1, 0, 1, 1<<63 - 1} {
		l.add(d)
	}
}
