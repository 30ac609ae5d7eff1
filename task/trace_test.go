package task_test

import (
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

func TestTraceContextTravelsBothWays(t *testing.T) {
	id, _ := trace.TraceIDFromHex("4bf92f3577b34da6a3ce929d0e0e4736")
	span, _ := trace.SpanIDFromHex("00f067aa0ba902b7")
	state, _ := trace.ParseTraceState("vendor=1")
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, TraceState: state})
	out, err := task.Encode("t", nil, time.Now(), task.FromContext(trace.ContextWithSpanContext(t.Context(), sc)))
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.Attributes["traceparent"].StringValue; got != "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" {
		t.Errorf("traceparent %s", got)
	}
	m, err := task.Decode(out.Body, out.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Trace("Root=1-00000000-000000000000000000000001;Parent=0000000000000001;Sampled=0")
	if got.TraceID() != id || got.SpanID() != span || !got.IsSampled() || got.TraceState().String() != "vendor=1" || !got.IsRemote() {
		t.Errorf("%+v", got)
	}
}

func TestAWSTraceHeaderIsUnderstood(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	m := task.Message{}
	sc := m.Trace(header)
	if sc.TraceID().String() != "5759e988bd862e3fe1be46a994272793" || sc.SpanID().String() != "53995c3f42cd8ad8" || !sc.IsSampled() {
		t.Errorf("%+v", sc)
	}
	if got := task.AWSTraceHeader(sc); got != header {
		t.Errorf("written as %s", got)
	}
	for _, bad := range []string{"", "Root=", "Root=1-x-y;Parent=z", "Root=1-5759e988-bd862e3fe1be46a994272793", ";;;=", "Sampled=1"} {
		if sc := task.ParseAWSTraceHeader(bad); sc.IsValid() {
			t.Errorf("%q is valid: %+v", bad, sc)
		}
	}
	if task.AWSTraceHeader(trace.SpanContext{}) != "" {
		t.Error("a header of nothing")
	}
	m.Extra = sound()
	m.Extra["traceparent"] = str("garbage")
	if sc := m.Trace(header); !sc.IsValid() {
		t.Error("a broken traceparent hides the header")
	}
}
