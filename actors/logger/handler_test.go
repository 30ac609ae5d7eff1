package logger

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"
)

// Handle writes what a record with the same attributes writes, for every handler: our
// own, one with a hook, with groups, and the library's.
func TestHandleWritesWhatARecordWrites(t *testing.T) {
	out := &sink{}
	hooked := 0
	hook := WithHook(handlerFunc(func(_ context.Context, r slog.Record) error {
		hooked += r.NumAttrs()
		return nil
	}))
	plain := newLogger(t, Settings{}, out).Named("server").Handler()
	for name, h := range map[string]slog.Handler{
		"ours":           plain,
		"with":           plain.WithAttrs([]slog.Attr{slog.String("route", "/a"), slog.Int("n", 1)}),
		"group":          plain.WithGroup("http"),
		"with a hook":    newLogger(t, Settings{}, out, hook).Named("server").Handler(),
		"of the library": slog.NewJSONHandler(out, nil),
	} {
		for _, attrs := range [][]slog.Attr{
			nil,
			{slog.Int("status", 200)},
			{slog.Int("n", 2), slog.String("b", "x"), slog.Bool("c", true), slog.Duration("d", 1), slog.Float64("e", 2), slog.Any("f", "y")},
			{slog.Group("empty")},
		} {
			at := time.Date(2026, 3, 1, 12, 0, 0, 1, time.UTC)
			r := slog.NewRecord(at, slog.LevelError, "request", 0)
			r.AddAttrs(attrs...)
			before := len(out.String())
			if err := h.Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			middle := len(out.String())
			if err := Handle(t.Context(), h, at, slog.LevelError, "request", attrs...); err != nil {
				t.Fatal(err)
			}
			want, got := out.String()[before:middle], out.String()[middle:]
			if got != want || want == "" {
				t.Errorf("%s: %q, by a record %q", name, got, want)
			}
		}
	}
	if hooked != 2*(1+6) {
		t.Errorf("the hook got %d attributes", hooked)
	}
}

// A line of a request costs no allocation.
func TestHandleDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the detector allocates")
	}
	h := newLogger(t, Settings{}, io.Discard).Named("server").Handler()
	at := time.Now()
	if n := testing.AllocsPerRun(200, func() {
		var room [8]slog.Attr
		_ = Handle(context.Background(), h, at, slog.LevelInfo, "request",
			append(room[:0], slog.Int("status", 200), slog.Duration("duration", 7), slog.String("remote", "::1"))...)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
