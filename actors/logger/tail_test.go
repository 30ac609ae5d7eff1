package logger

import (
	"context"
	"testing"
)

// A subscription with a ctx that had ended before was closed first and kept among
// the others after, and the next record was sent to its closed channel: the
// writer panicked with the output's lock held.
func TestSubscribeWithAnEndedContextIsNotKept(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20_000 { // each a race of two goroutines
		if _, open := <-l.Subscribe(ctx, 1).Lines(); open {
			t.Fatal("a record came after the end")
		}
	}
	l.Slog().Info("without a listener")
	if len(out.lines(t)) != 1 {
		t.Errorf("written: %s", out)
	}
}
