package main

import (
	"net/http"

	"github.com/sambatech/chassis"
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
