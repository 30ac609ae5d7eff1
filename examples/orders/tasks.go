package main

import (
	"time"

	"github.com/sambatech/chassis/task"
)

// The tasks of the service. All of them may run twice.
var (
	// Charge takes the money of an order. An order that cannot be charged is refunded: it
	// is not known what the gateway has done.
	Charge = task.Define[ForOrder]("charge", budget, wait, waitCap, spread, limit, task.OnFail("refund"))
	// Refund gives back the money of an order, or makes sure that none is taken.
	Refund = task.Define[ForOrder]("refund", budget, wait, waitCap, spread, limit)
	// Invoice writes the invoice of an order that is paid.
	Invoice = task.Define[ForOrder]("invoice", budget, wait, waitCap, spread, limit)
	// Mail sends a mail.
	Mail = task.Define[Letter]("mail", budget, wait, waitCap, spread, limit)
	// Report reports the days that are over.
	Report = task.Define[ForNight]("report", budget, wait, waitCap, spread, limit)
)

// A task is tried for about a day, while what it needs is away: after 2 s, 4 s, 6 s, …
// and in the end every five minutes.
var (
	budget  = task.MaxFailures(350)
	wait    = task.Wait(2*time.Second, task.Arithmetic)
	waitCap = task.WaitCap(5 * time.Minute)
	spread  = task.Jitter(0.2)
	limit   = task.Deadline(time.Minute) // of one try
)

// ForOrder names the order that a task works on.
type ForOrder struct {
	Order string `json:"order"`
}

// ForNight is what a report needs to know.
type ForNight struct{}

// Letter is a mail.
type Letter struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}
