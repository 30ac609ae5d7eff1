package logger

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// broken fails with err until it is mended.
type broken struct {
	sink
	err    error
	mended atomic.Bool
}

func (b *broken) Write(p []byte) (int, error) {
	if b.mended.Load() {
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
		out.mended.Store(true)
		time.Sleep(lastRetry)
		l.Slog().Error("second")
		if got := out.String(); strings.Count(got, `"first"`) != 1 || strings.Count(got, `"second"`) != 1 {
			t.Errorf("written: %s", got)
		}
	})
}
