package server

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/server"
)

// nowhere is a ResponseWriter that costs nothing: the figures are those of the
// middleware and the mux.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w *nowhere) WriteHeader(int)             {}
func (w *nowhere) Flush()                      {}

func mux() *http.ServeMux {
	m := http.NewServeMux()
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }
	m.HandleFunc("GET /orders/{id}", answer)
	m.HandleFunc("GET /orders", answer)
	m.HandleFunc("POST /orders", answer)
	m.HandleFunc("/livez", answer)
	return m
}

// system logs as a chassis does, to nowhere.
type system struct{ log *logger.Logger }

func (s system) Logger(name string) *slog.Logger { return s.log.Named(name) }

func newSystem(b *testing.B, level logger.Level) system {
	l, err := logger.New("orders", logger.Settings{Format: logger.FormatJSON, Level: level}, logger.WithOutput(io.Discard))
	if err != nil {
		b.Fatal(err)
	}
	actors := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}), actor.WithDeadLetterThrottleInterval(time.Millisecond))
	if _, err := l.Start(actors); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = l.Stop(context.Background())
		actors.Shutdown()
	})
	return system{l}
}

// cpuTime is what the process has used of its cores, the collector and the logger's
// actor included: on a machine that others use, the time of a clock says little.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkServer(b *testing.B) {
	chi := func() http.Handler {
		middleware.DefaultLogger = middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", log.LstdFlags), NoColor: true})
		return middleware.RequestID(middleware.Logger(middleware.Recoverer(mux())))
	}
	otel := func() http.Handler {
		provider := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
		return otelhttp.NewHandler(mux(), "server", otelhttp.WithMeterProvider(provider), otelhttp.WithTracerProvider(noop.NewTracerProvider()))
	}
	for _, c := range []struct {
		name string
		h    func() http.Handler
	}{
		{"bare", func() http.Handler { return mux() }},
		{"ours", func() http.Handler {
			return server.Middleware(newSystem(b, "info"), server.WithRegisterer(prometheus.NewRegistry()))(mux())
		}},
		{"ours-without-log", func() http.Handler {
			return server.Middleware(newSystem(b, "error"), server.WithRegisterer(prometheus.NewRegistry()))(mux())
		}},
		{"ours-shedding", func() http.Handler {
			return server.Middleware(newSystem(b, "info"), server.WithRegisterer(prometheus.NewRegistry()), server.WithShedding(server.Limits{}))(mux())
		}},
		{"ours-shedding-limit", func() http.Handler {
			return server.Middleware(newSystem(b, "info"), server.WithRegisterer(prometheus.NewRegistry()), server.WithShedding(server.Limits{}),
				server.WithTimeLimit(time.Minute))(mux())
		}},
		{"chi", chi},
		{"otelhttp", otel},
		{"chi-otelhttp", func() http.Handler {
			provider := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
			return otelhttp.NewHandler(chi(), "server", otelhttp.WithMeterProvider(provider), otelhttp.WithTracerProvider(noop.NewTracerProvider()))
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := c.h()
			r := httptest.NewRequest("GET", "/orders/17", nil)
			w := &nowhere{header: http.Header{}}
			for range 1000 { // buffers and tables are made
				h.ServeHTTP(w, r)
			}
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
