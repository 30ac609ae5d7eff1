package dispatcher_test

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
)

// A profile says which task a goroutine worked for: the handler's, and those that it
// starts. The goroutine that runs other tasks after it has none left.
func TestHandlersRunWithThePprofLabelsOfTheirTask(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var name, pool, profile string
		seen := func(ctx context.Context, _ raw) error {
			name, _ = pprof.Label(ctx, "task")
			pool, _ = pprof.Label(ctx, "pool")
			var b bytes.Buffer
			if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
				t.Error(err)
			}
			profile = b.String()
			return nil
		}
		r.handle("first", seen)
		r.handle("second", seen)
		for _, want := range []string{"first", "second"} {
			r.send(want, nil)
			r.after(time.Minute)
			if name != want || pool == "" {
				t.Errorf("the ctx has the labels %q and %q", name, pool)
			}
			if !strings.Contains(profile, `"task":"`+want+`"`) {
				t.Errorf("the profile has no goroutine of the task %s", want)
			}
		}
		if strings.Contains(profile, `"task":"first"`) {
			t.Error("a goroutine keeps the label of a task that has ended")
		}
	})
}

// The cost of the labels, beside all else of an attempt.
func BenchmarkLabels(b *testing.B) {
	labelled := pprof.WithLabels(context.Background(), pprof.Labels("task", "welcome", "pool", "mailer-tasks"))
	b.ReportAllocs()
	for b.Loop() {
		pprof.SetGoroutineLabels(labelled)
		pprof.SetGoroutineLabels(context.Background())
	}
}
