package server

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/server/internal/register"
)

// Names of the metrics. The first two and their labels are those of OpenTelemetry's
// conventions for HTTP servers, in Prometheus' form.
const (
	metricDuration = "http_server_request_duration_seconds"
	metricActive   = "http_server_active_requests"
	metricPanics   = register.MetricPanics
	metricShed     = "chassis_server_shed_total"
	metricLimit    = "chassis_server_limit"
	metricInFlight = "chassis_server_in_flight"
	metricWaiting  = "chassis_server_waiting"
)

// Labels of OpenTelemetry's conventions.
const (
	labelMethod = "http_request_method"
	labelRoute  = "http_route"
	labelStatus = "http_response_status_code"
)

// metrics count requests. Every label has few values: the methods of the conventions,
// the patterns of the mux, the statuses of the handlers.
type metrics struct {
	duration *prometheus.HistogramVec
	active   [len(methods)]prometheus.Gauge
	panics   prometheus.Counter
}

// newMetrics registers the metrics; those that another middleware has registered on
// the same registry are shared.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricDuration, Buckets: register.Buckets(),
		Help: "Duration of HTTP requests, from their header to the end of their handler."},
		[]string{labelMethod, labelRoute, labelStatus})
	active := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricActive,
		Help: "HTTP requests under way."}, []string{labelMethod})
	m := &metrics{}
	var err error
	if m.duration, err = register.Shared(registerer, duration); err != nil {
		return nil, err
	}
	if active, err = register.Shared(registerer, active); err != nil {
		return nil, err
	}
	if m.panics, err = register.Panics(registerer); err != nil {
		return nil, err
	}
	for i, method := range methods {
		m.active[i] = active.WithLabelValues(method)
	}
	return m, nil
}

// observe counts the end of a request.
func (m *metrics) observe(r *route, status int, seconds float64) {
	known := r.observers.Load()
	if known != nil {
		for i := range *known {
			if o := &(*known)[i]; o.status == status {
				o.Observe(seconds)
				return
			}
		}
	}
	o := observer{m.duration.WithLabelValues(r.method, r.label, statusLabel(status)), status}
	o.Observe(seconds)
	var all []observer
	if known != nil {
		all = *known
	}
	if len(all) < maxObservers {
		all = append(slices.Clip(all), o)
		r.observers.CompareAndSwap(known, &all) // if another was quicker, the next request tries again
	}
}

// observer counts the requests of a route that end with a status.
type observer struct {
	prometheus.Observer
	status int
}

// maxObservers bounds the statuses of a route that are found without the registry's
// map. Their order is that of their first request, so that the usual one is the first.
const maxObservers = 16

// statusLabel writes a status. net/http lets a handler send any of three digits.
func statusLabel(status int) string { return strconv.Itoa(status) }

// Collect implements prometheus.Collector.
func (l *Limiter) Collect(ch chan<- prometheus.Metric) {
	s := l.Stats()
	gauge := func(name, help string, v int) {
		desc := prometheus.NewDesc(name, help, nil, l.label())
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v))
	}
	gauge(metricLimit, "Requests that may run at once, by the adaptive limit.", s.Limit)
	gauge(metricInFlight, "Requests that run under the adaptive limit.", s.InFlight)
	gauge(metricWaiting, "Requests that wait for others to end.", s.Waiting)
	shed := prometheus.NewDesc(metricShed, "Requests that were shed, by priority.", []string{"priority"}, l.label())
	for priority, n := range s.Shed {
		ch <- prometheus.MustNewConstMetric(shed, prometheus.CounterValue, float64(n), priority)
	}
}

// Describe implements prometheus.Collector.
func (l *Limiter) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, ch) }

func (l *Limiter) label() prometheus.Labels { return prometheus.Labels{"limit": l.limits.Name} }
