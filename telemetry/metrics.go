package telemetry

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/sambatech/chassis/parts"
)

type (
	gatherer struct{ prometheus.Gatherer }
	families = []*dto.MetricFamily
)

// producing guards autoexport's producer of metrics, which is the process's.
var producing sync.Mutex

// reader returns the exporter of metrics: its producer is the bridge to the service's.
func (e *exports) reader(ctx context.Context) (sdkmetric.Reader, error) {
	producing.Lock()
	defer producing.Unlock()
	autoexport.WithFallbackMetricProducer(func(context.Context) (sdkmetric.Producer, error) {
		return bridge.NewMetricProducer(bridge.WithGatherer(prometheus.GathererFunc(e.gather))), nil
	})
	return autoexport.NewMetricReader(ctx)
}

// gather returns the metrics of the service. At its end those of what has stopped, like
// the breakers, are as they were before.
func (e *exports) gather() (families, error) {
	g := e.gatherer.Load()
	if g == nil {
		return nil, nil
	}
	now, err := g.Gather()
	kept := e.kept.Load()
	if kept == nil {
		return now, err
	}
	for _, f := range *kept {
		if !slices.ContainsFunc(now, func(o *dto.MetricFamily) bool { return o.GetName() == f.GetName() }) {
			now = append(now, f)
		}
	}
	return now, err
}

// last is a part that stops once the tasks have drained, and before the breakers.
type last struct {
	of *exports
	on signals
}

// Start implements parts.Part.
func (*last) Start(context.Context, *parts.Host) error { return nil }

// Stop keeps the metrics as they are.
func (l *last) Stop(context.Context) error {
	if l.of.metrics != nil {
		kept, err := l.of.gatherer.Load().Gather()
		l.of.kept.Store(&kept)
		return err
	}
	return nil
}

// Detail says what is exported.
func (l *last) Detail() string {
	var on []string
	for _, s := range []struct {
		name string
		on   bool
	}{{"traces", l.on.traces}, {"metrics", l.on.metrics}, {"logs", l.on.logs}} {
		if s.on {
			on = append(on, s.name)
		}
	}
	return strings.Join(on, ", ")
}
