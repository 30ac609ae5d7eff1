package logger

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fill logs at level until the ring of the main output has no room for a
// whole chunk, while its writer holds the first record.
func fill(l *Logger, level slog.Level) (n int) {
	o := l.outputs[0]
	for {
		s := o.stats()
		o.ring.mu.Lock()
		left := 0
		if c := o.ring.cur; c != nil {
			left = cap(c.data) - len(c.data)
		}
		o.ring.mu.Unlock()
		if s.Held+chunkSize > s.Buffer && left < 1024 {
			return n
		}
		l.Slog().Log(context.Background(), level, "fill", "pad", strings.Repeat("x", 300))
		n++
	}
}

func TestPolicyBlockWaitsAndLosesNothing(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer}, out)
	start(t, l)
	l.Slog().Info("first")
	<-out.entered
	n := fill(l, slog.LevelInfo)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for range 10 {
			l.Slog().Info("waits", "pad", strings.Repeat("x", 300))
		}
	}()
	for l.Stats().Outputs[0].Waiting == 0 {
		runtime.Gosched()
	}
	select {
	case <-returned:
		t.Fatal("the caller did not wait")
	default:
	}
	close(out.open)
	<-returned
	flush(t, l)
	if got := strings.Count(out.String(), "\n"); got != n+11 {
		t.Errorf("%d lines, want %d", got, n+11)
	}
	if s := l.Stats().Outputs[0]; s.Dropped != 0 || s.Waits == 0 || s.Pending != 0 {
		t.Errorf("stats: %+v", s)
	}
	balanced(t, l)
}

func TestPolicyDropBelow(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer, Policy: PolicyDropBelow, DropBelow: "warn"}, out)
	start(t, l)
	l.Slog().Info("first")
	<-out.entered
	n := fill(l, slog.LevelInfo)
	const lost = 500
	for range lost {
		l.Slog().Info("lost", "pad", strings.Repeat("x", 1024)) // returns at once
	}
	balanced(t, l)
	warned := make(chan struct{})
	go func() { // is not dropped: its caller waits
		l.Slog().Warn("kept", "pad", strings.Repeat("x", 1024))
		close(warned)
	}()
	for l.Stats().Outputs[0].Waiting == 0 {
		runtime.Gosched()
	}
	close(out.open)
	<-warned
	flush(t, l)
	balanced(t, l)
	report(t, l, out, lost)
	if strings.Count(out.String(), `"kept"`) != 1 || strings.Count(out.String(), `"fill"`) != n {
		t.Error("records that were kept are missing")
	}
}

// report checks that the output itself says how many records it has not got.
func report(t *testing.T, l *Logger, out *gate, lost uint64) {
	t.Helper()
	if s := l.Stats().Outputs[0]; s.Dropped != lost {
		t.Errorf("dropped %d, want %d", s.Dropped, lost)
	}
	var reported float64
	for _, m := range out.lines(t) {
		if m["msg"] == "log records were dropped" {
			reported += m["dropped"].(float64)
		}
	}
	if reported != float64(lost) {
		t.Errorf("the output reports %v dropped records, there were %d", reported, lost)
	}
}

func TestPolicyDropOldest(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer, Policy: PolicyDropOldest}, out)
	start(t, l)
	l.Slog().Info("first")
	<-out.entered
	for i := range 5000 {
		l.Slog().Info("m", "i", i, "pad", strings.Repeat("x", 300))
	}
	balanced(t, l)
	lost := l.Stats().Outputs[0].Dropped
	if lost == 0 {
		t.Fatal("nothing was dropped")
	}
	close(out.open)
	flush(t, l)
	report(t, l, out, lost)
	lines := out.lines(t)
	if lines[0]["msg"] != "first" {
		t.Error("the record being written was dropped")
	}
	var last float64 = -1
	for _, m := range lines {
		if i, ok := m["i"].(float64); ok {
			if i <= last {
				t.Fatalf("record %v after %v", i, last)
			}
			last = i
		}
	}
	if last != 4999 {
		t.Errorf("the last record is %v: the newest were dropped", last)
	}
}

// TestErrorWaitIsBoundedUnderADropPolicy: who chose to lose records rather
// than to wait is not made to wait for ever by an error either.
func TestErrorWaitIsBoundedUnderADropPolicy(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Policy: PolicyDropOldest, ErrorWait: 20 * time.Millisecond}, out)
	start(t, l)
	began := time.Now()
	l.Slog().Error("stalled")
	if d := time.Since(began); d < 20*time.Millisecond {
		t.Errorf("the call returned after %v", d)
	}
	if n := l.Stats().Outputs[0].NotAwaited; n != 1 {
		t.Errorf("not_awaited is %d, want 1", n)
	}
	close(out.open)
}

// TestAnExtraOutputHoldsNoCaller: its ring overflows, the main output has all.
func TestAnExtraOutputHoldsNoCaller(t *testing.T) {
	main, extra := &sink{}, newGate()
	l := newLogger(t, Settings{Buffer: minBuffer}, main, WithExtraOutput("slow", extra))
	start(t, l)
	const n = 5000
	for i := range n {
		l.Slog().Info("m", "i", i, "pad", strings.Repeat("x", 300))
	}
	l.Slog().Error("last") // waits for the main output alone
	if got := len(main.lines(t)); got != n+1 {
		t.Errorf("the main output has %d records, want %d", got, n+1)
	}
	s := l.Stats()
	if s.Outputs[0].Dropped != 0 || s.Outputs[1].Dropped == 0 {
		t.Errorf("dropped: main %d, extra %d", s.Outputs[0].Dropped, s.Outputs[1].Dropped)
	}
	close(extra.open)
	flush(t, l)
	balanced(t, l)
}

func TestOutputsWithFormAndLevelOfTheirOwn(t *testing.T) {
	main, text, errs := &sink{}, &sink{}, &sink{}
	l := newLogger(t, Settings{}, main,
		WithExtraOutput("text", text, OutputFormat(FormatText), OutputPolicy(PolicyBlock), OutputBuffer(minBuffer)),
		WithExtraOutput("errors", errs, OutputLevel(slog.LevelError)))
	start(t, l)
	log := l.Slog().With("a", 1).WithGroup("g").With("b", 2)
	log.Info("one", "c", 3)
	log.Error("two")
	flush(t, l)
	if got := main.lines(t); len(got) != 2 || got[0]["g"].(map[string]any)["c"] != 3.0 {
		t.Errorf("main: %v", got)
	}
	if got := text.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "one a=1 g.b=2 g.c=3 service=mailer") {
		t.Errorf("text: %s", got)
	}
	if got := errs.lines(t); len(got) != 1 || got[0]["msg"] != "two" {
		t.Errorf("errors: %v", got)
	}
	if s := l.Stats().Outputs[1]; s.Policy != PolicyBlock || s.Buffer != minBuffer {
		t.Errorf("stats of the text output: %+v", s)
	}
}

// flaky fails while broken is set; what gets through before it fails is part of
// a line.
type flaky struct {
	sink
	mu     sync.Mutex
	broken error
	panics bool
	calls  int
}

func (f *flaky) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.panics {
		panic("writer's own")
	}
	if f.broken != nil {
		n, _ := f.sink.Write(b[:min(len(b), 7)])
		return n, f.broken
	}
	return f.sink.Write(b)
}

func (f *flaky) fail(err error, panics bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.panics = err, panics
}

// TestFailingOutputIsRetriedThenReportedOnce goes through an outage of a
// minute in a bubble of synthetic time.
func TestFailingOutputIsRetriedThenReportedOnce(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			out := &flaky{}
			var mu sync.Mutex
			var lines []string
			reports := func() []string {
				mu.Lock()
				defer mu.Unlock()
				return lines
			}
			l := newLogger(t, Settings{Buffer: minBuffer}, out, WithErrorReport(func(line string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, line)
			}))
			start(t, l)
			l.Slog().Info("before")
			flush(t, l)
			out.fail(syscall.ENOSPC, panics)
			l.Slog().Info("during")
			synctest.Wait()
			if len(reports()) != 0 || l.Stats().Outputs[0].Error == "" {
				t.Errorf("after one failure: reported %q, stats %+v", reports(), l.Stats().Outputs[0])
			}
			time.Sleep(time.Minute)
			if len(reports()) != 1 || !panics && !strings.Contains(reports()[0], "no space left") {
				t.Errorf("reported %q, want one line", reports())
			}
			out.mu.Lock()
			calls := out.calls
			out.mu.Unlock()
			if calls < 10 || calls > 25 {
				t.Errorf("%d writes in a minute: the back-off does not back off", calls)
			}
			// Callers are not held by a dead output, whatever they log.
			for i := range 3000 {
				l.Slog().Info("during", "i", i, "pad", strings.Repeat("x", 300))
			}
			l.Slog().Error("returns")
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := l.Flush(ctx); err == nil || !panics && !strings.Contains(err.Error(), "no space left") {
				t.Errorf("Flush into a failing output: %v", err)
			}
			balanced(t, l)

			out.fail(nil, false)
			time.Sleep(lastRetry)
			flush(t, l)
			balanced(t, l)
			s := l.Stats().Outputs[0]
			if s.Error != "" || s.Dropped == 0 || s.Errors == 0 {
				t.Errorf("after the outage: %+v", s)
			}
			var recovered bool
			var dropped float64
			for _, m := range out.lines(t) { // every line is whole, though writes were cut
				recovered = recovered || m["msg"] == "log output works again"
				if m["msg"] == "log records were dropped" {
					dropped += m["dropped"].(float64)
				}
			}
			if !recovered || dropped != float64(s.Dropped) {
				t.Errorf("the output reports %v of %d dropped records, recovered %v", dropped, s.Dropped, recovered)
			}
			if len(reports()) != 1 {
				t.Errorf("reported %q", reports())
			}
		})
	}
}

// TestClosedPipeDoesNotEndTheProcess: the reader of the logs goes, the service
// stays.
func TestClosedPipe(t *testing.T) {
	r, w := io.Pipe()
	l := newLogger(t, Settings{}, w)
	r.Close()
	l.Slog().Info("without a reader") // directly: returns with the failure noted
	if s := l.Stats().Outputs[0]; !strings.Contains(s.Error, io.ErrClosedPipe.Error()) || s.Pending != 1 {
		t.Errorf("stats: %+v", s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := l.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 records are not written") {
		t.Errorf("Stop says %v", err)
	}
}

func TestStopGivesUpOnAStalledOutput(t *testing.T) {
	for _, running := range []bool{true, false} {
		out := newGate()
		l := newLogger(t, Settings{}, out)
		if running {
			if _, err := l.Start(newSystem(t, l)); err != nil {
				t.Fatal(err)
			}
			l.Slog().Info("stuck")
		} else {
			go l.Slog().Info("stuck")
		}
		<-out.entered
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err := l.Stop(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("running=%v: Stop says %v", running, err)
		}
		close(out.open)
		flush(t, l)
		if strings.Count(out.String(), "stuck") != 1 {
			t.Errorf("running=%v: %q", running, out.String())
		}
	}
}
