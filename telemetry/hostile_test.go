//go:build unix

package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/telemetry"
)

// Two services of a process get a SIGTERM while their collector throttles one signal for an hour, answers another with a
// page without an end, and cuts the connections of the third. Both stop within their limit, and say what is not
// delivered (as of Wave-RF/WaveHouse#288, where the signals were shut down one after the other, and of
// open-telemetry/opentelemetry-python#4043, where a process hangs in its end).
func TestASignalWhileTheCollectorMisbehaves(t *testing.T) {
	var traces, metrics, logs atomic.Int64
	gone := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/traces"):
			traces.Add(1)
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/metrics"):
			metrics.Add(1)
			w.Header().Set("Content-Type", "text/html")
			for {
				select {
				case <-gone:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if _, err := w.Write([]byte(strings.Repeat("<p>welcome</p>", 1000))); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
			}
		default:
			logs.Add(1)
			panic(http.ErrAbortHandler)
		}
	}))
	defer collector.Close()
	defer close(gone)
	environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY", "20", "OTEL_BLRP_SCHEDULE_DELAY", "20", "OTEL_METRIC_EXPORT_INTERVAL", "20")

	var running sync.WaitGroup
	var outs []*output
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 2 {
		sys, charge, out, done := newService(t)
		outs = append(outs, out)
		running.Go(func() {
			if err := sys.Run(context.Background()); err != nil {
				t.Errorf("the end of the service: %v", err)
			}
		})
		for sys.State() != chassis.Running {
			time.Sleep(time.Millisecond) // real time: sockets
		}
		for range 20 {
			if _, err := chassis.Send(t.Context(), sys, charge, "17"); err != nil {
				t.Fatal(err)
			}
			<-done
		}
	}
	for begun := time.Now(); traces.Load() == 0 || metrics.Load() == 0 || logs.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 20*time.Second { // real time: sockets
			t.Fatalf("the collector has seen %d, %d and %d requests", traces.Load(), metrics.Load(), logs.Load())
		}
	}
	begun := time.Now()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	if took := time.Since(begun); took > telemetry.FlushLimit+3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	for _, out := range outs {
		if !strings.Contains(out.String(), "telemetry: ") {
			t.Errorf("the log does not say that something is not delivered: %s", out)
		}
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the page without an end has cost %d MiB", grown>>20)
	}
}

// What is wrong in a variable is an error of the start that names it, and shows no key. The SDK would say a line on stderr
// and send to localhost; of a negative size it panics.
func TestGarbageInTheEnvironment(t *testing.T) {
	const endpoint = "http://127.0.0.1:1"
	for _, c := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "::not a url::", "want one like http://collector:4318"},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector:4317", "want one like http://collector:4318"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush%zz", "the header 1 is wrong"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,hush", "the header 2 is wrong"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "-5", "want a whole number of 0"},
		{"OTEL_BSP_SCHEDULE_DELAY", "soon", "want a whole number of 1"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-1", "want a whole number of 1"},
		{"OTEL_BLRP_MAX_QUEUE_SIZE", "1000000000000000000", "want a whole number of 1"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "0", "want a whole number of 1"},
		{"OTEL_RESOURCE_ATTRIBUTES", "a,b=c", "want key=value"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "no such file"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "smoke", "invalid OTLP protocol"},
	} {
		environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint, c.name, c.value)
		sys, err := telemetry.New("orders", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger())
		if err == nil {
			_ = sys.Stop(context.Background())
			t.Errorf("%s=%s: no error", c.name, c.value)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.want) || !strings.Contains(text, "OTEL_") || strings.Contains(text, "hush") {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
	}
	environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint, "OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x-y=,",
		"OTEL_EXPORTER_OTLP_TIMEOUT", "0", "OTEL_BSP_MAX_QUEUE_SIZE", " 10 ", "OTEL_RESOURCE_ATTRIBUTES", "a=b, c=d%2Ce",
		"OTEL_METRICS_EXPORTER", "none")
	sys, err := telemetry.New("orders", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(&output{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
