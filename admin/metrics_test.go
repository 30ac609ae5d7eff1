package admin

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/settings"
)

func TestMetricsKeepTheConventionsAndBoundTheirLabels(t *testing.T) {
	p := newPlant()
	age := 12.5
	p.queues[0].OldestAge = &age
	srv := serve(t, p, Settings{})
	w := ask(srv, "GET", "/metrics", "")
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	body := w.Body.String()
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatalf("%v in:\n%s", err, body)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		`chassis_queue_messages{queue="mailer-tasks",role="tasks",state="visible"} 12`,
		`chassis_queue_oldest_message_age_seconds{queue="mailer-tasks",role="tasks"} 12.5`,
		`chassis_task_attempts_total{outcome="succeeded",task="welcome"} 9`,
		`chassis_task_duration_seconds_bucket{task="welcome",le="0.1"} 5`,
		`chassis_task_duration_seconds_count{task="welcome"} 10`,
		`chassis_breaker_state{service="https://mail.internal",state="closed"} 1`,
		`chassis_breaker_entries{service="https://mail.internal",state="open"} 1`,
		`chassis_breaker_http_call_duration_seconds_bucket{service="https://mail.internal",verdict="success",le="0.05"} 3`,
		`chassis_breaker_http_refused_total{service="https://mail.internal"} 2`,
		`chassis_breaker_http_repeats_total{kind="retry",service="https://mail.internal"} 5`,
		`chassis_breaker_http_repeats_total{kind="hedge",service="https://mail.internal"} 3`,
		`chassis_breaker_http_repeats_total{kind="over_budget",service="https://mail.internal"} 1`,
		`chassis_breaker_limit{service="https://mail.internal"} 20`,
		`chassis_breaker_limit_in_flight{service="https://mail.internal"} 12`,
		`chassis_breaker_limit_waiting{service="https://mail.internal"} 3`,
		`chassis_breaker_limit_refused_total{service="https://mail.internal"} 5`,
		`chassis_breaker_addresses{service="https://mail.internal",state="closed"} 9`,
		`chassis_breaker_addresses{service="https://mail.internal",state="open"} 1`,
		`chassis_ready{check="task_queues"} 1`,
		`chassis_service_state{state="running"} 1`,
		`chassis_refused_rights{action="sqs:SendMessage",queue="mailer-sorry"} 1`,
		`chassis_refused_rights{action="sqs:DeleteMessage",queue="mailer-tasks"} 0`,
		`chassis_queue_client_requests_total{path="shortcut"} 7`,
		`chassis_queue_client_requests_total{path="sdk"} 3`,
		`chassis_queue_shortcut_refused_total 2`,
		`chassis_task_stalled_total{task="welcome"} 2`,
		`go_goroutines `, `process_start_time_seconds `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, "stranger") {
		t.Error("a name from a message is a label")
	}
}

func TestEveryMetricNameIsServed(t *testing.T) {
	p := newPlant()
	age := 1.0
	p.queues[0].OldestAge = &age
	p.tasks[0].Delay = p.tasks[0].Run
	p.workers.Tenants = []dispatcher.TenantStats{{Tenant: "all-others", Messages: 1}, {Messages: 2, Dwell: 1500 * time.Millisecond}}
	body := ask(serve(t, p, Settings{}), "GET", "/metrics", "").Body.String()
	if want := `chassis_tenant_dwell_seconds{tenant="all others"} 1.5`; !strings.Contains(body, want) {
		t.Errorf("no %s", want)
	}
	for _, name := range MetricNames() {
		if !strings.Contains(body, "# TYPE "+name+" ") {
			t.Errorf("%s is not served", name)
		}
	}
	for line := range strings.Lines(body) {
		if name, _, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " "); strings.HasPrefix(name, "chassis_") && strings.HasPrefix(line, "# TYPE") && !slices.Contains(MetricNames(), name) {
			t.Errorf("%s is served but not listed", name)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	p := newPlant()
	p.tasks, p.breakers = nil, nil
	for i := range 1000 {
		name := strings.Repeat("x", i+1)
		p.tasks = append(p.tasks, dispatcher.TaskStats{Name: name, Registered: true})
		p.breakers = append(p.breakers, newBreaker("https://"+name, breaker.Closed))
	}
	body := ask(serve(t, p, Settings{}), "GET", "/metrics", "").Body.String()
	if n := strings.Count(body, "chassis_task_attempts_started_total{"); n != maxSeries {
		t.Errorf("%d tasks", n)
	}
	if n := strings.Count(body, "chassis_breaker_transitions_total{"); n != maxSeries {
		t.Errorf("%d breakers", n)
	}
	if !strings.Contains(body, `chassis_metrics_left_out{kind="tasks"} 800`) || !strings.Contains(body, `chassis_metrics_left_out{kind="breakers"} 800`) {
		t.Error("what is left out is not counted")
	}
}

func TestAServicesOwnMetricsAreServedWithOurs(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mails_waiting", Help: "Mails."}, func() float64 { return 7 }))
	cfg := newPlant().config(Settings{})
	cfg.Metrics = registry
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(t.Context())
	if body := ask(srv, "GET", "/metrics", "").Body.String(); !strings.Contains(body, "mails_waiting 7") || !strings.Contains(body, "chassis_ready") {
		t.Error(body)
	}
}

func TestMetricsAreOpenIfTheSettingSaysSo(t *testing.T) {
	srv := serve(t, newPlant(), Settings{Listen: ":0", Token: settings.NewSecret(goodToken), OpenMetrics: true})
	if w := ask(srv, "GET", "/metrics", "", "Host: 10.0.0.1"); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// TestTheDefaultRegistryIsServedWithOurs: it has the Go runtime's and the
// process' metrics too, as every program's that uses promauto.
func TestTheDefaultRegistryIsServedWithOurs(t *testing.T) {
	own := prometheus.NewRegistry()
	mails := prometheus.NewCounter(prometheus.CounterOpts{Name: "mails_total", Help: "Mails."})
	own.MustRegister(mails, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p, log := newPlant(), &strings.Builder{}
	cfg := p.config(Settings{})
	cfg.Metrics, cfg.Logger = own, slog.New(slog.NewTextHandler(log, nil))
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(t.Context())
	body := ask(srv, "GET", "/metrics", "").Body.String()
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "mails_total", "chassis_ready"} {
		if strings.Count(body, "# TYPE "+name+" ") != 1 {
			t.Errorf("%s is served %d times", name, strings.Count(body, "# TYPE "+name+" "))
		}
	}
	if problems, err := promlint.New(strings.NewReader(body)).Lint(); err != nil {
		t.Error(err, problems)
	}
	if log.Len() > 0 {
		t.Errorf("a scrape is logged: %s", log)
	}
}

// TestANameThatIsNoUTF8CostsNoMetrics: one bad label would end them all.
func TestANameThatIsNoUTF8CostsNoMetrics(t *testing.T) {
	p := newPlant()
	p.info.Name, p.breakers[0].Service = "ma\xffiler", "https://\xfe"
	body := ask(serve(t, p, Settings{}), "GET", "/metrics", "").Body.String()
	for _, want := range []string{"service=\"ma\uFFFDiler…", "service=\"https://\uFFFD…", "chassis_log_bytes_total{"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}
