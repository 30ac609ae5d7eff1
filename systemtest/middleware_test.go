package systemtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// TestMiddlewareOfTheSystemIsAroundThatOfTheTask: each sees the attempt and its
// end, the outermost first; Recovery is outside, so a panic passes through.
func TestMiddlewareOfTheSystemIsAroundThatOfTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string // by one attempt after the other
		tell := func(name string) task.Middleware {
			return func(next task.RawHandler) task.RawHandler {
				return func(ctx context.Context, job task.Job[json.RawMessage]) error {
					told = append(told, name)
					defer func() { told = append(told, name+" ends") }()
					return next(ctx, job)
				}
			}
		}
		var took time.Duration
		var ended error
		timing := task.Timing(func(_ *task.Info, d time.Duration, err error) { took, ended = d, err })
		sys := chassistest.New(t, chassistest.Options(chassis.WithMiddleware(tell("first"), timing), chassis.WithMiddleware(tell("second"))))
		fails := errors.New("no")
		chassis.Handle(sys.System, task.Define[int]("x", task.Use(tell("own")), task.MaxFailures(2)), func(_ context.Context, job task.Job[int]) error {
			time.Sleep(3 * time.Second)
			if job.Attempt == 2 {
				panic("passes through")
			}
			return fails
		})
		id, err := sys.Send(t.Context(), "x", 1)
		if err != nil {
			t.Fatal(err)
		}
		sys.RunUntilIdle()
		once := []string{"first", "second", "own", "own ends", "second ends", "first ends"}
		if !slices.Equal(told, slices.Concat(once, once)) {
			t.Errorf("told %v", told)
		}
		if took != 3*time.Second || !errors.Is(ended, fails) {
			t.Errorf("the first attempt took %v and ended with %v", took, ended)
		}
		if o := sys.Outcome(id); o.State != chassistest.GivenUp || len(o.Errors) != 2 {
			t.Errorf("the task is %+v", o)
		}
	})
}
