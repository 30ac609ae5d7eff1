// Schedule sends tasks for later, and has one ask for another run.
//
//	go run ./examples/schedule
//
// See the task that was sent first run last, because it was scheduled, and a
// task that snoozes run again without having failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

type Note struct {
	Text string `json:"text"`
}

var (
	// Remind is never early, even where the settings file has a when_window, as those of
	// the Python chassis have.
	Remind = task.Define[Note]("remind", task.Window(0))
	Poll   = task.Define[Note]("poll")
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
	for done := 0; done < 2; {
		if e := <-events.C; e.Kind == dispatcher.Succeeded {
			done++
		}
	}
	return nil
}
