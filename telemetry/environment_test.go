package telemetry

import "testing"

func TestWhichSignalsAreOn(t *testing.T) {
	all := signals{true, true, true}
	for _, c := range []struct {
		name string
		env  map[string]string
		want signals
	}{
		{"nothing set", nil, signals{}},
		{"what says nothing of exporters", map[string]string{"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, signals{}},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, all},
		{"an endpoint of one", map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://x:4318"}, signals{logs: true}},
		{"an exporter", map[string]string{"OTEL_TRACES_EXPORTER": "console"}, signals{traces: true}},
		{"none of one", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"},
			signals{traces: true, logs: true}},
		{"disabled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": " True"}, signals{}},
	} {
		if got := chosen(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}
