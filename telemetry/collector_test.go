package telemetry_test

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP receiver on loopback, by gRPC and by HTTP.
type collector struct {
	mu       sync.Mutex
	spans    []span
	records  []record
	metrics  map[string]bool
	resource map[string]string
}

type span struct {
	name, trace string
	attrs       map[string]string
}

type record struct {
	body, trace string
	attrs       map[string]string
}

func texts(list []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[kv.GetKey()] = v.StringValue
		default:
			all[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return all
}

func (c *collector) about(r *resource.Resource) {
	for k, v := range texts(r.GetAttributes()) {
		c.resource[k] = v
	}
}

func (c *collector) takeTraces(r *coltrace.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.GetResourceSpans() {
		c.about(rs.GetResource())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, span{s.GetName(), hex.EncodeToString(s.GetTraceId()), texts(s.GetAttributes())})
			}
		}
	}
}

func (c *collector) takeMetrics(r *colmetrics.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rm := range r.GetResourceMetrics() {
		c.about(rm.GetResource())
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				c.metrics[m.GetName()] = true
			}
		}
	}
}

func (c *collector) takeLogs(r *collogs.ExportLogsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rl := range r.GetResourceLogs() {
		c.about(rl.GetResource())
		for _, sl := range rl.GetScopeLogs() {
			for _, l := range sl.GetLogRecords() {
				c.records = append(c.records, record{l.GetBody().GetStringValue(), hex.EncodeToString(l.GetTraceId()),
					texts(l.GetAttributes())})
			}
		}
	}
}

type (
	traces struct {
		coltrace.UnimplementedTraceServiceServer
		*collector
	}
	metrics struct {
		colmetrics.UnimplementedMetricsServiceServer
		*collector
	}
	logs struct {
		collogs.UnimplementedLogsServiceServer
		*collector
	}
)

func (s traces) Export(_ context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	s.takeTraces(r)
	return &coltrace.ExportTraceServiceResponse{}, nil
}

func (s metrics) Export(_ context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.takeMetrics(r)
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

func (s logs) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	s.takeLogs(r)
	return &collogs.ExportLogsServiceResponse{}, nil
}

// collect starts a collector, and returns its URL.
func collect(t *testing.T, protocol string) (*collector, string) {
	t.Helper()
	c := &collector{metrics: map[string]bool{}, resource: map[string]string{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if protocol == "grpc" {
		s := grpc.NewServer()
		coltrace.RegisterTraceServiceServer(s, traces{collector: c})
		colmetrics.RegisterMetricsServiceServer(s, metrics{collector: c})
		collogs.RegisterLogsServiceServer(s, logs{collector: c})
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		t.Cleanup(func() { s.Stop(); <-served })
		return c, "http://" + l.Addr().String()
	}
	mux := http.NewServeMux()
	take := func(path string, r proto.Message, got func()) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			c.mu.Lock()
			defer c.mu.Unlock()
			proto.Reset(r)
			if err == nil {
				err = proto.Unmarshal(body, r)
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			c.mu.Unlock()
			got()
			c.mu.Lock()
			w.Header().Set("Content-Type", "application/x-protobuf")
		})
	}
	tr, me, lo := &coltrace.ExportTraceServiceRequest{}, &colmetrics.ExportMetricsServiceRequest{}, &collogs.ExportLogsServiceRequest{}
	take("/v1/traces", tr, func() { c.takeTraces(tr) })
	take("/v1/metrics", me, func() { c.takeMetrics(me) })
	take("/v1/logs", lo, func() { c.takeLogs(lo) })
	s := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-served })
	return c, "http://" + l.Addr().String()
}
