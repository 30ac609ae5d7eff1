package breaker

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNoMoreThanTheLimit lets many goroutines enter and leave at once: there are never
// more inside than the limit, and none waits while there is room.
func TestNoMoreThanTheLimit(t *testing.T) {
	const most, goroutines = 3, 16
	l := newLimiter(Adaptive{Min: most, Max: most, Initial: most, Queue: goroutines, Wait: time.Minute}, time.Now())
	var inside atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range scaled(300, 3000, 30_000) {
				if _, _, err := l.enter(t.Context(), true); err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > most {
					t.Errorf("%d calls at once", n)
				}
				inside.Add(-1)
				l.leave()
			}
		})
	}
	all.Wait()
	if n, w := inFlight(l.entered.Load()), l.waiting.Load(); n != 0 || w != 0 {
		t.Errorf("%d in flight and %d waiting at the end", n, w)
	}
}

func TestCallsAreSampled(t *testing.T) {
	l := newLimiter(Adaptive{Min: 1, Max: 100, Initial: 10, Tolerance: 1.3}, time.Now().Add(-time.Second))
	for range 40_000 { // within a few ms: far more than are needed
		_, measured, _ := l.enter(t.Context(), false)
		if measured {
			l.observe(0, time.Microsecond, false)
			l.mu.Lock()
			l.counted = l.counted.Add(-50 * time.Microsecond)
			l.mu.Unlock()
		}
		l.leave()
	}
	if skip := l.skip.Load(); skip == 0 || skip&(skip+1) != 0 {
		t.Errorf("skip is %b: want some bits, all of them low", skip)
	}
	for range 1000 { // a call in each ms
		l.mu.Lock()
		l.counted = l.counted.Add(-time.Second)
		l.mu.Unlock()
		l.observe(0, time.Microsecond, false)
	}
	if skip := l.skip.Load(); skip != 0 {
		t.Errorf("skip is %b where calls are few", skip)
	}
}

func TestClassesOfPaths(t *testing.T) {
	if classOf("/v1/send/7") != classOf("/v1//send?x=1") || classOf("") != classOf("/") {
		t.Error("one route has two classes")
	}
	seen := map[int]bool{}
	for _, p := range []string{"/v1/a", "/v1/b", "/v2/a", "/a/v1", "/", "/v1"} {
		c := classOf(p)
		if seen[c] = true; c < 0 || c >= limitClasses {
			t.Errorf("%s has class %d", p, c)
		}
	}
	if len(seen) < 4 {
		t.Errorf("six routes share %d classes", len(seen))
	}
}
