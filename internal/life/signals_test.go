//go:build unix

package life

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"
)

// stalled is a handler with an output that takes nothing until it is closed.
type stalled chan struct{}

func (s stalled) Enabled(context.Context, slog.Level) bool { return true }

func (s stalled) Handle(context.Context, slog.Record) error { <-s; return nil }

func (s stalled) WithAttrs([]slog.Attr) slog.Handler { return s }

func (s stalled) WithGroup(string) slog.Handler { return s }

// TestASignalWaitedForTheLog: the service ends although the record of the signal
// cannot be written.
func TestASignalWaitedForTheLog(t *testing.T) {
	log, ended := make(stalled), make(chan struct{})
	serving, _, done := Signals(t.Context(), ended, slog.New(log))
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-serving.Done():
	case <-time.After(20 * time.Second):
		t.Error("the signal has no effect while the log stalls")
	}
	close(log)
	close(ended)
	done()
}
