package breaker

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

func heapInUse() int64 {
	var m runtime.MemStats
	for last := int64(0); ; last = int64(m.HeapAlloc) {
		runtime.GC() // until what tests before this one have left is gone, behind its cleanups
		runtime.ReadMemStats(&m)
		if less := last - int64(m.HeapAlloc); last != 0 && less < 16<<10 {
			return int64(m.HeapAlloc)
		}
	}
}

// TestHealthyPathsCostNothing makes up to a million calls to as many URLs.
func TestHealthyPathsCostNothing(t *testing.T) {
	b := newBreaker(t, Settings{})
	call := func(i int) {
		if err := b.Do(t.Context(), fmt.Sprintf("/user/%d/inbox?page=%d", i, i), succeed); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		call(i)
	}
	before := heapInUse()
	for i := range scaled(200_000, 1_000_000, 1_000_000) {
		call(i)
	}
	if grown := heapInUse() - before; grown > 64<<10 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if n := len(b.Snapshot().Entries); n != 1 {
		t.Errorf("%d entries, want the service's alone", n)
	}
}

// TestManyOpenBreakers opens 100 000 breakers of as many services, each with an
// actor and a timer of its own. The actor library takes about 800 bytes of each.
func TestManyOpenBreakers(t *testing.T) {
	n := scaled(5_000, 100_000, 100_000)
	system := newSystem(t)
	bs := make([]*Breaker, n)
	before, goroutines := heapInUse(), runtime.NumGoroutine()
	for i := range bs {
		b, err := Spawn(system, fmt.Sprintf("https://service-%d.internal", i), Settings{OpenTimeout: time.Hour, OpenMax: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		bs[i] = b
		for range 10 {
			_ = b.Do(t.Context(), "", fail)
		}
		if b.State() != Open {
			t.Fatal(b.State())
		}
	}
	each := float64(heapInUse()-before) / float64(n)
	t.Logf("%.0f bytes each, %d goroutines more", each, runtime.NumGoroutine()-goroutines)
	if !raceEnabled && each > 1850 {
		t.Errorf("%.0f bytes each", each)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 10 {
		t.Errorf("%d goroutines for %d open breakers", more, n)
	}
	for _, b := range bs {
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyOpenPaths opens many paths of one service. 100 000 (CHASSIS_SCALE=full)
// take as much each.
func TestManyOpenPaths(t *testing.T) {
	n := scaled(2_000, 10_000, 100_000)
	b := newBreaker(t, Settings{ClosedFailLimit: 2, MaxEntries: 200_000, OpenTimeout: time.Hour, OpenMax: time.Hour})
	before := heapInUse()
	for i := range n {
		path := fmt.Sprintf("/tenant-%d/item-%d", i%400, i)
		for b.StateOf(path) != Open {
			_ = b.Do(t.Context(), path, fail)
			if err := b.Do(t.Context(), fmt.Sprintf("/tenant-%d", i%400), succeed); err != nil { // keeps the parents closed
				t.Fatal(err)
			}
		}
	}
	each := float64(heapInUse()-before) / float64(n)
	t.Logf("%.0f bytes each", each)
	if each > 1048 {
		t.Errorf("%.0f bytes for each open path", each)
	}
}
