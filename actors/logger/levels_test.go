package logger

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
)

// names returns the number of names that the levels know.
func (l *levels) names() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.nodes)
}

// TestNamesOfStrangers: a program names loggers after what strangers send. A name
// goes with its logger, a level that was set stays, and a logger that is kept
// follows the levels.
func TestNamesOfStrangers(t *testing.T) {
	l := newLogger(t, Settings{Level: "warn"}, &sink{})
	kept := l.Named("kept/of tenant 1")
	l.SetLevel("tenant/7", slog.LevelError)
	for i := range 100_000 {
		if l.Named(fmt.Sprintf("tenant/%d", i)).Enabled(context.Background(), slog.LevelWarn) == (i == 7) {
			t.Fatalf("tenant %d has another level", i)
		}
	}
	for range 200 {
		if runtime.GC(); l.levels.names() <= 2 {
			break
		}
		runtime.Gosched()
	}
	if n := l.levels.names(); n > 2 { // the root and the kept one
		t.Errorf("%d names are known", n)
	}
	l.SetLevel("kept", slog.LevelDebug)
	if !kept.Enabled(context.Background(), slog.LevelDebug) || l.Named("kept/of tenant 2").Enabled(context.Background(), slog.LevelDebug-1) {
		t.Error("a logger that is kept does not follow the levels")
	}
	if levels := l.Levels(); len(levels) != 3 || levels["tenant/7"] != slog.LevelError {
		t.Errorf("levels %v", levels)
	}
	runtime.KeepAlive(kept)
}
