package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mostCounted bounds what a look counts: with more rows the gauge stands there.
const mostCounted = 100_000

// measured is what a look at the tables has found.
type measured struct {
	rows, aside int64
	oldest      time.Time // of the row with the lowest id, by this process's clock; zero without one
}

// measure looks at the tables. It reads an index and at most mostCounted rows.
func (b *Box) measure(ctx context.Context) (m measured, err error) {
	var age float64
	if err := b.db.QueryRowContext(ctx, b.sql.look()).Scan(&m.rows, &age, &m.aside); err != nil {
		return m, fmt.Errorf("outbox: look at the rows of %s: %w", b.table, err)
	}
	if m.rows > 0 {
		m.oldest = time.Now().Add(-max(time.Duration(age*float64(time.Second)), 0))
	}
	return m, nil
}

func (r *Relay) measure(ctx context.Context) error {
	m, err := r.box.measure(ctx)
	if err != nil {
		return err
	}
	r.measuredAt = time.Now()
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	r.stats.measured = m
	return nil
}

// Check returns a check for System.Check, which fails if the database does not answer or
// the oldest row waits for longer than most. An API that only writes rows is ready all the
// same: then let it count for information.
//
//	sys.Check("outbox", box.Check(5*time.Minute), health.ForInformation())
func (b *Box) Check(most time.Duration) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		m, err := b.measure(ctx)
		if err != nil {
			return err
		}
		if m.rows == 0 {
			return nil
		}
		if age := time.Since(m.oldest); age > most {
			return fmt.Errorf("outbox: the oldest of %d rows of %s waits for %v, longer than %v: see whether a relay "+
				"runs, and its log", m.rows, b.table, age.Round(time.Second), most)
		}
		return nil
	}
}

// WithRegisterer registers the relay's metrics while it runs. They are gathered by the
// registry of chassis.WithMetrics:
//
//	chassis_outbox_rows                    rows that wait, up to 100 000
//	chassis_outbox_oldest_row_age_seconds  age of the oldest
//	chassis_outbox_aside_rows              rows that no queue takes
//	chassis_outbox_sent_total              rows that a queue has acknowledged to this relay
//	chassis_outbox_failed_total            tries of single rows that failed
//	chassis_outbox_away_pools              pools that it does not send to for a while
//	chassis_outbox_up                      1 if its last pass has worked
//
// Rows and ages are looked up every 5 s. While the database is away the age goes on.
func WithRegisterer(r prometheus.Registerer) RelayOption {
	return func(relay *Relay) { relay.registerer = r }
}

// measureEvery is how often a relay looks up what its metrics show.
const measureEvery = 5 * time.Second

func (r *Relay) register() error {
	if r.registerer == nil {
		return nil
	}
	r.metrics = newCollector(r)
	if err := r.registerer.Register(r.metrics); err != nil {
		return fmt.Errorf("outbox: register the metrics of %s: %w", r.box.table, err)
	}
	return nil
}

func (r *Relay) unregister() {
	if r.metrics != nil {
		r.registerer.Unregister(r.metrics)
	}
}

// collector shows a relay to Prometheus.
type collector struct {
	relay                                         *Relay
	rows, oldest, aside, sent, failed, away, isUp *prometheus.Desc
}

func newCollector(r *Relay) *collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("chassis_outbox_"+name, help, nil, prometheus.Labels{"table": r.box.table})
	}
	return &collector{relay: r,
		rows:   desc("rows", "Rows that wait to be sent, up to 100 000."),
		oldest: desc("oldest_row_age_seconds", "Age of the oldest row that waits."),
		aside:  desc("aside_rows", "Rows that no queue takes."),
		sent:   desc("sent_total", "Rows that a queue has acknowledged."),
		failed: desc("failed_total", "Tries of single rows that failed."),
		away:   desc("away_pools", "Pools that are not sent to for a while."),
		isUp:   desc("up", "1 if the last pass has worked."),
	}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.rows, c.oldest, c.aside, c.sent, c.failed, c.away, c.isUp} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.relay.Stats()
	age, up := 0.0, 1.0
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest).Seconds()
	}
	if s.Error != "" {
		up = 0
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
	gauge(c.rows, float64(s.Rows))
	gauge(c.oldest, age)
	gauge(c.aside, float64(s.AsideRows))
	count(c.sent, s.Sent)
	count(c.failed, s.Failed)
	gauge(c.away, float64(len(s.Away)))
	gauge(c.isUp, up)
}
