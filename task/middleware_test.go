package task_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/task"
)

// refusal is the error of an open breaker.
type refusal struct{}

func (refusal) Error() string             { return "the breaker is open" }
func (refusal) BreakerOpen() bool         { return true }
func (refusal) RetryAfter() time.Duration { return time.Minute }

// In an outage half of all log lines were those of tasks that wait for it.
func TestTasksThatWaitForABreakerAreLoggedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var info, debug bytes.Buffer
		run := func(out *bytes.Buffer, level slog.Level) {
			log := task.Logging(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})))
			waits := log(func(context.Context, task.Job[json.RawMessage]) error { return refusal{} })
			for range 1000 { // of 10 ms each
				_ = waits(t.Context(), task.Job[json.RawMessage]{Info: &task.Info{}})
				time.Sleep(10 * time.Millisecond)
			}
		}
		run(&info, slog.LevelInfo)
		run(&debug, slog.LevelDebug)
		if n := strings.Count(info.String(), "task waits for an open breaker"); n != 10 {
			t.Errorf("%d lines in ten seconds, want 10", n)
		}
		if n := strings.Count(info.String(), "not_logged=99"); n != 9 {
			t.Errorf("%d lines count the 99 that were not logged, want 9: %s", n, info.String())
		}
		if n := strings.Count(debug.String(), "task waits for an open breaker"); n != 1000 {
			t.Errorf("%d lines at DEBUG, want all 1000", n)
		}
	})
}
