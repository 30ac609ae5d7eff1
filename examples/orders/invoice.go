package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// invoice writes the invoice of an order, and mails it.
func (s *shop) invoice(ctx context.Context, job task.Job[ForOrder]) error {
	order, err := s.store.Get(ctx, job.Args.Order)
	if err != nil {
		return orderless(err)
	}
	if order.Status != Paid {
		return nil // it was cancelled meanwhile
	}
	text := invoiceText(order)
	if err := s.store.AddInvoice(ctx, order.ID, order.Cents, text); err != nil {
		return err
	}
	return s.write(ctx, "invoice-"+order.ID, order.Customer, "Your invoice", text)
}

func invoiceText(o Order) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Invoice of order %s, paid on %s\n\n", o.ID, o.PaidAt.Format("2 January 2006"))
	for _, item := range o.Items {
		fmt.Fprintf(&b, "%4d x %-30s %10s\n", item.Quantity, item.SKU, money(int64(item.Quantity)*item.Cents))
	}
	fmt.Fprintf(&b, "%47s\n", money(o.Cents))
	return b.String()
}

func money(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// write has a mail sent, once for each id.
func (s *shop) write(ctx context.Context, id, to, subject, text string) error {
	_, err := chassis.Send(ctx, s.sys, Mail, Letter{to, subject, text}, task.ExecID("mail-"+id))
	return err
}

// mail sends a mail. Its exec_id is the key: it stays the same in each run.
func (s *shop) mail(ctx context.Context, job task.Job[Letter]) error {
	return s.mails.post(ctx, "/mails", job.ExecID, job.Args)
}
