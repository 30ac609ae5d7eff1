package logger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// broken fails with err until it works.
type broken struct {
	sink
	err   error
	works atomic.Bool
}

func (b *broken) Write(p []byte) (int, error) {
	if b.works.Load() {
		return b.sink.Write(p)
	}
	return 0, b.err
}

var errFull = errors.New("the disk is full")

type pathError struct{ path string }

func (p *pathError) Error() string { return p.path }

// A panic while the output was written to (of an error's own method, of the
// user's report) left the lock taken: the next call waited for ever.
func TestAPanicInTheWriterKeepsNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &broken{err: (*pathError)(nil)}
		l := newLogger(t, Settings{}, out, WithErrorReport(func(string) { panic("the report's own") }))
		start(t, l)
		l.Slog().Info("first")
		time.Sleep(time.Minute) // it fails, is reported, and the report panics
		if s := l.Stats().Outputs[0]; s.Error != "<nil>" || s.Errors < reportAfter {
			t.Errorf("stats: %+v", s)
		}
		out.works.Store(true)
		time.Sleep(lastRetry)
		l.Slog().Error("second")
		if got := out.String(); strings.Count(got, `"first"`) != 1 || strings.Count(got, `"second"`) != 1 {
			t.Errorf("written: %s", got)
		}
	})
}

// With no actor running, callers that found the buffer of a failing output
// full waited for room that no actor made.
func TestAFullBufferWithoutAnActorHoldsNoCallerForEver(t *testing.T) {
	pad := strings.Repeat("x", 300)
	t.Run("an outage that ends loses nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			out := &broken{err: errFull}
			l := newLogger(t, Settings{Buffer: minBuffer}, out)
			time.AfterFunc(500*time.Millisecond, func() { out.works.Store(true) })
			const n = 2000
			for range n {
				l.Slog().Info("m", "pad", pad)
			}
			flush(t, l)
			if got := len(out.lines(t)); got != n {
				t.Errorf("%d records of %d", got, n)
			}
			if s := l.Stats().Outputs[0]; s.Waits == 0 || s.Waiting != 0 || s.Dropped != 0 {
				t.Errorf("stats: %+v", s)
			}
		})
	})
	t.Run("one that does not end drops the oldest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLogger(t, Settings{Buffer: minBuffer}, &broken{err: errFull})
			for range 2000 {
				l.Slog().Info("m", "pad", pad)
			}
			if s := l.Stats().Outputs[0]; s.Dropped == 0 || s.Errors < reportAfter {
				t.Errorf("stats: %+v", s)
			}
			balanced(t, l)
		})
	})
	t.Run("who waits when the actor ends goes on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			out := &broken{err: errFull}
			l := newLogger(t, Settings{Buffer: minBuffer}, out)
			pid, err := l.Start(newSystem(t, l))
			if err != nil {
				t.Fatal(err)
			}
			const n = 2000
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for range n {
					l.Slog().Info("m", "pad", pad)
				}
			}()
			synctest.Wait()
			if s := l.Stats().Outputs[0]; s.Waiting != 1 {
				t.Fatalf("stats: %+v", s)
			}
			l.to.Poison(pid)
			synctest.Wait()
			out.works.Store(true)
			<-ended
			stop(t, l)
			if got := len(out.lines(t)); got != n+1 { // and that it began again
				t.Errorf("%d records of %d", got, n)
			}
			time.Sleep(time.Second) // Proto.Actor's count of dead letters ends by time alone
		})
	})
}

// A panic was held up for ever by an output that stalls: a call at ERROR or
// above waits for it for as long as it takes.
func TestAPanicIsNotHeldUpByAStalledOutput(t *testing.T) {
	for _, running := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			out := newGate()
			var report string
			l := newLogger(t, Settings{}, out, WithErrorReport(func(line string) { report = line }))
			if running {
				start(t, l)
			}
			began := time.Now()
			func() {
				defer func() {
					if r := recover(); r != "the service's own" {
						t.Errorf("running=%v: the panic became %v", running, r)
					}
				}()
				defer l.Guard()
				panic("the service's own")
			}()
			if d := time.Since(began); d != guardWait {
				t.Errorf("running=%v: held up for %v, want %v", running, d, guardWait)
			}
			if !strings.Contains(report, "at a panic: ") {
				t.Errorf("running=%v: reported %q", running, report)
			}
			close(out.open)
		})
	}
}

// Stop gave up what was accepted in an outage, though the output worked again
// by then: the actor would have tried only after its back-off.
func TestStopWritesWhatAnOutageHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &broken{err: errFull}
		l := newLogger(t, Settings{}, out)
		if _, err := l.Start(newSystem(t, l)); err != nil {
			t.Fatal(err)
		}
		l.Slog().Info("kept")
		time.Sleep(time.Minute + time.Millisecond) // an outage, and just after an attempt
		out.works.Store(true)
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), `"kept"`) {
			t.Errorf("written: %q", out.String())
		}
	})
}

// Stop says why, when the output does not work again.
func TestStopReportsWhatAnOutageHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogger(t, Settings{}, &broken{err: errFull})
		if _, err := l.Start(newSystem(t, l)); err != nil {
			t.Fatal(err)
		}
		l.Slog().Info("lost")
		time.Sleep(time.Minute)
		if err := l.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "1 records are not written: the disk is full") {
			t.Errorf("Stop says %v", err)
		}
	})
}

// Without an actor a call at ERROR that returned before a failing output had
// its record was not counted.
func TestAnErrorThatIsNotWrittenDirectlyIsCounted(t *testing.T) {
	out := &broken{err: errFull}
	l := newLogger(t, Settings{}, out)
	l.Slog().Error("not yet")
	if n := l.Stats().Outputs[0].NotAwaited; n != 1 {
		t.Errorf("not_awaited is %d, want 1", n)
	}
	out.works.Store(true)
	flush(t, l)
	l.Slog().Error("at once")
	if n := l.Stats().Outputs[0].NotAwaited; n != 1 {
		t.Errorf("not_awaited is %d, want 1", n)
	}
}

func TestNoReportOfAnOutageIsTheDefault(t *testing.T) {
	l, err := New("s", Settings{}, WithOutput(&sink{}), WithErrorReport(nil))
	if err != nil {
		t.Fatal(err)
	}
	if l.outputs[0].stderr == nil {
		t.Error("an outage would panic")
	}
}

// A file with a descriptor that cannot be closed was reported as kept, though
// the new one was in use, and got the second half of a record.
func TestReopenWritesWhatTheOldFileDidNotTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := newLogger(t, Settings{Files: []string{path}}, &sink{})
	if err := l.outputs[1].w.(*fileWriter).f.Close(); err != nil {
		t.Fatal(err)
	}
	l.Slog().Info("first")
	if s := l.Stats().Outputs[1]; s.Pending != 1 {
		t.Fatalf("stats: %+v", s)
	}
	if err := l.Reopen(); err != nil {
		t.Errorf("Reopen says %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), `"first"`) != 1 {
		t.Errorf("the file holds %q (%v)", b, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
