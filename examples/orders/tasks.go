package main

import (
	"time"

	"github.com/sambatech/chassis/task"
)

// The tasks of the service. All of them may run twice.
var (
	// Charge takes the money of an order. An order that cannot be charged is refunded: it
	// is not known what the gateway has done.
	Charge = task.Define[ForOrder]("charge", task.MaxFailures(20), retries, spread,
		task.Deadline(time.Minute), task.OnFail("refund"))
	// Refund gives back the money of an order, or makes sure that none is taken.
	Refund = task.Define[ForOrder]("refund", task.MaxFailures(50), retries, spread, task.Deadline(time.Minute))
	// Invoice writes the invoice of an order that is paid.
	Invoice = task.Define[ForOrder]("invoice")
	// Mail sends a mail.
	Mail = task.Define[Letter]("mail", task.MaxFailures(20), retries, spread, task.Deadline(time.Minute))
	// Report reports a day that is over.
	Report = task.Define[ForDay]("report")

	retries = task.Wait(2*time.Second, task.Arithmetic)
	spread  = task.Jitter(0.2)
)

// ForOrder names the order that a task works on.
type ForOrder struct {
	Order string `json:"order"`
}

// ForDay names the day that is reported.
type ForDay struct {
	Day time.Time `json:"day"`
}

// Letter is a mail.
type Letter struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}
