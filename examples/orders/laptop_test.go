package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task/outbox"
)

// Without settings the gateway runs in the process, and outlives the tasks that call it.
func TestOnALaptop(t *testing.T) {
	cfg, store := defaults(), testStore(t, testDSN(t.TempDir()))
	s := &service{t: t, db: store.db, pause: 300 * time.Millisecond}
	s.System = chassistest.New(t, chassistest.Name("orders"))
	s.Add("outbox", store.box.Relay(s.System.System, outbox.Settings{Poll: time.Minute})) // a commit wakes it
	onLaptop(s.System.System, &cfg)
	if cfg.Payments.URL == "" || cfg.Mail.URL == "" {
		t.Fatalf("the gateway is at %q, mails at %q", cfg.Payments.URL, cfg.Mail.URL)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.shop = newShop(s.System.System, store, cfg, transport)
	s.api = s.routes()
	o := s.place("key-1", tea)
	s.RunUntilIdle()
	if got := s.order(o.ID); got.Status != Paid {
		t.Errorf("it is %s", got.Status)
	}
	s.AssertNoneDead()
}
