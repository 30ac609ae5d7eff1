// Package register registers metrics that several servers of a process share.
//
//	panics, err := register.Shared(registry, prometheus.NewCounter(...)) // the first one's, for all
//
// It owns nothing: the registry does. It may be used from several goroutines. A test
// gives it a registry of its own.
package register

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Shared registers c, or returns the one that is registered already.
func Shared[C prometheus.Collector](registerer prometheus.Registerer, c C) (C, error) {
	err := registerer.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if old, ok := already.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	return c, err
}

// Panics returns the counter of the panics of handlers, of every protocol.
func Panics(registerer prometheus.Registerer) (prometheus.Counter, error) {
	return Shared(registerer,
		prometheus.NewCounter(prometheus.CounterOpts{Name: MetricPanics, Help: "Panics of handlers."}))
}

// MetricPanics is the name of [Panics].
const MetricPanics = "chassis_server_panics_total"

// Buckets are the boundaries that OpenTelemetry's conventions advise for durations of
// requests and calls, in seconds.
func Buckets() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}
