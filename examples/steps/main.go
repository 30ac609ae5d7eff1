// Steps runs an order of three steps. The second one fails at first, and the order goes
// on after it was charged: the card is charged once.
//
//	go run ./examples/steps
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
	"github.com/sambatech/chassis/task"
)

type OrderArgs struct {
	Cents int `json:"cents"`
}

type Receipt struct {
	Charge string `json:"charge"`
}

var Order = task.Define[OrderArgs]("order", task.Wait(50*time.Millisecond, task.None))

// shop does what an order needs, and prints it.
type shop struct {
	mu   sync.Mutex
	out  io.Writer
	down bool // the warehouse, once
	done chan struct{}
}

func (s *shop) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...) // a terminal that is gone is no reason to stop
}

func (s *shop) order(ctx context.Context, job task.Job[OrderArgs]) error {
	s.printf("attempt %d", job.Attempt)
	receipt, err := task.Step(ctx, "charge", func(context.Context) (Receipt, error) {
		s.printf("  charges %d cents", job.Args.Cents)
		return Receipt{Charge: "ch_1"}, nil
	})
	if err != nil {
		return err
	}
	err = task.Do(ctx, "reserve", func(context.Context) error {
		if s.down {
			s.down = false
			s.printf("  the warehouse does not answer")
			return errors.New("the warehouse does not answer")
		}
		s.printf("  reserves, paid by %s", receipt.Charge)
		return nil
	})
	if err != nil {
		return err
	}
	if err := task.Sleep(ctx, "packing", 100*time.Millisecond); err != nil {
		s.printf("  waits for the packing")
		return err
	}
	return task.Do(ctx, "ship", func(context.Context) error {
		s.printf("  ships")
		close(s.done)
		return nil
	})
}

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
	s := &shop{out: out, down: true, done: make(chan struct{})}
	chassis.Handle(sys, Order, s.order)
	if err := sys.Start(ctx); err != nil {
		return err
	}
	if _, err := chassis.Send(ctx, sys, Order, OrderArgs{Cents: 1250}); err != nil {
		return err
	}
	<-s.done
	return nil
}
