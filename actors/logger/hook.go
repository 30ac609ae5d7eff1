package logger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/sambatech/chassis/internal/clip"
)

// hookedLoggers counts the loggers of this process that were made with hooks.
var hookedLoggers atomic.Int64

// hookOf is the key of a ctx that was handed to a hook of a logger.
type hookOf struct{ l *Logger }

// WithoutHooks returns a ctx for a hook's own records: they go to the outputs
// of l and to none of its hooks. A hook that delivers later, on a goroutine of
// its own, logs its failures with this ctx: otherwise each would be a new record for
// it. The ctx that a hook is called with is one already.
func WithoutHooks(ctx context.Context, l *Logger) context.Context {
	return context.WithValue(ctx, hookOf{l}, true)
}

// callHooks passes the record on. What one hook does is no other's concern. A
// record from within a hook of this logger goes no further: it would go round
// until the stack overflows, which no recover stops.
func (h *handler) callHooks(ctx context.Context, r slog.Record) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if ctx.Value(hookOf{h.l}) != nil || h.l.hooking.Load() > 0 && insideHook() {
		return nil
	}
	ctx = WithoutHooks(ctx, h.l)
	h.l.hooking.Add(1)
	defer h.l.hooking.Add(-1)
	var errs []error
	for _, hook := range h.hooks {
		if err := callHook(ctx, hook, r); err != nil {
			h.l.hookErrors.Add(1)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// insideHook reports whether the calling goroutine runs a hook, while the
// logger has one running. With several loggers a hook on the stack may be
// another logger's, which feeds this one; it takes three of them then, and a
// circle ends all the same.
func insideHook() bool {
	most := 1
	if hookedLoggers.Load() > 1 {
		most = 3
	}
	var pcs [128]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			if f, more = frames.Next(); f.Function == hookFrame {
				if most--; most == 0 {
					return true
				}
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// hookFrame is the name of callHook on a stack.
const hookFrame = "github.com/sambatech/chassis/actors/logger.callHook"

func callHook(ctx context.Context, hook slog.Handler, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("logger: hook %T panicked: %s", hook, clip.Panic(p))
		}
	}()
	if !hook.Enabled(ctx, r.Level) {
		return nil
	}
	return hook.Handle(ctx, r.Clone())
}

// endHooks ends the hooks that deliver later, once.
func (l *Logger) endHooks(ctx context.Context) error {
	if l.hooksEnded.Swap(true) {
		return nil
	}
	var errs []error
	for _, hook := range l.root.hooks {
		if h, ok := hook.(interface{ Shutdown(context.Context) error }); ok {
			errs = append(errs, endHook(ctx, h.Shutdown))
		}
	}
	return errors.Join(errs...)
}

// endHook calls shutdown, on a goroutine that is the hook's own: one that ignores ctx
// holds up no stop.
func endHook(ctx context.Context, shutdown func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() {
		err := errors.New("logger: the Shutdown of a hook called runtime.Goexit")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("logger: the Shutdown of a hook panicked: %s", clip.Panic(p))
			}
			ended <- err
		}()
		err = shutdown(ctx)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		select {
		case err := <-ended: // it ended with ctx
			return err
		default:
			return fmt.Errorf("logger: the Shutdown of a hook did not end: %w", context.Cause(ctx))
		}
	}
}
