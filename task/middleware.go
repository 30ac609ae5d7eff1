package task

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
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
// snoozed at DEBUG. Of those that wait for a breaker one a second is logged at
// INFO, with the number since the last (not_logged), and the others at DEBUG:
// in an outage there are thousands. The record's ctx is the job's, so the
// chassis' logger adds task, exec_id, attempt and job to it.
func Logging(log *slog.Logger) Middleware {
	waits := &limiter{every: time.Second}
	return func(next RawHandler) RawHandler {
		return func(ctx context.Context, job Job[json.RawMessage]) error {
			err := next(ctx, job)
			level, message, often := ending(err)
			var extra []slog.Attr
			if often {
				muted, ok := waits.allow(time.Now())
				if extra = append(extra, slog.Int64("not_logged", muted)); !ok {
					level, extra = slog.LevelDebug, nil
				}
			}
			if log.Enabled(ctx, level) {
				logEnd(ctx, log, level, message, job.Info, err, extra...)
			}
			return err
		}
	}
}

// limiter lets one event through in so long. It is safe for several goroutines.
type limiter struct {
	every time.Duration
	last  atomic.Int64 // nanoseconds of the epoch; 0: none yet
	muted atomic.Int64
}

// allow reports whether the event goes through, and how many have not since the
// last that did.
func (o *limiter) allow(t time.Time) (muted int64, ok bool) {
	last := o.last.Load()
	if last != 0 && t.UnixNano()-last < int64(o.every) && t.UnixNano() >= last ||
		!o.last.CompareAndSwap(last, t.UnixNano()) {
		return o.muted.Add(1), false
	}
	return o.muted.Swap(0), true
}

// ending is how loud the end of an attempt is, and its words. often says that in an outage
// thousands of attempts end like it.
func ending(err error) (level slog.Level, message string, often bool) {
	if err == nil {
		return slog.LevelDebug, "task done", false
	}
	var (
		snooze *SnoozeError
		open   OpenBreaker
		sealed *UnopenedError
	)
	switch {
	case errors.As(err, &snooze):
		return slog.LevelDebug, "task snoozed", false
	case errors.As(err, &open) && open.BreakerOpen():
		return slog.LevelInfo, "task waits for an open breaker", true
	case errors.As(err, &sealed) && !sealed.Final:
		return slog.LevelWarn, "task waits: its arguments cannot be taken out of their envelope", true
	}
	return slog.LevelWarn, "task attempt ended with an error", false
}

func logEnd(ctx context.Context, log *slog.Logger, level slog.Level, message string, info *Info, err error,
	extra ...slog.Attr) {
	if err == nil {
		log.LogAttrs(ctx, level, message)
		return
	}
	attrs := []slog.Attr{slog.Any("error", err), slog.Int("failures_before", info.Failures),
		slog.Int("max_failures", info.MaxFailures)}
	var p *PanicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	log.LogAttrs(ctx, level, message, append(attrs, extra...)...)
}

// Timing calls observe after each attempt with its duration and its error.
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
