package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// shop is the service: its store, and the services that it calls.
type shop struct {
	sys      *chassis.System
	store    *Store
	payments *remote
	mails    *remote
	live     *chassis.LiveSettings[Config]
}

// newShop makes the service and registers its tasks. base makes the requests to the
// other services.
func newShop(sys *chassis.System, store *Store, cfg Config, base http.RoundTripper) *shop {
	s := &shop{sys: sys, store: store, live: chassis.Live(sys, cfg)}
	s.payments = &remote{cfg.Payments.URL, &http.Client{Transport: sys.Breaker(cfg.Payments.URL).Transport(base)}}
	s.mails = &remote{cfg.Mail.URL, &http.Client{Transport: sys.Breaker(cfg.Mail.URL).Transport(base)}}
	chassis.Handle(sys, Charge, s.charge)
	chassis.Handle(sys, Refund, s.refund)
	chassis.Handle(sys, Invoice, s.invoice)
	chassis.Handle(sys, Mail, s.mail)
	chassis.Handle(sys, Report, s.report)
	return s
}

// sendNow sends the task that an order needs. It may fail: relay sends it then.
func (s *shop) sendNow(ctx context.Context, o Order) {
	if err := s.sendTask(ctx, o); err != nil {
		slog.WarnContext(ctx, "a task is not sent yet", "order", o.ID, "task", o.Unsent, "error", err)
	}
}

// sendTask sends the task that an order needs, if it needs one.
func (s *shop) sendTask(ctx context.Context, o Order) error {
	if o.Unsent == "" {
		return nil
	}
	_, err := s.sys.Send(ctx, o.Unsent, ForOrder{o.ID}, task.ExecID(o.Unsent+"-"+o.ID))
	if err != nil {
		return err
	}
	return s.store.Sent(ctx, o.ID, o.Unsent)
}

// relay sends what requests could not: the process has died between the order and its
// task, or the queue was away. A task that is sent twice does its work once.
func (s *shop) relay(ctx context.Context) error {
	const every, batch = 5 * time.Second, 100
	for tick := time.NewTicker(every); ; {
		orders, err := s.store.Unsent(ctx, time.Now().Add(-every), batch)
		for _, o := range orders {
			if err == nil {
				err = s.sendTask(ctx, o)
			}
		}
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "tasks are not sent yet", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return nil
		}
	}
}
