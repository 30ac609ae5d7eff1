package task_test

import (
	"context"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// The inner of a task and an origin names the job; the task is found from both.
func TestOrigin(t *testing.T) {
	type key struct{}
	background := context.Background()
	info := &task.Info{JobID: "j", JobName: "n", ExecID: "e"}
	inTask := task.WithInfo(background, info)
	for name, c := range map[string]struct {
		ctx  context.Context
		want task.Origin
		info *task.Info
	}{
		"nil":                     {nil, task.Origin{}, nil},
		"neither":                 {background, task.Origin{}, nil},
		"a task":                  {inTask, task.Origin{ID: "j", Name: "n"}, info},
		"an origin":               {task.WithOrigin(background, "r", "GET /"), task.Origin{ID: "r", Name: "GET /"}, nil},
		"half an origin":          {task.WithOrigin(background, "r", ""), task.Origin{ID: "r", Name: task.Unknown}, nil},
		"an origin inside a task": {task.WithOrigin(inTask, "r", "sub"), task.Origin{ID: "r", Name: "sub"}, info},
		"a task inside an origin": {task.WithInfo(task.WithOrigin(background, "r", "GET /"), info), task.Origin{ID: "j", Name: "n"}, info},
		"two origins":             {task.WithOrigin(task.WithOrigin(background, "r", "GET /"), "s", "part"), task.Origin{ID: "s", Name: "part"}, nil},
	} {
		ctx := c.ctx
		if ctx != nil {
			ctx = context.WithValue(ctx, key{}, 1) // not the innermost
		}
		origin, got := task.OriginOf(ctx)
		if origin != c.want || got != c.info || task.JobFrom(ctx) != c.info {
			t.Errorf("%s: %v, task %p; want %v, %p", name, origin, got, c.want, c.info)
		}
	}
}

// A task that is sent with the ctx of an origin belongs to the same job.
func TestTasksBelongToTheirOrigin(t *testing.T) {
	ctx := task.WithOrigin(context.Background(), "r-17", "GET /orders/{id}")
	out, err := task.Encode("invoice", nil, time.Now(), task.FromContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	m, err := task.Decode(out.Body, out.Attributes)
	if err != nil || m.JobID != "r-17" || m.JobName != "GET /orders/{id}" {
		t.Errorf("%+v, %v", m, err)
	}
	out, err = task.Encode("invoice", nil, time.Now(), task.FromContext(ctx), task.ForJob("mine", ""))
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := task.Decode(out.Body, out.Attributes); m.JobID != "mine" || m.JobName != task.Unknown {
		t.Errorf("a later option: %+v", m)
	}
}

// A ctx.WithCancel under an origin needs no goroutine of its own, and a value of the
// parent is still found.
func TestOriginIsACtx(t *testing.T) {
	parent, cancel := context.WithCancel(context.Background())
	ctx, stop := context.WithCancel(task.WithOrigin(parent, "r", "n"))
	defer stop()
	cancel()
	if ctx.Err() == nil {
		t.Error("the cancellation of the parent did not pass through at once")
	}
}
