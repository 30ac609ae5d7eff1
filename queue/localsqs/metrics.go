package localsqs

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sambatech/chassis/queue/localsqs/internal/store"
)

// serveMetrics answers with st in a format of Prometheus.
func serveMetrics(w http.ResponseWriter, r *http.Request, st Stats) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(exported(st))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// exported collects the metrics of one snapshot.
type exported Stats

// Describe implements prometheus.Collector. The queues come and go, so nothing is
// described beforehand.
func (exported) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (st exported) Collect(out chan<- prometheus.Metric) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("localsqs_"+name, help, labels, nil)
	}
	messages := desc("messages", "Messages of a queue by state.", "region", "queue", "state")
	age := desc("oldest_message_age_seconds", "Age of the oldest message of a queue.", "region", "queue")
	waiting := desc("waiting_receives", "Receive calls that wait for a message.", "region", "queue")
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	for _, q := range st.Queues {
		gauge(messages, float64(q.Visible), q.Region, q.Name, "visible")
		gauge(messages, float64(q.InFlight), q.Region, q.Name, "in_flight")
		gauge(messages, float64(q.Delayed), q.Region, q.Name, "delayed")
		gauge(age, q.OldestAge.Seconds(), q.Region, q.Name)
		gauge(waiting, float64(q.Waiting), q.Region, q.Name)
	}
	gauge(desc("connections", "Connections over sockets that are open."), float64(st.Connections.Open))
	counter(desc("connections_refused_total", "Connections that were closed because there were too many."),
		st.Connections.Refused)
	requests := desc("requests_total", "Requests by operation.", "operation")
	for operation, n := range st.Requests {
		counter(requests, n, operation)
	}
	refusals := desc("errors_total", "Refusals by code.", "code")
	for code, n := range st.Errors {
		counter(refusals, n, code)
	}
	if st.File == "" {
		return
	}
	gauge(desc("file_bytes", "Length of the queue file."), float64(st.Bytes))
	counter(desc("commit_failures_total", "Groups of changes that could not be written."), st.Commits.Failures)
	within, sum := map[float64]uint64{}, int64(0)
	for i, bound := range store.Bounds() {
		sum += st.Commits.Within[i]
		within[bound.Seconds()] = uint64(sum)
	}
	out <- prometheus.MustNewConstHistogram(desc("commit_seconds", "Time of a transaction, with its fsync."),
		uint64(st.Commits.Count), st.Commits.Total.Seconds(), within)
}
