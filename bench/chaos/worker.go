package main

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/task"
)

const pool = "chaos-tasks"

type args struct {
	ID int `json:"id"`
}

// The tasks. What a run does is a function of the task's number and the
// attempt, so that a run elsewhere does the same.
var (
	work    = task.Define[args]("work", task.MaxFailures(4), task.Wait(100*time.Millisecond, task.Arithmetic), task.Deadline(3*time.Second))
	fragile = task.Define[args]("fragile", task.MaxFailures(2), task.Wait(3*time.Second, task.None), task.Deadline(3*time.Second), task.OnFail("mop"))
	mop     = task.Define[args]("mop", task.MaxFailures(20), task.Wait(100*time.Millisecond, task.None))
)

// settings are short, so that leases are lost and waits are given back within
// a run of minutes.
func settings(endpoint string) chassis.Settings {
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool = pool
	s.Tasks.TaskTimeout = 4 * time.Second
	s.Tasks.ReceiveWait = time.Second
	s.Tasks.Workers, s.Tasks.MaxWorkers = 16, 16
	s.Tasks.HoldLimit = time.Second
	s.Tasks.DrainTimeout, s.Tasks.AbandonAfter = drainTimeout, abandonAfter
	s.Queue.Endpoint, s.Queue.Region = endpoint, "us-east-1"
	s.Log.Level = "warning"
	return s
}

const (
	drainTimeout = 2 * time.Second
	abandonAfter = time.Second
)

var errPlanned = errors.New("planned")

// runWorker is a process of the fleet: it works until SIGTERM, or is killed.
func runWorker(endpoint, dir string) error {
	j, err := openJournal(dir)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(dir+"/log-"+strconv.Itoa(os.Getpid()), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sys, err := chassis.New("chaos", chassis.WithSettings(settings(endpoint)), chassis.WithLogOptions(logger.WithOutput(log)))
	if err != nil {
		return err
	}
	defer sys.Guard()
	var runs atomic.Int64
	handler := func(ctx context.Context, job task.Job[args]) (err error) {
		r := record{
			Run: int(runs.Add(1)), Message: job.MessageID, Exec: job.ExecID, Task: job.Info.Task, ID: job.Args.ID,
			Attempt: job.Attempt, Failures: job.Failures, Max: job.MaxFailures,
		}
		note := func(kind, outcome string) {
			line := r
			line.Kind, line.Outcome = kind, outcome
			j.write(line)
		}
		note("begin", "")
		stop := context.AfterFunc(ctx, func() { note("cut", context.Cause(ctx).Error()) })
		outcome := "goexit" // neither returned nor panicked
		defer func() {
			stop()
			note("end", outcome)
		}()
		outcome, err = perform(ctx, job)
		return err
	}
	chassis.Handle(sys, work, handler)
	chassis.Handle(sys, fragile, handler)
	chassis.Handle(sys, mop, handler)
	slog.SetDefault(sys.Log().Slog())
	return sys.Run(context.Background())
}

// perform is what a run does. Mops nearly always succeed.
func perform(ctx context.Context, job task.Job[args]) (string, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(job.Info.Task + strconv.Itoa(job.Args.ID) + "/" + strconv.Itoa(job.Attempt)))
	n := h.Sum32() % 1000
	if job.Info.Task == mop.Name() {
		n = max(n, 300)
	}
	switch {
	case n < 60:
		return "error", errPlanned
	case n < 80:
		defer func() { panic("planned") }()
		return "panic", nil
	case n < 90:
		runtime.Goexit()
	case n < 100: // a hang that minds its ctx: ends at its deadline
		<-ctx.Done()
		return "deadline", ctx.Err()
	case n < 103: // one that does not, for a while
		wait(context.Background(), 5*time.Second)
		return "late", nil
	case n < 120:
		return "snooze", task.Snooze(300 * time.Millisecond)
	case n < 130:
		return "error", task.RetryAfter(errPlanned, 2*time.Second)
	case n < 135:
		return "cancel", task.Cancel(errPlanned)
	case n < 150: // longer than half a lease
		wait(ctx, 2500*time.Millisecond)
	case n < 300:
		wait(ctx, time.Duration(n)*time.Millisecond/2)
	}
	if err := ctx.Err(); err != nil {
		return "interrupted", err
	}
	return "done", nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
