package logger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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

func TestTailAndSubscribe(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Tail: 4096}, out)
	start(t, l)
	if got := l.Tail(5); got != nil {
		t.Errorf("before any record: %q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	fast, slow := l.Subscribe(ctx, 1000), l.Subscribe(ctx, 2)
	for i := range 100 {
		l.Slog().Info("m", "i", i)
	}
	flush(t, l)
	got := l.Tail(3)
	if len(got) != 3 || !strings.Contains(got[0], `"i":97}`) || !strings.Contains(got[2], `"i":99}`) {
		t.Errorf("the last three are %q", got)
	}
	if all := l.Tail(1000); len(all) < 10 || len(all) >= 100 || !json.Valid([]byte(all[0])) {
		t.Errorf("%d records in 4096 bytes, the first %q", len(all), all[0])
	}
	cancel()
	n := 0
	for line := range fast.Lines() {
		if !strings.HasSuffix(line, fmt.Sprintf(`"i":%d}`, n)) {
			t.Fatalf("line %d is %q", n, line)
		}
		n++
	}
	if n != 100 || fast.Dropped() != 0 {
		t.Errorf("the fast one got %d and missed %d", n, fast.Dropped())
	}
	n = 0
	for range slow.Lines() {
		n++
	}
	if n != 2 || slow.Dropped() != 98 {
		t.Errorf("the slow one got %d and missed %d", n, slow.Dropped())
	}
	fast.Close() // after the ctx has ended it: again
	l.Slog().Info("without a listener")
}
