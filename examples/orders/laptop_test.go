package main

import (
	"net/http"
	"testing"

	"github.com/sambatech/chassis/chassistest"
)

// Without settings the gateway runs in the process, and outlives the tasks that call it.
func TestOnALaptop(t *testing.T) {
	cfg, db := defaults(), testDatabase(t, testDSN(t.TempDir()))
	s := &service{t: t, db: db}
	s.System = chassistest.New(t, chassistest.Name("orders"))
	onLaptop(s.System.System, &cfg)
	if cfg.Payments.URL == "" || cfg.Mail.URL == "" {
		t.Fatalf("the gateway is at %q, mails at %q", cfg.Payments.URL, cfg.Mail.URL)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.shop = newShop(s.System.System, &Store{db}, cfg, transport)
	s.api = s.routes()
	o := s.place("key-1", tea)
	s.RunUntilIdle()
	if got := s.order(o.ID); got.Status != Paid {
		t.Errorf("it is %s", got.Status)
	}
	s.AssertNoneDead()
}
