package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// series returns what a registry has of a metric, as "a=b c=d" to its value or count.
func series(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			all[labels(m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func labels(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		all = append(all, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(all, " ")
}

func sum(t *testing.T, reg *prometheus.Registry, name string) (n float64) {
	t.Helper()
	for _, v := range series(t, reg, name) {
		n += v
	}
	return n
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	var active float64
	mux := muxOf(map[string]http.HandlerFunc{
		"GET /orders/{id}": func(http.ResponseWriter, *http.Request) {
			active = series(t, reg, metricActive)["http_request_method=GET"]
		},
		"/any/": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
	})
	h := Metrics(WithRegisterer(reg))(mux)
	ask(h, "GET", "/orders/1")
	ask(h, "GET", "/orders/2")
	ask(h, "POST", "/any/a")
	ask(h, "BREW", "/any/b")
	ask(h, "GET", "/none")
	want := map[string]float64{
		"http_request_method=GET http_response_status_code=200 http_route=/orders/{id}": 2,
		"http_request_method=POST http_response_status_code=418 http_route=/any/":       1,
		"http_request_method=_OTHER http_response_status_code=418 http_route=/any/":     1,
		"http_request_method=GET http_response_status_code=404 http_route=":             1,
	}
	if got := series(t, reg, metricDuration); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if active != 1 || sum(t, reg, metricActive) != 0 {
		t.Errorf("active: %v in a handler, %v after it", active, sum(t, reg, metricActive))
	}
	// Two servers share a registry.
	ask(Metrics(WithRegisterer(reg))(mux), "GET", "/orders/1")
	if n := sum(t, reg, metricDuration); n != 6 {
		t.Errorf("%v requests are counted", n)
	}
}

// Strangers filled the memory of others with methods and paths as labels.
func TestHostileLabels(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := Middleware(newLines(t), WithRegisterer(reg), WithSample(1000))(muxOf(map[string]http.HandlerFunc{"/": write("")}))
	for i := range 10_000 {
		ask(h, fmt.Sprint("M", i), fmt.Sprint("/", i), "X-Request-Id", fmt.Sprint("id-", i), "User-Agent", fmt.Sprint(i))
	}
	if got := series(t, reg, metricDuration); len(got) != 1 {
		t.Errorf("%d series", len(got))
	}
	// A function that returns paths by mistake has an end too.
	reg = prometheus.NewRegistry()
	h = Metrics(WithRegisterer(reg), WithRoutes(func(r *http.Request) string { return r.URL.Path }))(write(""))
	for i := range 3 * maxRoutes {
		ask(h, "GET", fmt.Sprint("/", i))
	}
	ask(h, "GET", "/"+strings.Repeat("x", 1<<16))
	got := series(t, reg, metricDuration)
	if len(got) > maxRoutes+1 || got["http_request_method=GET http_response_status_code=200 http_route=/_OTHER"] != 2*maxRoutes+1 {
		t.Errorf("%d series", len(got))
	}
}

func TestMetricsOfTheLimit(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := Middleware(nil, WithRegisterer(reg), WithShedding(Limits{Name: "api", Min: 1, Max: 1, Queue: -1}))
	inside := h(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for name, want := range map[string]float64{metricLimit: 1, metricInFlight: 1, metricWaiting: 0} {
			if got := series(t, reg, name)["limit=api"]; got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
		ask(h(write("")), "GET", "/")
	}))
	ask(inside, "GET", "/")
	if got := series(t, reg, metricShed)["limit=api priority=normal"]; got != 1 {
		t.Errorf("%v", series(t, reg, metricShed))
	}
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "Limits.Name") {
			t.Errorf("two limits of one name: %s", v)
		}
	}()
	Middleware(nil, WithRegisterer(reg), WithShedding(Limits{Name: "api"}))
}
