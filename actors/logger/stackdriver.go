package logger

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

// stackdriverHead writes severity, timestamp, message, module, and where the
// call stands.
func (f *form) stackdriverHead(e *enc, r *slog.Record, name string) {
	e.b = append(e.b, `{"severity":"`...)
	e.b = append(e.b, severity(r.Level)...)
	e.b = append(e.b, '"')
	if !r.Time.IsZero() {
		e.b = append(e.b, `,"timestamp":{"seconds":`...)
		e.b = strconv.AppendInt(e.b, r.Time.Unix(), 10)
		e.b = append(e.b, `,"nanos":`...)
		e.b = strconv.AppendInt(e.b, int64(r.Time.Nanosecond()), 10)
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, `,"message":`...)
	e.str(r.Message)
	var at *place
	if r.PC != 0 && (f.source || name == "") {
		at = sourceOf(r.PC)
	}
	if name == "" && at != nil {
		name = at.pkg
	}
	if name != "" {
		e.rawField("module", name)
	}
	if f.source && at != nil {
		e.b = append(e.b, at.stackdriver...)
	}
}

// stackdriverTail writes what has a place of its own in a LogEntry, and what
// Error Reporting looks for in an error.
func (f *form) stackdriverTail(e *enc, r *slog.Record) {
	s := e.special
	if s == nil {
		s = &special{}
	}
	if len(s.labels) > 0 {
		e.b = append(e.b, `,"logging.googleapis.com/labels":`...)
		e.b = s.labels.appendJSON(e.b, f)
	}
	if s.request != nil {
		e.b = append(e.b, `,"httpRequest":`...)
		e.b = s.request.appendJSON(e.b, f)
	}
	if s.op != nil {
		e.b = append(e.b, `,"logging.googleapis.com/operation":`...)
		e.b = s.op.appendJSON(e.b)
	}
	switch {
	case s.insertID != "":
		e.rawField("logging.googleapis.com/insertId", s.insertID)
	case f.insertID != nil:
		e.b = append(e.b, `,"logging.googleapis.com/insertId":"`...)
		e.b = f.insertID.append(e.b)
		e.b = append(e.b, '"')
	}
	if r.Level >= slog.LevelError {
		e.failure(s, r)
	} else if s.stack != "" {
		e.rawField("stack", s.stack) // not where Error Reporting looks
	}
}

// failure writes serviceContext, exception and stack_trace.
func (e *enc) failure(s *special, r *slog.Record) {
	e.b = append(e.b, `,"serviceContext":{"service":`...)
	e.b = appendString(e.b, e.form.service)
	e.b = append(e.b, '}')
	if err := s.err; err != nil {
		e.b = append(e.b, `,"exception":[`...)
		for i, line := range exceptionLines(err) {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.str(line)
		}
		e.b = append(e.b, ']')
	}
	stack := s.stack
	if stack == "" && r.PC != 0 {
		stack = stackFrom(r.PC)
	}
	if stack == "" {
		return
	}
	what := r.Message
	if err := s.err; err != nil {
		what += ": " + errorText(err)
	}
	e.b = append(e.b, `,"stack_trace":`...)
	e.str(what + "\n\n" + stack)
}

// exceptionLines returns an error and what it wraps, a line each, outermost
// first.
func exceptionLines(err error) []string {
	var lines []string
	var walk func(err error, depth int)
	walk = func(err error, depth int) {
		if err == nil || depth > 32 || len(lines) > 64 {
			return
		}
		lines = append(lines, strings.Split(fmt.Sprintf("%T: %s", err, errorText(err)), "\n")...)
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			walk(unwrap(u.Unwrap), depth+1)
		case interface{ Unwrap() []error }:
			for _, err := range unwrap(u.Unwrap) {
				walk(err, depth+1)
			}
		}
	}
	walk(err, 0)
	return lines
}

// unwrap calls an error's own method, whatever that does.
func unwrap[T any](f func() T) (v T) {
	defer func() { _ = recover() }()
	return f()
}

// stackFrom gives the calling goroutine's stack from the logging call on, in
// the form that the Go runtime prints and Error Reporting reads.
func stackFrom(pc uintptr) string {
	var pcs [64]uintptr
	n := runtime.Callers(2, pcs[:])
	own := pcs[:n]
	for i, p := range own {
		if p == pc {
			own = own[i:]
			break
		}
	}
	if len(own) == n { // another goroutine's record: only its place is known
		own = []uintptr{pc}
	}
	var b strings.Builder
	b.WriteString("goroutine 1 [running]:\n")
	frames := runtime.CallersFrames(own)
	for {
		f, more := frames.Next()
		if f.Function != "" {
			fmt.Fprintf(&b, "%s(...)\n\t%s:%d +0x%x\n", f.Function, f.File, f.Line, f.PC-f.Entry)
		}
		if !more {
			return b.String()
		}
	}
}

// take keeps back an attribute that has a place of its own at the top level.
// A pointer is copied: what it points to may change after the call.
func (e *enc) take(a *slog.Attr) bool {
	switch v := a.Value.Any().(type) {
	case Labels:
		s := e.keep()
		s.labels = s.labels.with(v)
	case *Labels:
		if v != nil {
			s := e.keep()
			s.labels = s.labels.with(*v)
		}
	case HTTPRequest:
		e.keep().request = &v
	case *HTTPRequest:
		if v != nil {
			own := *v
			e.keep().request = &own
		}
	case Operation:
		e.keep().op = &v
	case *Operation:
		if v != nil {
			own := *v
			e.keep().op = &own
		}
	case insertID:
		e.keep().insertID = string(v)
	case Stack:
		e.keep().stack = string(v)
	case *Stack:
		if v != nil {
			e.keep().stack = string(*v)
		}
	default:
		return false
	}
	return true
}

// idSource makes insertIds: unique among processes by their random first
// half, ordered within one.
type idSource struct {
	prefix string
	n      atomic.Uint64
}

func newIDSource() *idSource {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, and ends the program if it does
	return &idSource{prefix: hex.EncodeToString(b[:])}
}

func (s *idSource) append(b []byte) []byte {
	n := s.n.Add(1)
	b = append(b, s.prefix...)
	for shift := 44; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[n>>shift&15])
	}
	return b
}
