// Flows runs a trip: three bookings one after the other, each with an undo, and then a
// batch of letters with one task after all of them. The second trip finds no car: what was
// booked is cancelled, the last first.
//
//	go run ./examples/flows
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

type Booking struct {
	Trip string `json:"trip"`
	What string `json:"what"`
	None bool   `json:"none,omitempty"` // all are taken
}

type Letter struct {
	To string `json:"to"`
}

var (
	Book    = task.Define[Booking]("book")
	Release = task.Define[Booking]("release")
	Send    = task.Define[Letter]("letter")
	Report  = task.Define[flow.Outcome]("report")
)

// office does the work, and prints it.
type office struct {
	mu   sync.Mutex
	out  io.Writer
	done chan string
}

func (o *office) printf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = fmt.Fprintf(o.out, format+"\n", args...) // a terminal that is gone is no reason to stop
}

func (o *office) book(_ context.Context, job task.Job[Booking]) error {
	if job.Args.None {
		return task.Cancel(errors.New("all are taken"))
	}
	o.printf("%s: books a %s", job.Args.Trip, job.Args.What)
	return nil
}

func (o *office) release(_ context.Context, job task.Job[Booking]) error {
	o.printf("%s: cancels the %s", job.Args.Trip, job.Args.What)
	if job.Args.What == "flight" {
		o.done <- job.Args.Trip
	}
	return nil
}

func (o *office) letter(_ context.Context, job task.Job[Letter]) error {
	if job.Args.To == "guest 7" {
		return task.Cancel(errors.New("no address"))
	}
	return nil
}

func (o *office) report(_ context.Context, job task.Job[flow.Outcome]) error {
	a := job.Args
	o.printf("Rome: %d of %d letters are sent, not those of %v", a.Done, a.Members, a.FailedMembers)
	o.done <- "Rome"
	return nil
}

// trip is a saga. A booking without an undo of its own input gives it its own.
func trip(name string, car bool) flow.Flow {
	book := func(what string, none bool) flow.Flow {
		return flow.Task(Book, Booking{Trip: name, What: what, None: none}).Undo(flow.Next(Release))
	}
	return flow.Saga(book("flight", false), book("room", false), book("car", !car))
}

// letters are drawn while they are sent: there may be a million.
func letters(n int) flow.Flow {
	return flow.Batch(func(yield func(flow.Flow) bool) {
		for i := range n {
			if !yield(flow.Task(Send, Letter{To: fmt.Sprint("guest ", i)})) {
				return
			}
		}
	}).Then(flow.Next(Report))
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	sys, err := chassis.New("trips",
		chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()
	flows, err := flow.New(sys)
	if err != nil {
		return err
	}
	o := &office{out: out, done: make(chan string, 10)}
	invite := task.Define[int]("invite")
	chassis.Handle(sys, Book, o.book)
	chassis.Handle(sys, Release, o.release)
	chassis.Handle(sys, Send, o.letter)
	chassis.Handle(sys, Report, o.report)
	chassis.Handle(sys, invite, func(ctx context.Context, job task.Job[int]) error {
		return flows.Continue(ctx, letters(job.Args)) // it becomes the batch
	})
	if err := sys.Start(ctx); err != nil {
		return err
	}
	rome := trip("Rome", true).Then(flow.Task(invite, 100))
	if _, err := flows.Start(ctx, rome, flow.Job("4711", "trip")); err != nil {
		return err
	}
	<-o.done
	if _, err := flows.Start(ctx, trip("Oslo", false), flow.Job("4712", "trip")); err != nil {
		return err
	}
	<-o.done
	return nil
}
