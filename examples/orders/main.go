// Orders is a whole service: an HTTP API that takes orders, payment by a gateway that
// fails now and then, invoices, mails, and a report every night.
//
//	cd examples/orders && go run .
//
// This file is all of its plumbing: what is made, checked, served and stopped.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task/outbox"
)

func main() {
	cfg, use := chassis.MustLoad(defaults())
	store, err := openStore(context.Background(), cfg.Database.URL)
	if err != nil {
		log.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	sys := chassis.MustNew("orders", use, chassis.WithMetrics(metrics))
	sys.OnStop("database", func(context.Context) error { return store.db.Close() })
	sys.Check("database", store.db.PingContext, health.ForReadiness(), health.ForTasks())
	sys.Add("outbox", store.box.Relay(sys, outbox.Settings{}, outbox.WithRegisterer(metrics)))
	onLaptop(sys, &cfg)

	shop := newShop(sys, store, cfg, server.Propagate(nil))
	shop.nightly()
	around := server.Middleware(sys, server.WithRegisterer(metrics),
		server.WithTimeLimit(10*time.Second), server.WithShedding(server.Limits{}))
	sys.Serve(&http.Server{Addr: cfg.Listen, Handler: around(shop.routes())})
	if err := sys.Run(context.Background()); err != nil {
		os.Exit(1)
	}
}
