package chassistest

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestAStormGivesTheCollectorBack: the setting of the program is in force after the last of
// several storms, and what is more sparing than a storm's stays.
func TestAStormGivesTheCollectorBack(t *testing.T) {
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	begin := debug.SetGCPercent(70)
	defer debug.SetGCPercent(begin)
	first, second := spareCollector(), spareCollector()
	if p := percent(); p != gcPercent {
		t.Errorf("%d in a storm", p)
	}
	first()
	if p := percent(); p != gcPercent {
		t.Errorf("%d in the second storm", p)
	}
	if second(); percent() != 70 {
		t.Errorf("%d after the storms", percent())
	}
	debug.SetGCPercent(-1)
	if done := spareCollector(); percent() != -1 {
		t.Errorf("%d in a storm of a program that has switched it off", percent())
	} else {
		done()
	}
}

// TestAPlayLeavesNothing: what a play has made is collected after it.
func TestAPlayLeavesNothing(t *testing.T) {
	s := newStorm(t, parcels(30), nil)
	play := func() {
		for seed := uint64(1); seed <= 5; seed++ {
			s.run(draw(seed, s.fleet, s.faults, s.kinds))
		}
	}
	inUse := func() int64 {
		for range 3 {
			runtime.GC()
			time.Sleep(time.Millisecond) // cleanups run, and let go of more
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	play() // whatever is made once
	before := inUse()
	play()
	if grown := inUse() - before; grown > 256<<10 {
		t.Errorf("%d KB are left of 5 plays", grown>>10)
	}
}
