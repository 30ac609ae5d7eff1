package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/sambatech/chassis/task"
)

// invoice writes the invoice of an order and has it mailed, once.
func (s *shop) invoice(ctx context.Context, job task.Job[ForOrder]) error {
	order, err := s.store.Get(ctx, job.Args.Order)
	if err != nil || order.Status != Paid { // else it was cancelled meanwhile
		return orderless(err)
	}
	text := invoiceText(order)
	return s.store.box.Once(ctx, job.Info, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO invoices (order_id, cents, text) VALUES ($1, $2, $3)",
			order.ID, order.Cents, text); err != nil {
			return err
		}
		return s.store.mail(ctx, tx, "invoice-"+order.ID, Letter{order.Customer, "Your invoice", text})
	})
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

// mail sends a mail. Its exec_id is the key: it stays the same in each run.
func (s *shop) mail(ctx context.Context, job task.Job[Letter]) error {
	return s.mails.post(ctx, "/mails", job.ExecID, job.Args)
}
