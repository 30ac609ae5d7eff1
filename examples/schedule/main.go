// Schedule runs tasks at times of the clock, sends one for later, and has one ask for
// another run.
//
//	go run ./examples/schedule
//
// See a tick run, and when the next report is due. A task that snoozes
// runs again without a failure. The task that was sent first runs last, at its time.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

type Note struct {
	Text string `json:"text"`
}

var (
	// Remind is never early, even where the settings file has a when_window, as those of
	// the Python chassis have.
	Remind = task.Define[Note]("remind", task.Window(0))
	Poll   = task.Define[Note]("poll")
	Sweep  = task.Define[Note]("sweep")
	Report = task.Define[Note]("report")
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	sys, err := chassis.New("notes",
		chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()
	chassis.Handle(sys, Remind, func(_ context.Context, job task.Job[Note]) error {
		fmt.Fprintln(out, "remind:", job.Args.Text, "- early:", time.Now().Before(job.When))
		return nil
	})
	chassis.Handle(sys, Poll, func(_ context.Context, job task.Job[Note]) error {
		if job.Attempt == 1 {
			fmt.Fprintln(out, "poll: nothing there yet")
			return task.Snooze(time.Second) // spends nothing of the failure budget
		}
		fmt.Fprintln(out, "poll: there it is, after", job.Failures, "failures")
		return nil
	})
	var tick sync.Once // the next one may fall into the seconds that this runs
	chassis.Handle(sys, Sweep, func(_ context.Context, job task.Job[Note]) error {
		tick.Do(func() { fmt.Fprintln(out, "sweep:", job.Args.Text, "- by the schedule", job.JobName) })
		return nil
	})
	chassis.Handle(sys, Report, func(context.Context, task.Job[Note]) error { return nil })

	// Each process of a fleet says the same: each tick runs once. A schedule that is new sends
	// nothing from before it was there.
	chassis.Every(sys, Sweep, Note{"old files"}, "@every 1s")
	chassis.Every(sys, Report, Note{"of the year"}, "0 3 1 1 *", cron.Zone("Europe/Berlin"), cron.Late(cron.Once))

	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(ctx); err != nil {
		return err
	}
	soon := task.At(time.Now().Add(3 * time.Second))
	if _, err := chassis.Send(ctx, sys, Remind, Note{"water the plants"}, soon); err != nil {
		return err
	}
	if _, err := chassis.Send(ctx, sys, Poll, Note{}); err != nil {
		return err
	}
	for done := map[string]bool{}; len(done) < 3; {
		if e := <-events.C; e.Kind == dispatcher.Succeeded {
			done[e.Task] = true
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return err
	}
	for _, s := range sys.Schedules() {
		if s.Name == "report" {
			fmt.Fprintln(out, "report: next on", s.Next.In(berlin).Format("2 January at 15:04 in"), s.Zone)
		}
	}
	return nil
}
