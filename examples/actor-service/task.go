package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
)

// Offer is the task's arguments.
type Offer struct {
	SKUs []int `json:"skus"`
}

// offer is the task's actor, one an attempt. It first has its children look
// into the stock, then asks for the price, through a breaker.
type offer struct {
	behavior actor.Behavior
	prices   *actor.PID // the breaker of the service that knows the prices

	run   *dispatcher.Execute
	asker *actor.PID // who is to be answered: at later messages c.Sender() is another
	open  int        // children that have not answered
	stock int
	timer *time.Timer
}

type (
	inStock struct{ sku, pieces int }
	tooLate struct{}
)

// limit bounds the look into the stock.
const limit = 5 * time.Second

func newOffer(prices *actor.PID) *offer {
	o := &offer{behavior: actor.NewBehavior(), prices: prices}
	o.behavior.Become(o.idle)
	return o
}

// Receive implements actor.Actor.
func (o *offer) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		if o.timer != nil {
			o.timer.Stop()
		}
		return
	}
	o.behavior.Receive(c)
}

// idle waits for the Execute.
func (o *offer) idle(c actor.Context) {
	m, ok := c.Message().(*dispatcher.Execute)
	if !ok {
		return
	}
	var args Offer
	if err := m.Decode(&args); err != nil {
		c.Respond(err)
		return
	}
	o.run, o.asker, o.open = m, c.Sender(), len(args.SKUs)
	for _, sku := range args.SKUs {
		c.Request(c.Spawn(actor.PropsFromProducer(func() actor.Actor { return &shelf{attempt: m.Info.Attempt} })), sku)
	}
	// A timer sends a message: nothing else touches the actor's state.
	root, self := c.ActorSystem().Root, c.Self()
	o.timer = time.AfterFunc(limit, func() { root.Send(self, tooLate{}) })
	o.behavior.Become(o.looking)
}

// looking waits for the children.
func (o *offer) looking(c actor.Context) {
	switch m := c.Message().(type) {
	case inStock:
		o.stock += m.pieces
		if o.open--; o.open == 0 {
			o.timer.Stop()
			c.Request(o.prices, &breaker.Call{Path: "/v1/prices", Fn: askPrice})
			o.behavior.Become(o.pricing)
		}
	case *actor.Terminated: // a child that was stopped for good by its supervisor
		c.Send(o.asker, dispatcher.Failed{Err: errors.New("a shelf is lost")})
	case tooLate:
		c.Send(o.asker, dispatcher.Failed{Err: fmt.Errorf("%d shelves have not answered within %v", o.open, limit)})
	}
}

// pricing waits for the breaker.
func (o *offer) pricing(c actor.Context) {
	if m, ok := c.Message().(*breaker.CallResult); ok {
		if m.Err != nil { // of the service, or a refusal while the breaker is open
			c.Send(o.asker, dispatcher.Failed{Err: m.Err})
			return
		}
		o.run.Info.Report(int64(o.stock), int64(o.stock), "pieces in stock")
		c.Send(o.asker, dispatcher.Done{})
	}
}

// askPrice stands for a request over the network.
func askPrice(ctx context.Context) error { return ctx.Err() }

// shelf is a child: it says how many pieces there are.
type shelf struct{ attempt int }

// Receive implements actor.Actor.
func (s *shelf) Receive(c actor.Context) {
	if sku, ok := c.Message().(int); ok {
		if sku == 8 && s.attempt == 1 {
			c.Stop(c.Self())
			panic("the light is out") // logged, with its stack and the exec_id
		}
		c.Respond(inStock{sku, 10 * sku})
	}
}

// finished waits for the end of the first task.
func finished(events *dispatcher.Subscription) (string, error) {
	for e := range events.C {
		switch e.Kind {
		case dispatcher.SettledWell:
			return fmt.Sprintf("done after %d failure", e.Failures), nil
		case dispatcher.GivenUp:
			return "", fmt.Errorf("given up: %s", e.Error)
		}
	}
	return "", errors.New("no event came")
}
