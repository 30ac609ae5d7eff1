package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/logger"
)

// FlushLimit is the longest time that a stop waits for what is not delivered yet.
const FlushLimit = 3 * time.Second

// lastWord is the time that exporters have after it to return.
const lastWord = 500 * time.Millisecond

// New is chassis.New for a service with telemetry as the environment says. A value of a
// variable that is not understood is an error. Options of the service come after those
// of the telemetry: chassis.WithTracing replaces the traces.
func New(service string, opts ...chassis.Option) (*chassis.System, error) {
	on := chosen(os.Getenv)
	if on == (signals{}) {
		return chassis.New(service, opts...)
	}
	if err := check(os.Getenv); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	e, err := newExports(service, on)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	sys, err := chassis.New(service, append(e.options(), opts...)...)
	if err != nil {
		return nil, errors.Join(err, e.end(context.Background()))
	}
	e.gatherer.Store(&gatherer{sys.Metrics()})
	e.log.Store(sys.Log())
	sys.Add("telemetry", &last{e, on}) // the first part is the last one to stop
	return sys, nil
}

// MustNew is [New] for a main function: it writes the error to stderr and ends the
// process with status 1.
func MustNew(service string, opts ...chassis.Option) *chassis.System {
	sys, err := New(service, opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return sys
}

// exports are the exporters of one service.
type exports struct {
	traces  *sdktrace.TracerProvider // nil: off
	metrics *sdkmetric.MeterProvider // nil: off
	logs    *sdklog.LoggerProvider   // nil: off
	hook    *hook

	over  context.Context // ends when the flush does, and every export with it
	close context.CancelFunc

	gatherer atomic.Pointer[gatherer]      // nil until the service is made
	kept     atomic.Pointer[families]      // of the end of the parts; nil before
	log      atomic.Pointer[logger.Logger] // as well
	spoke    [2]atomic.Int64               // when the log last said that a signal is not delivered, Unix nanoseconds
	lost     [2]atomic.Int64               // what was not delivered since
}

// newExports makes the exporters. None of them waits for its collector.
func newExports(service string, on signals) (*exports, error) {
	e := &exports{}
	e.over, e.close = context.WithCancel(context.Background())
	ctx := context.Background()
	about, err := about(ctx, service)
	if on.traces && err == nil {
		var to sdktrace.SpanExporter
		if to, err = autoexport.NewSpanExporter(ctx); err == nil {
			e.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(spans{to, e}))
		}
		err = of("TRACES", err)
	}
	if on.metrics && err == nil {
		var reader sdkmetric.Reader
		if reader, err = e.reader(ctx); err == nil {
			e.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(reader))
		}
		err = of("METRICS", err)
	}
	if on.logs && err == nil {
		var to sdklog.Exporter
		if to, err = autoexport.NewLogExporter(ctx); err == nil {
			e.logs = sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(jobs{}),
				sdklog.WithProcessor(sdklog.NewBatchProcessor(records{to, e})))
		}
		err = of("LOGS", err)
	}
	e.hook = newHook(e, service)
	if err != nil {
		return nil, errors.Join(err, e.end(ctx))
	}
	return e, nil
}

// of names the variables that an error is about.
func of(signal string, err error) error {
	if err == nil {
		return nil
	}
	name := "OTEL_" + signal + "_EXPORTER"
	return fmt.Errorf("the exporter of %s=%q, or its OTEL_EXPORTER_* variables: %w", name, os.Getenv(name), err)
}

// about is the resource of a service.
func about(ctx context.Context, service string) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{attribute.String("service.name", service),
		attribute.String("service.instance.id", uuid.NewString())}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		attrs = append(attrs, attribute.String("service.version", info.Main.Version))
	}
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attrs...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("the resource of the service: %w", err)
	}
	return r, nil
}

// options are those that a service gets.
func (e *exports) options() []chassis.Option {
	opts := []chassis.Option{chassis.WithLogOptions(logger.WithHook(e.hook))}
	if e.traces != nil {
		opts = append(opts, chassis.WithTracing(e.traces))
	}
	return opts
}

// end delivers what is left, and ends the exporters. A collector that does not take it
// is no error of the stop, but a line of the log.
func (e *exports) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, FlushLimit)
	defer cancel()
	var work sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	down := func(signal string, shutdown func(context.Context) error) {
		work.Go(func() {
			if err := shutdown(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", signal, err))
			}
		})
	}
	if e.traces != nil {
		down("traces", e.traces.Shutdown)
	}
	if e.metrics != nil {
		down("metrics", e.metrics.Shutdown)
	}
	if e.logs != nil {
		down("logs", e.logs.Shutdown)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); work.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
		e.close() // exports that hang end with it
		select {
		case <-ended:
		case <-time.After(lastWord):
		}
	}
	e.close()
	mu.Lock()
	defer mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		e.warn("telemetry: the last of it is not delivered", "error", err)
	}
	return nil
}

// warn writes a line to the service's log, and to no hook.
func (e *exports) warn(message string, attrs ...any) {
	if log := e.log.Load(); log != nil {
		log.Named("telemetry").WarnContext(logger.WithoutHooks(context.Background(), log), message, attrs...)
	}
}
