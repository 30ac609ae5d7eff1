package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/task"
)

// payment is what the gateway is asked: to charge an order, or to refund it.
type payment struct {
	Order string `json:"order"`
	Cents int64  `json:"cents,omitempty"`
}

// charge takes the money of an order. The key is made of the order, so the gateway books
// it once in any number of runs. What follows is sent in the transaction that notes it.
func (s *shop) charge(ctx context.Context, job task.Job[ForOrder]) error {
	order, err := s.store.Get(ctx, job.Args.Order)
	if err != nil || order.Status != Placed { // it is done, or the task refund sees to it
		return orderless(err)
	}
	switch err := s.payments.post(ctx, "/charges", "charge-"+order.ID, payment{order.ID, order.Cents}); {
	case errors.Is(err, errRevoked):
		return nil // it was cancelled while this ran
	case errors.Is(err, errDeclined):
		return s.store.Decline(ctx, order.ID, Letter{order.Customer, "Your payment was declined",
			"Your bank has declined the payment of order " + order.ID + ". Please order again."})
	case err != nil:
		return err
	}
	return s.store.Paid(ctx, order.ID)
}

// refund gives back the money of an order. If none was taken, the gateway takes none
// from here on.
func (s *shop) refund(ctx context.Context, job task.Job[ForOrder]) error {
	order, err := s.store.Cancel(ctx, job.Args.Order) // it is not yet, if charge was given up
	if err != nil || order.Status != Cancelled {      // else it was declined: nothing was taken
		return orderless(err)
	}
	if err := s.payments.post(ctx, "/refunds", "refund-"+order.ID, payment{Order: order.ID}); err != nil {
		return err
	}
	return s.store.Refunded(ctx, order.ID, Letter{order.Customer, "Your order is cancelled",
		fmt.Sprintf("Order %s is cancelled. What was paid is on its way back.", order.ID)})
}

// orderless gives up a task if its order is not there: no retry can help.
func orderless(err error) error {
	if errors.Is(err, errNoOrder) {
		return task.Cancel(err)
	}
	return err
}
