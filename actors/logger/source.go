package logger

import (
	"maps"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// place is a place in the source, encoded once for each form.
type place struct {
	pkg         string // of the function: what a record without a logger name is named by
	text        string // file:line, the file with its folder
	json        []byte
	stackdriver []byte
}

// places remembers every place that has logged: as many as the program has
// calls, so it is bounded by the program's text. Reading takes no lock.
var places struct {
	mu sync.Mutex
	m  atomic.Pointer[map[uintptr]*place]
}

func sourceOf(pc uintptr) *place {
	if m := places.m.Load(); m != nil {
		if p := (*m)[pc]; p != nil {
			return p
		}
	}
	p := newPlace(pc)
	places.mu.Lock()
	defer places.mu.Unlock()
	next := map[uintptr]*place{}
	if m := places.m.Load(); m != nil {
		maps.Copy(next, *m)
	}
	next[pc] = p
	places.m.Store(&next)
	return p
}

func newPlace(pc uintptr) *place {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	dir, file := filepath.Split(frame.File)
	line := strconv.Itoa(frame.Line)
	p := &place{text: filepath.Join(filepath.Base(dir), file) + ":" + line}
	p.pkg = packageOf(frame.Function)

	b := append([]byte(nil), `,"source":{"function":`...)
	b = appendString(b, frame.Function)
	b = append(b, `,"file":`...)
	b = appendString(b, frame.File)
	b = append(b, `,"line":`+line+`}`...)
	p.json = b

	// The original's file and line, and LogEntrySourceLocation. Its line is an int64,
	// and therefore a string in JSON.
	b = append([]byte(nil), `,"file":`...)
	b = appendString(b, frame.File)
	b = append(b, `,"line":`+line+`,"logging.googleapis.com/sourceLocation":{"file":`...)
	b = appendString(b, frame.File)
	b = append(b, `,"line":"`+line+`","function":`...)
	b = appendString(b, frame.Function)
	b = append(b, '}')
	p.stackdriver = b
	return p
}

// packageOf is the import path in a function's full name.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}
