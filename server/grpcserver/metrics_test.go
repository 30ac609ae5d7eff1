package grpcserver_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/server/grpcserver"
)

// value returns what a registry has of a metric: a value, or the count of a histogram.
func value(t *testing.T, reg *prometheus.Registry, name, labels string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var all []string
			for _, l := range m.GetLabel() {
				all = append(all, l.GetName()+"="+l.GetValue())
			}
			if text := strings.Join(all, " "); f.GetName() == name && (labels == "" || text == labels) {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// The names are OpenTelemetry's; no label has a value that a stranger chooses.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	server.Metrics(server.WithRegisterer(reg)) // of HTTP, on the same registry
	var next error
	a := &api{place: func(context.Context, string) (string, error) { return "", next }}
	r := start(t, a, nil, grpcserver.WithRegisterer(reg), grpcserver.WithShedding(server.Limits{}))
	for _, next = range []error{nil, nil, status.Error(codes.NotFound, ""), status.Error(codes.Code(99), ""), status.Error(codes.Code(98), "")} {
		_, _ = call(t.Context(), r.conn, "")
	}
	for _, path := range []string{"/evil/one", "/evil/two", "/orders.v1.Orders/None"} {
		_ = r.conn.Invoke(t.Context(), path, wrapperspb.String(""), new(wrapperspb.StringValue))
	}
	r.last(8)
	const of = "rpc_method=orders.v1.Orders/Place rpc_response_status_code="
	for labels, want := range map[string]float64{
		of + "OK rpc_system_name=grpc":                                                  2,
		of + "NOT_FOUND rpc_system_name=grpc":                                           1,
		of + "_OTHER rpc_system_name=grpc":                                              2,
		"rpc_method=_OTHER rpc_response_status_code=UNIMPLEMENTED rpc_system_name=grpc": 3,
		"": 8,
	} {
		if got := value(t, reg, "rpc_server_call_duration_seconds", labels); got != want {
			t.Errorf("%s: %v, not %v", labels, got, want)
		}
	}
	if got := value(t, reg, "chassis_server_limit", "limit=grpc"); got < 4 {
		t.Errorf("the limit is %v", got)
	}
}
