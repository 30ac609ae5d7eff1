package grpcserver

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/sambatech/chassis/server/internal/register"
)

// Names of the metric and its labels: OpenTelemetry's conventions for RPC, in Prometheus'
// form.
const (
	metricDuration = "rpc_server_call_duration_seconds"
	labelSystem    = "rpc_system_name"
	labelMethod    = "rpc_method"
	labelCode      = "rpc_response_status_code"
)

// metrics count calls. Every label has few values: registered methods and codes.
type metrics struct {
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricDuration,
		Buckets: register.Buckets(), ConstLabels: prometheus.Labels{labelSystem: "grpc"},
		Help: "Duration of RPCs, from their metadata to the end of their handler."}, []string{labelMethod, labelCode})}
	var err error
	if m.duration, err = register.Shared(r, m.duration); err == nil {
		m.panics, err = register.Panics(r)
	}
	if err != nil {
		return nil, fmt.Errorf("register the metrics of calls: %w", err)
	}
	return m, nil
}

// codeNames are the codes as the conventions write them, by number.
var codeNames = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// codeName returns the name of a code. A handler may make up numbers, which become one.
func codeName(c codes.Code) string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return other
}
