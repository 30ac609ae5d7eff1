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

// Logging logs the end of every attempt: a failed one at WARN, with the stack
// of a panic; one that waits for an open breaker at INFO; one that is done or
// snoozed at DEBUG. The record's ctx is the job's, so the chassis' logger adds
// task, exec_id, attempt and job to it.
func Logging(log *slog.Logger) Middleware {
	return func(next RawHandler) RawHandler {
		return func(ctx context.Context, job Job[json.RawMessage]) error {
			err := next(ctx, job)
			level, message := ending(err)
			if log.Enabled(ctx, level) {
				logEnd(ctx, log, level, message, job.Info, err)
			}
			return err
		}
	}
}

// ending is how loud the end of an attempt is, and its words.
func ending(err error) (slog.Level, string) {
	if err == nil {
		return slog.LevelDebug, "task done"
	}
	var (
		snooze *SnoozeError
		open   OpenBreaker
	)
	switch {
	case errors.As(err, &snooze):
		return slog.LevelDebug, "task snoozed"
	case errors.As(err, &open) && open.BreakerOpen():
		return slog.LevelInfo, "task waits for an open breaker"
	}
	return slog.LevelWarn, "task attempt ended with an error"
}

func logEnd(ctx context.Context, log *slog.Logger, level slog.Level, message string, info *Info, err error) {
	if err == nil {
		log.LogAttrs(ctx, level, message)
		return
	}
	attrs := []slog.Attr{slog.Any("error", err), slog.Int("failures_before", info.Failures), slog.Int("max_failures", info.MaxFailures)}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	log.LogAttrs(ctx, level, message, attrs...)
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
