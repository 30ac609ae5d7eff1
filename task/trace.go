package task

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Trace context, by the OpenTelemetry API: the W3C headers traceparent and
// tracestate travel as attributes of these names. SQS's system attribute
// AWSTraceHeader says the same in X-Ray's form. It is written as well, and read where
// there is no traceparent.

// AttrTraceState is the W3C tracestate, which goes with [AttrTraceParent].
const AttrTraceState = "tracestate"

// Trace is the context of the sender's span: of the traceparent attribute, else
// of awsHeader, the message's AWSTraceHeader. It is invalid if neither is there.
func (m *Message) Trace(awsHeader string) trace.SpanContext {
	if parent := m.TraceParent(); parent != "" {
		carrier := propagation.MapCarrier{"traceparent": parent}
		if v, ok := m.Extra[AttrTraceState]; ok && v.StringValue != nil {
			carrier["tracestate"] = *v.StringValue
		}
		ctx := propagation.TraceContext{}.Extract(context.Background(), carrier)
		if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
			return sc
		}
	}
	if awsHeader != "" {
		return ParseAWSTraceHeader(awsHeader)
	}
	return trace.SpanContext{}
}

// TraceOf is the trace context of a message with these attributes; see
// [Message.Trace].
func TraceOf(attrs map[string]types.MessageAttributeValue, awsHeader string) trace.SpanContext {
	if awsHeader == "" && len(attrs) == 0 {
		return trace.SpanContext{}
	}
	m, _ := Decode("", attrs) // the receiver reports the defects
	return m.Trace(awsHeader)
}

// SetTrace makes sc the trace context of m.
func (m *Message) SetTrace(sc trace.SpanContext) {
	if !sc.IsValid() {
		return
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier)
	if m.Extra == nil {
		m.Extra = map[string]types.MessageAttributeValue{}
	}
	for name, value := range carrier {
		if value != "" {
			m.Extra[name] = types.MessageAttributeValue{DataType: &stringType, StringValue: &value}
		}
	}
}

// ParseAWSTraceHeader reads "Root=1-5759e988-bd862e3fe1be46a994272793;
// Parent=53995c3f42cd8ad8;Sampled=1", the form of X-Ray. The result is invalid
// if the header is malformed or names no parent.
func ParseAWSTraceHeader(header string) trace.SpanContext {
	var cfg trace.SpanContextConfig
	for _, part := range strings.Split(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "Root":
			fields := strings.Split(value, "-")
			if len(fields) == 3 {
				cfg.TraceID, _ = trace.TraceIDFromHex(fields[1] + fields[2])
			}
		case "Parent":
			cfg.SpanID, _ = trace.SpanIDFromHex(value)
		case "Sampled":
			cfg.TraceFlags = cfg.TraceFlags.WithSampled(value == "1")
		}
	}
	cfg.Remote = true
	return trace.NewSpanContext(cfg)
}

// AWSTraceHeader writes sc in X-Ray's form, or "" if it is invalid.
func AWSTraceHeader(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	sampled := 0
	if sc.IsSampled() {
		sampled = 1
	}
	id := sc.TraceID().String()
	return fmt.Sprintf("Root=1-%s-%s;Parent=%s;Sampled=%d", id[:8], id[8:], sc.SpanID(), sampled)
}
