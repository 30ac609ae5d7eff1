// Ticker has three schedules, and writes a line for each run: see package processes.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

type nothing struct{}

var (
	pace = task.Define[nothing]("pace")
	all  = task.Define[nothing]("all")
	late = task.Define[nothing]("clock")
)

func main() {
	fmt.Fprintln(os.Stderr, run()) // it is killed, or cannot start
	os.Exit(1)
}

func run() error {
	runs, err := os.OpenFile(os.Getenv("TICKER_RUNS"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	sys, err := chassis.New("ticker")
	if err != nil {
		return err
	}
	note := func(_ context.Context, job task.Job[nothing]) error {
		var line bytes.Buffer
		fmt.Fprintln(&line, job.JobID, job.MessageID, rightTime().UnixMilli())
		_, err := runs.Write(line.Bytes())
		return err
	}
	chassis.Handle(sys, pace, note)
	chassis.Handle(sys, all, note)
	chassis.Handle(sys, late, note)
	chassis.Every(sys, pace, nothing{}, "@every 1s", cron.Overlap(cron.Allow))
	chassis.Every(sys, all, nothing{}, "@every 7s", cron.Overlap(cron.Queue), cron.Late(cron.All(100)))
	chassis.Every(sys, late, nothing{}, "* * * * *", cron.Zone("Europe/Berlin"), cron.Jitter(30*time.Second))
	if err := sys.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println("ready")
	select {} // until it is killed
}

// rightTime is the time without the error that this process has got.
func rightTime() time.Time {
	seconds := func(name string) time.Duration {
		n, _ := strconv.Atoi(os.Getenv(name))
		return time.Duration(n) * time.Second
	}
	now := time.Now().Add(-seconds("CLOCK_SKEW"))
	if since := time.Since(begun); seconds("CLOCK_STEP") != 0 && since > seconds("CLOCK_STEP_AFTER") {
		now = now.Add(-seconds("CLOCK_STEP"))
	}
	return now
}

var begun = time.Now()
