package task

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"
)

// Recovery turns a panic of the handler into a [*PanicError], one failure. The
// dispatcher puts it around everything.
func Recovery(next RawHandler) RawHandler {
	return func(ctx context.Context, job Job[json.RawMessage]) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		return next(ctx, job)
	}
}

// Logging logs the end of every attempt at DEBUG, a failed one's at WARN, the
// stack of a panic with it. The record's ctx is the job's.
func Logging(log *slog.Logger) Middleware {
	return func(next RawHandler) RawHandler {
		return func(ctx context.Context, job Job[json.RawMessage]) error {
			err := next(ctx, job)
			level := slog.LevelDebug
			if err != nil {
				level = slog.LevelWarn
			}
			if log.Enabled(ctx, level) {
				logEnd(ctx, log, level, job.Info, err)
			}
			return err
		}
	}
}

func logEnd(ctx context.Context, log *slog.Logger, level slog.Level, info *Info, err error) {
	attrs := []slog.Attr{
		slog.String("task", info.Task), slog.String("exec_id", info.ExecID), slog.Int("attempt", info.Attempt),
	}
	if err == nil {
		log.LogAttrs(ctx, level, "task done", attrs...)
		return
	}
	attrs = append(attrs, slog.Any("error", err), slog.Int("failures_before", info.Failures), slog.Int("max_failures", info.MaxFailures))
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	log.LogAttrs(ctx, level, "task attempt ended with an error", attrs...)
}

// Timing tells observe how long each attempt took and how it ended.
func Timing(observe func(info *Info, took time.Duration, err error)) Middleware {
	return func(next RawHandler) RawHandler {
		return func(ctx context.Context, job Job[json.RawMessage]) error {
			start := time.Now()
			err := next(ctx, job)
			observe(job.Info, time.Since(start), err)
			return err
		}
	}
}
