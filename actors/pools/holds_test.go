package pools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// refusal is an open breaker's.
type refusal struct{ error }

func (refusal) BreakerOpen() bool         { return true }
func (refusal) RetryAfter() time.Duration { return time.Second }

func TestOnlyFailuresThatSpendAreJudged(t *testing.T) {
	failure := errors.New("connection refused")
	for name, c := range map[string]struct {
		err    error
		judged bool
	}{
		"done":      {nil, false},
		"failure":   {failure, true},
		"wrapped":   {fmt.Errorf("order 7: %w", failure), true},
		"retry":     {task.RetryAfter(failure, time.Second), true},
		"cancel":    {task.Cancel(failure), false},
		"snooze":    {task.Snooze(time.Second), false},
		"args":      {&task.ArgsError{}, false},
		"a breaker": {refusal{failure}, false},
	} {
		asked := false
		run := judged(func(_ context.Context, err error) error { asked = true; return refusal{err} })(
			func(context.Context, task.Job[json.RawMessage]) error { return c.err })
		err := run(t.Context(), task.Job[json.RawMessage]{})
		if asked != c.judged || errors.As(err, new(refusal)) != (c.judged || name == "a breaker") {
			t.Errorf("%s: judged %v, error %v", name, asked, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	run := judged(func(context.Context, error) error { panic("asked") })(
		func(context.Context, task.Job[json.RawMessage]) error { return failure })
	if err := run(over, task.Job[json.RawMessage]{}); err != failure {
		t.Errorf("of an attempt that was ended: %v", err)
	}
}
