package life

import "runtime"

// ByGoexit reports whether the deferred function that calls it runs because its
// goroutine ends by runtime.Goexit. It does not use recover, which would
// take the stack from a panic.
func ByGoexit() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function == "runtime.Goexit" {
			return true
		}
		if !more {
			return false
		}
	}
}
