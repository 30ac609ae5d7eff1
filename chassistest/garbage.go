package chassistest

import (
	"runtime/debug"
	"sync"
)

// gcPercent is the GC percentage of a process while storms are played in it. A play makes
// some megabytes of garbage and keeps almost nothing: with the default of 100 the collector
// takes a fifth of the processor for a heap of ten megabytes.
const gcPercent = 400

// collector is the garbage collector's setting, which all storms of a process share.
var collector struct {
	sync.Mutex
	storms int
	before int // the setting of the program
}

// spareCollector has the garbage collector run less often until the returned function is
// called. A program that has set more, or has switched the collector off, keeps that.
func spareCollector() (done func()) {
	collector.Lock()
	defer collector.Unlock()
	if collector.storms == 0 {
		if collector.before = debug.SetGCPercent(gcPercent); collector.before > gcPercent || collector.before < 0 {
			debug.SetGCPercent(collector.before)
		}
	}
	collector.storms++
	return func() {
		collector.Lock()
		defer collector.Unlock()
		if collector.storms--; collector.storms == 0 {
			debug.SetGCPercent(collector.before)
		}
	}
}
