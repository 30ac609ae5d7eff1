package main

import (
	"log"
	"net"
	"net/http"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/examples/orders/gateway"
	"github.com/sambatech/chassis/parts"
)

// onLaptop runs the payment gateway and the mail service in this process, where the
// settings name none. They forget everything at the end of the process.
func onLaptop(sys *chassis.System, cfg *Config) {
	if cfg.Payments.URL != "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	cfg.Payments.URL = "http://" + l.Addr().String()
	cfg.Mail.URL = cfg.Payments.URL
	// Not by Serve: as a part that is no intake, it stops after the tasks that call it.
	sys.Add("gateway", parts.HTTP(l, &http.Server{Handler: gateway.New(gateway.Flaky())}))
}
