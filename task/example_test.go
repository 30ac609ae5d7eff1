package task_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// The message that runs a task, as it stands on the queue.
func ExampleDefine() {
	type args struct {
		VideoID int    `json:"video_id"`
		Profile string `json:"profile"`
	}
	transcode := task.Define[args]("transcode", task.MaxFailures(5), task.Wait(10*time.Second, task.Geometric), task.OnFail("give_back_credits"))
	now := time.Date(2026, 11, 23, 13, 5, 0, 0, time.UTC)
	out, err := transcode.Encode(now, args{42, "720p"}, task.ForJob("j-1", "nightly"), task.ExecID("11111111-2222-4333-8444-555555555555"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Body)
	for _, name := range []string{"task_name", "exec_id", "when", "job_id", "job_name"} {
		fmt.Println(name, "=", *out.Attributes[name].StringValue)
	}
	// Output:
	// {"video_id": 42, "profile": "720p"}
	// task_name = transcode
	// exec_id = 11111111-2222-4333-8444-555555555555
	// when = 23/11/26 13:05:00
	// job_id = j-1
	// job_name = nightly
}

func ExampleBackoff_Delay() {
	b := task.Backoff{Base: 10 * time.Second, Progression: task.Geometric, Cap: time.Minute}
	for n := range 4 {
		fmt.Println(n, b.Delay(n))
	}
	// Output:
	// 0 0s
	// 1 10s
	// 2 40s
	// 3 1m0s
}

// Pauses that neither double nor square.
func ExampleWaitFunc() {
	pauses := []time.Duration{time.Second, time.Minute, time.Hour}
	spec := task.NewSpec("charge", task.WaitFunc(func(failures int) time.Duration {
		return pauses[min(failures, len(pauses))-1]
	}))
	for n := range 5 {
		fmt.Println(n, spec.Wait.Delay(n))
	}
	// Output:
	// 0 0s
	// 1 1s
	// 2 1m0s
	// 3 1h0m0s
	// 4 1h0m0s
}

// What a handler may answer besides nil and a plain error.
func ExampleCancel() {
	handler := func(_ context.Context, job task.Job[string]) error {
		switch job.Args {
		case "":
			return task.Cancel(errors.New("no address")) // never again
		case "busy":
			return task.RetryAfter(errors.New("421"), time.Minute) // one failure
		default:
			return task.Snooze(time.Hour) // no failure
		}
	}
	for _, a := range []string{"", "busy", "later"} {
		fmt.Println(handler(context.Background(), task.Job[string]{Args: a}))
	}
	// Output:
	// task cancelled: no address
	// 421
	// task snoozed for 1h0m0s
}

// The job of a ctx, as a logger or a client library would ask for it.
func ExampleJobFrom() {
	ctx := task.WithInfo(context.Background(), &task.Info{Task: "welcome", JobID: "7", Attempt: 2})
	if job := task.JobFrom(ctx); job != nil {
		fmt.Println(job.Task, job.JobID, job.Attempt)
	}
	fmt.Println(task.JobFrom(context.Background()))
	// Output:
	// welcome 7 2
	// <nil>
}

// A message that came in, with every defect that it has.
func ExampleDecode() {
	m, err := task.Decode(`{"id": 1}`, nil)
	fmt.Println(m.JobID, m.When.IsZero(), task.Fatal(err) == nil)
	var w *task.WireError
	if errors.As(err, &w) {
		fmt.Println(w)
	}
	// Output:
	// unknown true true
	// task_name: is missing
}

// A step that is done is not run again. The second attempt stands for a retry, in the
// same process or, after a deploy, in another one.
func ExampleStep() {
	handler := func(ctx context.Context, attempt int) error {
		id, err := task.Step(ctx, "charge", func(ctx context.Context) (string, error) {
			fmt.Println("charging, with the key", task.StepKey(ctx))
			return "ch_1", nil
		})
		if err != nil {
			return err
		}
		return task.Do(ctx, "ship", func(context.Context) error {
			if attempt == 1 {
				return errors.New("no parcels left")
			}
			fmt.Println("shipping what was paid by", id)
			return nil
		})
	}

	first := &task.Info{Task: "order", ExecID: "e-1"}
	fmt.Println(handler(task.WithInfo(context.Background(), first), 1))
	second := &task.Info{Task: "order", ExecID: "e-1"}
	second.Resume(first.EndSteps())
	fmt.Println(handler(task.WithInfo(context.Background(), second), 2))
	// Output:
	// charging, with the key e-1/1/charge
	// no parcels left
	// shipping what was paid by ch_1
	// <nil>
}

// The position of a loop. The second attempt goes on behind the rows that are done.
func ExampleCursor() {
	rows := []string{"a", "b", "c", "d"}
	handler := func(ctx context.Context, failAt string) error {
		done, err := task.OpenCursor(ctx, "rows", 0)
		if err != nil {
			return err
		}
		for i := done.At(); i < len(rows); i++ {
			if rows[i] == failAt {
				return fmt.Errorf("row %s failed", failAt)
			}
			fmt.Println("row", rows[i])
			if err := done.Save(i + 1); err != nil {
				return err
			}
		}
		return done.End()
	}
	first, second := &task.Info{Task: "import"}, &task.Info{Task: "import"}
	fmt.Println(handler(task.WithInfo(context.Background(), first), "c"))
	second.Resume(first.EndSteps())
	fmt.Println(handler(task.WithInfo(context.Background(), second), ""))
	// Output:
	// row a
	// row b
	// row c failed
	// row c
	// row d
	// <nil>
}
