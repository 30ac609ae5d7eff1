package dispatcher

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
)

// minDump and maxDump bound the dump of all stacks in which an abandoned one is
// looked for, in bytes.
const minDump, maxDump = 256 << 10, 8 << 20

// stackOf returns the stack of the goroutine that runs a, or a note that it was
// not found. It stops the world for the time of the dump: for abandonments only.
func stackOf(a *attempt) string {
	var buf []byte
	for size := minDump; size <= maxDump && len(buf) == cap(buf); size *= 4 {
		buf = make([]byte, size)
		buf = buf[:runtime.Stack(buf, true)]
	}
	at := -1
	for _, frame := range []string{"run", "receive", "hatch"} { // of a function, a task actor, one that is being made
		at = max(at, bytes.Index(buf, fmt.Appendf(nil, "dispatcher.(*attempt).%s(%p", frame, a)))
	}
	if at < 0 {
		return "not found among the stacks of the process"
	}
	begin, end := bytes.LastIndex(buf[:at], []byte("\n\n")), bytes.Index(buf[at:], []byte("\n\n"))
	if end < 0 {
		end = len(buf) - at
	}
	return string(buf[begin+1 : at+end])
}

// InAttempt reports whether it is called on the goroutine of an attempt: by a
// handler, or by a task actor in its Receive of the Execute.
func InAttempt() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(2, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		frame, more := frames.Next()
		switch strings.TrimPrefix(frame.Function, "github.com/sambatech/chassis/actors/") {
		case "dispatcher.(*attempt).run", "dispatcher.(*attempt).receive", "dispatcher.(*attempt).hatch":
			return true
		}
		if !more {
			return false
		}
	}
}
