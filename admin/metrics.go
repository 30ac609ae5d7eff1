package admin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/parts"
)

// MetricNames returns the names of all metrics of ours, sorted. /metrics also has
// those of the Go runtime and the process, and what [Config.Metrics] gathers.
func MetricNames() []string {
	var names []string
	for _, m := range metrics() {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}

// collector reads the service when it is scraped. Nothing is counted for it: a
// call through a healthy breaker writes nothing that is shared.
type collector struct {
	server  *Server
	metrics []metric
	descs   []*prometheus.Desc // of each
}

// Gather implements prometheus.Gatherer: what /metrics shows. It works without a
// listener, until [Server.Close].
func (s *Server) Gather() ([]*dto.MetricFamily, error) { return s.gatherer.Gather() }

func (s *Server) metricsHandler() (http.Handler, error) {
	c := &collector{server: s, metrics: metrics()}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	registry := prometheus.NewRegistry()
	for _, r := range []prometheus.Collector{c, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(r); err != nil {
			return nil, err
		}
	}
	s.gatherer = registry
	if s.cfg.Metrics != nil {
		s.gatherer = prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			ours, err := registry.Gather()
			theirs, err2 := s.cfg.Metrics.Gather()
			return joined(ours, theirs), errors.Join(err, err2)
		})
	}
	return promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		EnableOpenMetrics: true, MaxRequestsInFlight: 8, Timeout: readTimeout,
	}), nil
}

// joined is ours and, of the service's own, those of other names: the default
// registry, say, has the Go runtime's too, and one name twice is an error.
func joined(ours, theirs []*dto.MetricFamily) []*dto.MetricFamily {
	byName := func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }
	all := slices.Clone(ours) // sorted, as every gatherer's
	for _, f := range theirs {
		if _, taken := slices.BinarySearchFunc(ours, f, byName); !taken {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, byName)
	return all
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	seen := c.server.scrape()
	for i := range c.metrics {
		c.metrics[i].read(seen, func(value any, labels ...string) {
			for k, l := range labels {
				labels[k] = clip.ID(l)
			}
			ch <- c.metrics[i].sample(c.descs[i], value, labels)
		})
	}
}

// sample returns a value as Prometheus takes it. It panics on another number of
// labels than the metric has names for, which the tests rule out.
func (m *metric) sample(desc *prometheus.Desc, value any, labels []string) prometheus.Metric {
	n := 0.0
	switch v := value.(type) {
	case dispatcher.Durations:
		buckets := make(map[float64]uint64, len(v.AtMost))
		for bound, n := range v.AtMost {
			buckets[bound.Seconds()] = n
		}
		return prometheus.MustNewConstHistogram(desc, v.Count, v.Sum.Seconds(), buckets, labels...)
	case bool:
		if v {
			n = 1
		}
	case time.Time:
		n = float64(v.UnixNano()) / 1e9
	case int:
		n = float64(v)
	case int64:
		n = float64(v)
	case uint64:
		n = float64(v)
	case float64:
		n = v
	}
	return prometheus.MustNewConstMetric(desc, m.kind, n, labels...)
}

// Labels are bounded: task names that are registered, services that have a
// breaker, each at most maxSeries. What is beyond is left out and counted.
const maxSeries = 200

// scrape is one look at the service. What the service does not have is empty.
type scrape struct {
	info     Info
	ready    Readiness
	logins   uint64
	queues   []Queue
	checks   []health.Status
	parts    []parts.Status         // at most maxSeries
	workers  []Workers              // one, or none without tasks
	tasks    []dispatcher.TaskStats // at most maxSeries
	breakers []Breaker              // at most maxSeries
	outputs  []logger.OutputStats
	actors   *lifecycle.Counts
	restarts by // by actor
	leftOut  by // by kind
}

func (s *Server) scrape() *scrape {
	ctx, cancel := context.WithTimeout(s.hub.ctx, stateTimeout)
	defer cancel()
	c := &s.cfg
	seen := &scrape{info: c.Service.Info(), ready: c.Service.Ready(ctx), logins: s.audit.logins(), restarts: by{},
		leftOut: by{}}
	if c.Queues != nil {
		seen.queues = c.Queues(ctx)
	}
	if c.Checks != nil {
		seen.checks = c.Checks()
	}
	if c.Parts != nil {
		seen.parts, seen.leftOut["parts"] = first(c.Parts(), maxSeries)
	}
	if c.Tasks != nil {
		w := c.Tasks.Workers()
		seen.workers = []Workers{w}
		seen.restarts["dispatcher"], seen.restarts["poller"] = w.Restarts, w.Poller.Restarts
		// Registered names alone: others are whatever was sent.
		list := slices.DeleteFunc(slices.Clone(w.Stats.Tasks),
			func(t dispatcher.TaskStats) bool { return !t.Registered })
		slices.SortFunc(list, func(a, b dispatcher.TaskStats) int { return cmp.Compare(a.Name, b.Name) })
		seen.tasks, seen.leftOut["tasks"] = first(list, maxSeries)
	}
	if c.Breakers != nil {
		list, restarts := s.breakers(), 0
		for i := range list {
			restarts += list[i].Restarts
		}
		seen.restarts["breaker"] = restarts
		seen.breakers, seen.leftOut["breakers"] = first(list, maxSeries)
	}
	if c.Logs != nil {
		seen.outputs = c.Logs.Stats().Outputs
	}
	if c.Actors != nil {
		a := c.Actors()
		seen.actors = &a
	}
	return seen
}

func (s *scrape) pools() []Pool {
	if len(s.workers) == 0 {
		return nil
	}
	return s.workers[0].Pools
}

// tenants are the ten that wait longest, and all others as one.
func (s *scrape) tenants() []dispatcher.TenantStats {
	if len(s.workers) == 0 {
		return nil
	}
	return s.workers[0].Tenants
}

// tenantLabel is the name of a tenant, and of all others. No key of a tenant has a space.
func tenantLabel(t *dispatcher.TenantStats) []string { return []string{cmp.Or(t.Tenant, "all others")} }

// right is one that a pool needs, or that is refused.
type right struct {
	action, queue string
	refused       bool
}

// rights returns those that every pool needs to work at all, granted ones too, so
// that an alert sees the change, and all that are refused.
func (s *scrape) rights() []right {
	refused := map[[2]string]bool{}
	for _, w := range s.workers {
		for _, p := range w.Pools {
			for _, action := range []string{poller.ActionReceive, poller.ActionDelete, poller.ActionHide,
				poller.ActionSend} {
				refused[[2]string{action, clip.ID(p.Name)}] = false
			}
		}
		for _, r := range w.Poller.Refused[:min(len(w.Poller.Refused), maxSeries)] {
			refused[[2]string{clip.ID(r.Action), clip.ID(r.Queue)}] = true
		}
	}
	var list []right
	for of, is := range refused {
		list = append(list, right{of[0], of[1], is})
	}
	return list
}
