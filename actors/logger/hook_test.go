package logger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// handlerFunc is a hook.
type handlerFunc func(context.Context, slog.Record) error

func (f handlerFunc) Enabled(context.Context, slog.Level) bool { return true }

func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f handlerFunc) WithGroup(string) slog.Handler { return f }

func (f handlerFunc) Handle(ctx context.Context, r slog.Record) (err error) { return f(ctx, r) }

// A hook that logs by its own logger went round until the stack overflowed
// (the same as open-telemetry/opentelemetry-python#4261).
func TestAHookThatLogsIsCalledOnce(t *testing.T) {
	for name, complain := range map[string]func(context.Context, *slog.Logger){
		"with its ctx":  func(ctx context.Context, log *slog.Logger) { log.WarnContext(ctx, "not delivered") },
		"without a ctx": func(_ context.Context, log *slog.Logger) { log.Warn("not delivered") },
		"by a With": func(_ context.Context, log *slog.Logger) {
			log.With("a", 1).WithGroup("g").Warn("not delivered", "b", 2)
		},
		"far down": func(_ context.Context, log *slog.Logger) { deep(300, func() { log.Warn("not delivered") }) },
		"in a goroutine": func(ctx context.Context, log *slog.Logger) {
			var w sync.WaitGroup
			w.Go(func() { log.WarnContext(ctx, "not delivered") })
			w.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := &sink{}
			var log *slog.Logger
			calls := 0
			l := newLogger(t, Settings{}, out, WithHook(handlerFunc(func(ctx context.Context, _ slog.Record) error {
				if calls++; calls < 20 {
					complain(ctx, log)
				}
				return nil
			})))
			hookedLoggers.Store(1) // not those of other tests
			log = l.Slog()
			log.Info("paid")
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
			if got := out.lines(t); len(got) != 2 {
				t.Errorf("%d lines, want both", len(got))
			}
		})
	}
}

//go:noinline
func deep(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deep(n-1, f)
}

// A logger that is a hook of another has hooks of its own: it gets all
// records, whatever other goroutines do meanwhile.
func TestALoggerAsAHookKeepsItsOwnHooks(t *testing.T) {
	var got atomic.Int64
	inner := newLogger(t, Settings{}, &sink{}, WithHook(handlerFunc(func(context.Context, slog.Record) error {
		got.Add(1)
		return nil
	})))
	outer := newLogger(t, Settings{}, &sink{}, WithHook(inner.Handler()))
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for i := range 500 {
				outer.Slog().Info("m", "i", i)
				inner.Slog().Info("m", "i", i)
			}
		})
	}
	work.Wait()
	if n := got.Load(); n != 4000 {
		t.Errorf("the inner hook got %d records, want 4000", n)
	}
}

// Two loggers that are hooks of one another end.
func TestLoggersThatAreHooksOfOneAnother(t *testing.T) {
	var a, b *Logger
	out := &sink{}
	calls := 0
	a = newLogger(t, Settings{}, out, WithHook(handlerFunc(func(_ context.Context, r slog.Record) error {
		calls++
		b.Slog().Info("to b")
		return nil
	})))
	b = newLogger(t, Settings{}, out, WithHook(handlerFunc(func(_ context.Context, r slog.Record) error {
		calls++
		a.Slog().Info("to a")
		return nil
	})))
	a.Slog().Info("begin")
	if calls > 6 {
		t.Errorf("%d calls of hooks", calls)
	}
	if lines := out.lines(t); len(lines) != calls+1 {
		t.Errorf("%d lines of %d records", len(lines), calls+1)
	}
}

// A hook with a queue logs on a goroutine of its own what it could not deliver.
func TestAHookWithAQueueLogsWithoutHooks(t *testing.T) {
	out := &sink{}
	queue := make(chan string, 10)
	l := newLogger(t, Settings{}, out, WithHook(handlerFunc(func(_ context.Context, r slog.Record) error {
		queue <- r.Message
		return nil
	})))
	l.Slog().Info("paid")
	l.Slog().WarnContext(WithoutHooks(t.Context(), l), fmt.Sprintf("%q is not delivered", <-queue))
	if len(queue) != 0 {
		t.Errorf("the hook got %q", <-queue)
	}
	if !strings.Contains(out.String(), "is not delivered") {
		t.Errorf("not written: %s", out)
	}
}

// hook is a handler that keeps what it gets.
type hook struct {
	slog.Handler
	panics bool
}

func (h hook) Handle(ctx context.Context, r slog.Record) error {
	if h.panics {
		panic("hook's own")
	}
	return h.Handler.Handle(ctx, r)
}

func TestHooks(t *testing.T) {
	out, hooked := &sink{}, &sink{}
	l := newLogger(t, Settings{}, out,
		WithHook(hook{panics: true, Handler: slog.NewTextHandler(io.Discard, nil)}),
		WithHook(slog.NewJSONHandler(hooked, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log := l.Slog().With("a", 1).WithGroup("g").With("b", 2)
	log.Info("below the hook's level")
	log.Warn("m", "c", 3)
	if got := hooked.lines(t); len(got) != 1 || got[0]["a"] != 1.0 || !reflect.DeepEqual(got[0]["g"], map[string]any{"b": 2.0, "c": 3.0}) {
		t.Errorf("the hook got %v", got)
	}
	if got := out.lines(t); len(got) != 2 {
		t.Errorf("%d lines, want 2", len(got))
	}
	l.Slog().Warn("again") // a handler made by With is a plain one again
	if n := l.Stats().HookErrors; n != 1 {
		t.Errorf("hook_errors is %d, want 1", n)
	}
}

// lateHook delivers later.
type lateHook struct {
	slog.Handler
	got, ended []string
	panics     bool
}

func (h *lateHook) Enabled(context.Context, slog.Level) bool { return true }

func (h *lateHook) Handle(_ context.Context, r slog.Record) error {
	h.got = append(h.got, r.Message)
	return nil
}

func (h *lateHook) Shutdown(context.Context) error {
	h.ended = slices.Clone(h.got)
	if h.panics {
		panic("of its own")
	}
	return errors.New("not delivered")
}

// A hook that delivers later is ended once, after the last record.
func TestAHookIsEndedAfterTheLastRecord(t *testing.T) {
	late, bad := &lateHook{}, &lateHook{panics: true}
	l := newLogger(t, Settings{}, &sink{}, WithHook(bad), WithHook(late))
	l.Slog().Info("last")
	err := l.Stop(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not delivered") || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("error %v", err)
	}
	if len(late.ended) != 1 || late.ended[0] != "last" {
		t.Errorf("at the end it had %v", late.ended)
	}
	if err := l.Stop(t.Context()); err != nil {
		t.Errorf("the second stop: %v", err)
	}
}

// A hook that does not end, or stops the logger itself, holds up no stop.
func TestAHookThatDoesNotEndHoldsUpNoStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		var l *Logger
		stuck := &stuckHook{end: func() {
			if err := l.Stop(context.Background()); err != nil {
				t.Errorf("a stop within the end of a hook: %v", err)
			}
			<-release
		}}
		l = newLogger(t, Settings{}, &sink{}, WithHook(stuck))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Stop(ctx); err == nil || !strings.Contains(err.Error(), "did not end") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// stuckHook ends when end does.
type stuckHook struct {
	lateHook
	end func()
}

func (h *stuckHook) Shutdown(context.Context) error { h.end(); return nil }

func TestAHookCanRedactAsTheOutputsDo(t *testing.T) {
	type pin int
	l := newLogger(t, Settings{Redact: []string{"token"}}, &sink{}, WithRedactType(pin(0)))
	for _, c := range []struct{ in, want slog.Attr }{
		{slog.String("Token", "x"), slog.String("Token", "[REDACTED]")},
		{slog.Any("p", pin(7)), slog.String("p", "[REDACTED]")},
		{slog.Group("g", "token", "x", "n", 1), slog.Group("g", "token", "[REDACTED]", "n", 1)},
		{slog.String("name", "x"), slog.String("name", "x")},
	} {
		if got := l.Redacted(c.in); got.String() != c.want.String() {
			t.Errorf("%v became %v", c.in, got)
		}
	}
}
