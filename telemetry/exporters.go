package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sambatech/chassis/task"
)

// spans exports spans, and says in the service's log if that fails.
type spans struct {
	sdktrace.SpanExporter
	of *exports
}

// ExportSpans implements the SDK's interface.
func (s spans) ExportSpans(ctx context.Context, list []sdktrace.ReadOnlySpan) error {
	ctx, end := s.of.bounded(ctx)
	defer end()
	s.of.failed(0, "traces", len(list), s.SpanExporter.ExportSpans(ctx, list))
	return nil
}

// records exports records of the log.
type records struct {
	sdklog.Exporter
	of *exports
}

// Export implements the SDK's interface.
func (r records) Export(ctx context.Context, list []sdklog.Record) error {
	ctx, end := r.of.bounded(ctx)
	defer end()
	r.of.failed(1, "logs", len(list), r.Exporter.Export(ctx, list))
	return nil
}

// jobs puts the job of its ctx on each record.
type jobs struct{}

// OnEmit implements sdklog.Processor.
func (jobs) OnEmit(ctx context.Context, r *sdklog.Record) error {
	job, info := task.OriginOf(ctx)
	if job == (task.Origin{}) {
		return nil
	}
	r.AddAttributes(attribute.String("job_id", job.ID), attribute.String("job_name", job.Name))
	if info != nil {
		r.AddAttributes(attribute.String("task", info.Task), attribute.String("exec_id", info.ExecID))
	}
	return nil
}

// Enabled implements sdklog.Processor.
func (jobs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// Shutdown implements sdklog.Processor.
func (jobs) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdklog.Processor.
func (jobs) ForceFlush(context.Context) error { return nil }

// bounded returns a ctx that ends with the flush, too.
func (e *exports) bounded(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.over, cancel)
	return ctx, func() { stop(); cancel() }
}

// quiet is the time between two lines about one signal.
const quiet = time.Minute

// failed says that a batch was not delivered, once a minute.
func (e *exports) failed(signal int, name string, n int, err error) {
	if err == nil {
		return
	}
	lost := e.lost[signal].Add(int64(n))
	now, last := time.Now().UnixNano(), e.spoke[signal].Load()
	if last != 0 && now-last < int64(quiet) || !e.spoke[signal].CompareAndSwap(last, now) {
		return
	}
	e.lost[signal].Add(-lost)
	e.warn("telemetry: a collector does not take "+name, "not_delivered", lost, "error", err)
}
