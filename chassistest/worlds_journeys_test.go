package chassistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

var journey = task.Define[parcel]("journey", task.MaxFailures(8), task.Wait(3*time.Second, task.None))

// travel is a handler of steps with effects, lanes, sleeps and a cursor. What it does depends on
// the task and the attempt alone.
func travel(ctx context.Context, w *World, job task.Job[parcel]) error {
	mood := job.Args.ID + 3*job.Attempt
	book, err := task.Step(ctx, "book", func(ctx context.Context) (string, error) {
		long := "" // such a journal travels compressed
		if job.Args.ID%4 == 3 {
			long = strings.Repeat("a long ticket ", 200)
		}
		return long, w.Effect(ctx, "book", job.Args.ID)
	})
	switch {
	case err != nil:
		return err
	case len(book) > 0 != (job.Args.ID%4 == 3):
		return task.Cancel(fmt.Errorf("the ticket has %d bytes", len(book)))
	case mood%11 == 4:
		return errors.New("the train is late")
	case mood%11 == 6:
		return task.Snooze(3 * time.Minute)
	}
	if err := task.Sleep(ctx, "night", time.Duration(job.Args.ID%5)*14*time.Second); err != nil {
		return err
	}
	lanes := make(chan error, 2)
	for _, name := range []string{"left", "right"} {
		go func() {
			lane := task.Lane(ctx, name)
			lanes <- errors.Join(task.Do(lane, "look", func(ctx context.Context) error { return w.Effect(ctx, name, job.Args.ID) }))
		}()
	}
	if err := errors.Join(<-lanes, <-lanes); err != nil {
		return err
	}
	switch {
	case mood%7 == 2:
		panic("lost the way")
	case mood%7 == 5:
		return task.RetryAfter(errors.New("full"), 90*time.Second)
	}
	days, err := task.OpenCursor(ctx, "days", 0)
	if err != nil {
		return err
	}
	for !days.Over() {
		if days.At() == 3 {
			if err := days.End(); err != nil {
				return err
			}
			break
		}
		if err := w.Effect(ctx, "day", job.Args.ID, days.At()); err != nil {
			return err
		}
		if err := days.Save(days.At() + 1); err != nil {
			return err
		}
		if mood%5 == 1 && days.At() == 2 {
			return errors.New("it rains")
		}
	}
	return nil
}

// journeys is a play of n tasks with steps.
func journeys(n int) func(w *World) {
	return func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, journey, func(ctx context.Context, job task.Job[parcel]) error {
				return travel(ctx, w, job)
			})
		})
		for i := range n {
			Submit(w, journey, parcel{i}, task.Group(fmt.Sprint(i)))
		}
	}
}

// TestStepsAreSeen: the storm reads the steps of messages as package task writes them.
func TestStepsAreSeen(t *testing.T) {
	s := newStorm(t, func(w *World) {
		journeys(8)(w)
		w.Eventually("steps in effects and on messages", func() error {
			keys, carried := map[string]bool{}, 0
			for _, e := range w.Effects("") {
				keys[e.Step] = true
			}
			for _, want := range []string{"journey#0/1/book", "journey#3/left/1/look", ""} {
				if !keys[want] {
					return fmt.Errorf("no effect has the step %q: %v", want, keys)
				}
			}
			for _, d := range w.book.receipts {
				carried += len(d.steps)
			}
			if carried < 8 {
				return fmt.Errorf("%d steps were seen on messages", carried)
			}
			return nil
		})
	}, nil)
	if r := s.run(Schedule{Seed: 1, Fleet: 2}); len(r.findings) > 0 {
		t.Errorf("found %v:\n%s", r.findings, r.timeline())
	}
}
