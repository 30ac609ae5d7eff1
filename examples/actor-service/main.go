// Actor-service is a service of actors throughout.
//
//	go run ./examples/actor-service
//
// See a task actor (task.go) with children, a behaviour, a timer and a breaker
// that it asks by PID; a subscriber of a queue of its own with credits of its
// own (clicks.go); and an observer of crashes (main.go), all in one system.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	sys, err := chassis.New("shop", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()

	// An observer of the crashes of all actors, in the chassis' order of stopping.
	crashes := make(chan string, 1)
	props := actor.PropsFromProducer(func() actor.Actor { return &observer{crashes} })
	pid, err := sys.Spawn(props, "observer")
	if err != nil {
		return err
	}
	sys.Actors().Root.Send(sys.PID("lifecycle"), lifecycle.Subscribe{To: pid}) // before there is a crash

	// The task, and the breaker of the service that it asks.
	sys.Breaker("https://prices.internal")
	sys.Register("offer", actor.PropsFromProducer(func() actor.Actor {
		return newOffer(sys.PID("breaker/https://prices.internal"))
	}), task.MaxFailures(3), task.Wait(0, task.None))

	// A queue that is not of tasks, with a subscriber of our own.
	counted := make(chan int, 1)
	if err := subscribe(ctx, sys, 3, counted); err != nil {
		return err
	}

	if err := sys.Start(ctx); err != nil {
		return err
	}
	events := sys.Tasks().Events(100)
	defer events.Close()
	if _, err := sys.Send(ctx, "offer", Offer{SKUs: []int{7, 8, 9}}); err != nil {
		return err
	}
	total, err := finished(events)
	fmt.Fprintln(out, "the offer:", total)
	fmt.Fprintln(out, "seen by the observer:", <-crashes)
	fmt.Fprintln(out, "clicks counted:", <-counted)

	// Its poller gives back what it holds before the system stops.
	_, drained := actors.Ask[*poller.Drained](ctx, sys.Actors(), sys.PID("clicks-poller"), &poller.Drain{})
	return errors.Join(err, drained)
}

// observer takes the lifecycle events.
type observer struct {
	crashes chan<- string
}

func (o *observer) Receive(c actor.Context) {
	if m, ok := c.Message().(*lifecycle.Failed); ok {
		select {
		case o.crashes <- fmt.Sprintf("%v, of the task %q", m.Reason, m.Task):
		default:
		}
	}
}
