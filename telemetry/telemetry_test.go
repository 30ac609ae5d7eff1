package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment sets the variables of OpenTelemetry, and no others of them.
func environment(t *testing.T, vars ...string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for i := 0; i < len(vars); i += 2 {
		t.Setenv(vars[i], vars[i+1])
	}
}

// output is that of a log.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// newService makes a service with a task that calls what is away, and logs.
func newService(t *testing.T, more ...chassis.Option) (*chassis.System, *task.Definition[string], *output, chan struct{}) {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.ReceiveWait, s.CircuitBreaker.ClosedFailLimit = "orders-tasks", time.Second, 1
	s.Log.Redact = append(s.Log.Redact, "card")
	out := &output{}
	sys, err := telemetry.New("orders", append([]chassis.Option{chassis.WithSettings(s), chassis.WithLogOutput(out),
		chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Stop(context.Background()) })
	gateway := sys.Breaker("https://gateway.internal")
	charge := task.Define[string]("charge")
	done := make(chan struct{}, 1000)
	log := sys.Logger("payments").WithGroup("payment")
	chassis.Handle(sys, charge, func(ctx context.Context, job task.Job[string]) error {
		away := func(context.Context) error { return errors.New("connection refused") }
		first, second := gateway.Do(ctx, "", away), gateway.Do(ctx, "", away)
		log.InfoContext(ctx, "charging", "order", job.Args, "card", "4111", "tripped", first != nil && errors.Is(second, breaker.ErrOpen))
		done <- struct{}{}
		return nil
	})
	return sys, charge, out, done
}

// A task that is sent and run, the trip of a breaker and a line of the log arrive at a
// collector with one trace, and the metrics beside them.
func TestEverythingArrivesWithOneTrace(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			c, url := collect(t, protocol)
			environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", url, "OTEL_EXPORTER_OTLP_PROTOCOL", protocol,
				"OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
			own := prometheus.NewRegistry()
			own.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total"}))
			sys, charge, _, done := newService(t, chassis.WithMetrics(own))
			if err := sys.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx := task.WithOrigin(t.Context(), "r-17", "POST /orders")
			if _, err := chassis.Send(ctx, sys, charge, "17"); err != nil {
				t.Fatal(err)
			}
			<-done
			if err := sys.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			i := slices.IndexFunc(c.records, func(r record) bool { return r.body == "charging" })
			if i < 0 {
				t.Fatalf("the line is not there: %+v", c.records)
			}
			line := c.records[i]
			if line.trace == strings.Repeat("0", 32) || line.attrs["job_id"] != "r-17" || line.attrs["job_name"] != "POST /orders" ||
				line.attrs["task"] != "charge" || strings.Contains(line.attrs["payment"], "4111") ||
				!strings.Contains(line.attrs["payment"], "[REDACTED]") {
				t.Errorf("the line is %+v", line)
			}
			var names []string
			verdicts := map[string]bool{}
			for _, s := range c.spans {
				if s.trace == line.trace {
					names = append(names, s.name)
					verdicts[s.attrs["chassis.breaker.verdict"]] = true
					if s.attrs["chassis.breaker.refused"] != "" {
						verdicts["refused"] = true
					}
				}
			}
			for _, want := range []string{"send", "process", "breaker https://gateway.internal"} {
				if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, want) }) {
					t.Errorf("the trace has no span like %q: %q", want, names)
				}
			}
			if !verdicts["failure"] || !verdicts["refused"] {
				t.Errorf("the breaker's trip is not in the trace: %v", verdicts)
			}
			if !slices.ContainsFunc(c.records, func(r record) bool { return r.body == "stopped" }) {
				t.Error("the record of the stop is not there: the flush was not last")
			}
			for _, want := range []string{"chassis_task_attempts_total", "chassis_breaker_state", "orders_total"} {
				if !c.metrics[want] {
					t.Errorf("the metric %s is not there: %v", want, c.metrics)
				}
			}
			if c.resource["service.name"] != "orders" || c.resource["service.instance.id"] == "" ||
				c.resource["deployment.environment.name"] != "test" {
				t.Errorf("the resource is %v", c.resource)
			}
		})
	}
}

// Without the variables nothing of OpenTelemetry's SDK runs.
func TestNothingSetNothingHappens(t *testing.T) {
	environment(t, "OTEL_SERVICE_NAME", "another")
	sys, charge, _, done := newService(t)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := chassis.Send(t.Context(), sys, charge, "17"); err != nil {
		t.Fatal(err)
	}
	<-done
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, g := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(g, "go.opentelemetry.io/") || strings.Contains(g, "chassis/telemetry.(") {
			t.Errorf("a goroutine:\n%s", g)
		}
	}
}

// A collector that is away, or takes connections and says nothing, delays no task and
// holds the stop for its limit at most.
func TestACollectorThatDoesNotAnswer(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for _, how := range []string{"dead", "hangs"} {
			t.Run(protocol+" "+how, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				accepted := make(chan struct{})
				go func() {
					defer close(accepted)
					var all []net.Conn
					for {
						c, err := l.Accept()
						if err != nil {
							break
						}
						all = append(all, c)
					}
					for _, c := range all {
						_ = c.Close()
					}
				}()
				if how == "dead" {
					_ = l.Close()
				}
				defer func() { _ = l.Close(); <-accepted }()
				environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL", protocol,
					"OTEL_BSP_SCHEDULE_DELAY", "50", "OTEL_BLRP_SCHEDULE_DELAY", "50", "OTEL_METRIC_EXPORT_INTERVAL", "50")
				sys, charge, out, done := newService(t)
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				const tasks = 100
				for range tasks {
					if _, err := chassis.Send(t.Context(), sys, charge, "17"); err != nil {
						t.Fatal(err)
					}
				}
				for range tasks {
					<-done
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("%d tasks took %v", tasks, took)
				}
				begun = time.Now()
				if err := sys.Stop(context.Background()); err != nil {
					t.Errorf("the stop: %v", err)
				}
				if took := time.Since(begun); took > telemetry.FlushLimit+3*time.Second {
					t.Errorf("the stop took %v", took)
				}
				if !strings.Contains(out.String(), "telemetry") {
					t.Error("the log does not say that nothing is delivered")
				}
			})
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAMistakeInTheEnvironmentIsAnError(t *testing.T) {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		environment(t, "OTEL_"+signal+"_EXPORTER", "carrier-pigeon")
		sys, err := telemetry.New("orders", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithoutDefaultLogger())
		if err == nil {
			_ = sys.Stop(context.Background())
			t.Fatalf("%s: no error", signal)
		}
		if !strings.Contains(err.Error(), "carrier-pigeon") || !strings.Contains(err.Error(), "OTEL_"+signal+"_EXPORTER") {
			t.Errorf("%s: %v", signal, err)
		}
	}
	environment(t, "OTEL_TRACES_EXPORTER", "otlp")
	if _, err := telemetry.New(""); err == nil {
		t.Error("a service without a name is no error")
	}
}
