// Fifo keeps the order of each message group.
//
//	go run ./examples/fifo
//
// The steps of one order run one after the other, although the first of them fails
// once. The other order goes on meanwhile.
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
)

type Step struct {
	Order string `json:"order"`
	Name  string `json:"name"`
}

var Process = task.Define[Step]("process", task.Wait(200*time.Millisecond, task.None))

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	ctx := context.Background()
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool = "orders.fifo" // the suffix makes it a FIFO queue
	sys, err := chassis.New("orders", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Stop(ctx)) }()

	var mu sync.Mutex
	ran := map[string][]string{}
	chassis.Handle(sys, Process, func(_ context.Context, job task.Job[Step]) error {
		mu.Lock()
		defer mu.Unlock()
		if job.Args == (Step{"A", "reserve"}) && job.Attempt == 1 {
			ran["A"] = append(ran["A"], "reserve fails,")
			return errors.New("the warehouse does not answer")
		}
		ran[job.Args.Order] = append(ran[job.Args.Order], job.Args.Name)
		return nil
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(ctx); err != nil {
		return err
	}
	for _, name := range []string{"reserve", "charge", "ship"} {
		for _, order := range []string{"A", "B"} {
			if _, err := chassis.Send(ctx, sys, Process, Step{order, name}, task.Group(order)); err != nil {
				return err
			}
		}
	}
	for done := 0; done < 6; {
		if e := <-events.C; e.Kind == dispatcher.SettledWell {
			done++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintln(out, "A:", ran["A"])
	fmt.Fprintln(out, "B:", ran["B"])
	return nil
}
