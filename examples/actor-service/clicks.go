package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/poller"
)

// clicks consumes a queue of its own. The poller keeps the leases and batches
// the deletes; the demand is the subscriber's: no more than credits messages are
// on their way to it at any time, whatever is on the queue.
type clicks struct {
	poller  *actor.PID
	credits int
	sum     int
	left    int // until the sum is sent
	counted chan<- int
}

// Receive implements actor.Actor.
func (k *clicks) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started: // also after a restart: the demand begins at zero, and what was in hand comes again
		c.Send(k.poller, &poller.Subscribe{To: c.Self()})
		c.Send(k.poller, &poller.Want{Credits: k.credits})
	case *poller.Delivered:
		n, err := strconv.Atoi(m.Body)
		if err != nil {
			n = 0 // a message that is no number is dropped
		}
		k.sum += n
		c.Send(k.poller, &poller.Settle{Lease: m.Lease})
	case *poller.Settled: // deleted: the credit is free again
		c.Send(k.poller, &poller.Want{Credits: 1})
		if k.left--; k.left == 0 {
			k.counted <- k.sum
		}
	}
}

// subscribe makes the queue, its poller and its subscriber, and sends some
// clicks.
func subscribe(ctx context.Context, sys *chassis.System, credits int, counted chan<- int) (err error) {
	const queue, messages = "clicks", 10
	url, err := poller.EnsureQueue(ctx, sys.SQS(), queue, poller.EnsureOptions{Create: true})
	if err != nil {
		return err
	}
	p, err := poller.New(poller.Config{
		Client: sys.SQS(), QueueURL: url, Logger: sys.Logger("clicks"),
		Settings: poller.Settings{ReceiveWait: time.Second}, // a Drain waits for the long poll under way
	})
	if err != nil {
		return err
	}
	pid, err := sys.Spawn(p.Props(), "clicks-poller")
	if err != nil {
		return err
	}
	// Spawned after its poller, and so stopped before it.
	if _, err := sys.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &clicks{poller: pid, credits: credits, left: messages, counted: counted}
	}), "clicks"); err != nil {
		return err
	}
	sender := poller.NewSender(sys.SQS())
	defer func() { err = errors.Join(err, sender.Close(ctx)) }()
	for n := range messages {
		if _, err := sender.Send(ctx, poller.Outgoing{Pool: queue, Body: strconv.Itoa(n)}); err != nil {
			return err
		}
	}
	return nil
}
