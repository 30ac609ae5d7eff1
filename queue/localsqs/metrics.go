package localsqs

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// prometheusHandler serves the stats for Prometheus.
func (s *Server) prometheusHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector shows the stats of a server.
type collector struct{ server *Server }

// Describe implements prometheus.Collector. What there is depends on the queues.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	type labels = prometheus.Labels
	put := func(kind prometheus.ValueType, name, help string, n float64, l labels) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("localsqs_"+name, help, nil, l), kind, n)
	}
	st := c.server.Stats()
	for _, q := range st.Queues {
		of := labels{"region": q.Region, "queue": q.Name}
		for state, n := range map[string]int{"visible": q.Visible, "in_flight": q.InFlight, "delayed": q.Delayed} {
			put(gauge, "messages", "Messages of a queue by state.", float64(n), labels{"region": q.Region, "queue": q.Name, "state": state})
		}
		put(gauge, "oldest_message_age_seconds", "Age of the oldest message of a queue.", q.OldestAge.Seconds(), of)
		put(gauge, "waiting_receives", "Receive calls that wait for a message.", float64(q.Waiting), of)
	}
	put(gauge, "connections", "Connections over sockets that are open.", float64(st.Connections.Open), nil)
	put(counter, "connections_refused_total", "Connections that were closed because there were too many.", float64(st.Connections.Refused), nil)
	for operation, n := range st.Requests {
		put(counter, "requests_total", "Requests by operation.", float64(n), labels{"operation": operation})
	}
	for code, n := range st.Errors {
		put(counter, "errors_total", "Refusals by code.", float64(n), labels{"code": code})
	}
	if st.File == "" {
		return
	}
	put(gauge, "file_bytes", "Length of the queue file.", float64(st.Bytes), nil)
	put(counter, "commit_failures_total", "Groups of changes that could not be written.", float64(st.Commits.Failures), nil)
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, bound := range CommitBounds() {
		sum += uint64(st.Commits.Within[i])
		buckets[bound.Seconds()] = sum
	}
	ch <- prometheus.MustNewConstHistogram(prometheus.NewDesc("localsqs_commit_seconds", "Time of a transaction, with its fsync.", nil, nil),
		uint64(st.Commits.Count), st.Commits.Total.Seconds(), buckets)
}
