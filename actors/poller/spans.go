package poller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of OpenTelemetry's conventions for messaging spans (semantic
// conventions 1.43, docs/messaging).
const (
	attrSystem      = attribute.Key("messaging.system")
	attrDestination = attribute.Key("messaging.destination.name")
	attrOperation   = attribute.Key("messaging.operation.name")
	attrType        = attribute.Key("messaging.operation.type")
	attrCount       = attribute.Key("messaging.batch.message_count")
	attrMessageID   = attribute.Key("messaging.message.id")
	attrError       = attribute.Key("error.type")
)

// Attributes of our own.
const (
	attrSettlement = attribute.Key("chassis.settlement")   // how messages are settled: delete or release
	attrUnsettled  = attribute.Key("chassis.batch.failed") // entries of a batch that the queue refused
)

// Operations on a queue that are spans.
const (
	OpSend    = "send"
	OpReceive = "receive"
	OpProcess = "process"
	OpSettle  = "settle"
)

// Tracing makes spans of what a poller receives, settles and sends. A receive
// that brought nothing gets no span. Spans of batches are roots: their messages
// are of many traces, and they link to those.
type Tracing struct {
	Tracer trace.Tracer                       // required
	Origin func(*Delivered) trace.SpanContext // reads in which context a message was made; required
}

// StartSpan begins a span of an operation on a queue, which may be given by its
// URL, by the conventions for messaging. Its name is the operation and the target:
// a queue or a task, for names of spans must be few.
func StartSpan(
	ctx context.Context, t trace.Tracer, operation, target, queue string, opts ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	kind := trace.SpanKindClient
	switch operation {
	case OpSend:
		kind = trace.SpanKindProducer // its context is the one that the message takes along
	case OpProcess:
		kind = trace.SpanKindConsumer
	}
	start := append(make([]trace.SpanStartOption, 0, 2+len(opts)), trace.WithSpanKind(kind), trace.WithAttributes(
		attrSystem.String("aws_sqs"), attrDestination.String(queueName(queue)),
		attrOperation.String(operation), attrType.String(operation),
	))
	return t.Start(ctx, operation+" "+target, append(start, opts...)...)
}

// EndSpan ends a span of an operation that ended by err. The span does not get the
// text of err, which may quote a message or credentials; the log has it.
func EndSpan(span trace.Span, err error) {
	if err != nil {
		span.SetAttributes(ErrorOf(err))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// ErrorOf is the attribute error.type for err.
func ErrorOf(err error) attribute.KeyValue { return attrError.String(ErrorType(err)) }

// MessageID is the attribute of a span or link that says which message it is about.
func MessageID(id string) attribute.KeyValue { return attrMessageID.String(id) }

// MessageCount is the attribute that says how many messages a span is about.
func MessageCount(n int) attribute.KeyValue { return attrCount.Int(n) }

// ErrorType is the value of the attribute error.type: the service's code if
// there is one, else the type of the innermost error.
func ErrorType(err error) string {
	var api smithy.APIError
	var entry *BatchError
	switch {
	case errors.As(err, &entry):
		return entry.Code
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline_exceeded"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// queueName is the last part of a queue's URL, which is its name.
func queueName(queue string) string { return queue[strings.LastIndexByte(queue, '/')+1:] }

// received makes the span of a receive that is over.
func (t *Tracing) received(queue string, m *received) {
	if t == nil || m.got == 0 {
		return
	}
	links := make([]trace.Link, 0, m.got)
	for _, in := range m.messages {
		if origin := t.Origin(in.delivered); origin.IsValid() {
			id := []attribute.KeyValue{MessageID(in.delivered.MessageID)}
			links = append(links, trace.Link{SpanContext: origin, Attributes: id})
		}
	}
	_, span := StartSpan(context.Background(), t.Tracer, OpReceive, queueName(queue), queue,
		trace.WithTimestamp(m.receive.start), trace.WithLinks(links...), trace.WithAttributes(MessageCount(m.got)))
	span.End()
}

// settling begins the span of a batch that ends leases; nil for none.
func (t *Tracing) settling(ctx context.Context, queue string, c *call) (context.Context, trace.Span) {
	if t == nil || c.kind == extension {
		return ctx, nil
	}
	return StartSpan(ctx, t.Tracer, OpSettle, queueName(queue), queue, trace.WithLinks(c.links...),
		trace.WithAttributes(attrSettlement.String(c.kind.String()), MessageCount(len(c.handles))))
}

// settled ends it. Its error is that of the first entry that the queue refused.
func (m *called) settled(span trace.Span) {
	if span == nil {
		return
	}
	err, refused := m.err, 0
	for _, e := range m.refused {
		if e != nil {
			if refused++; err == nil {
				err = e
			}
		}
	}
	if refused > 0 {
		span.SetAttributes(attrUnsettled.Int(refused))
	}
	EndSpan(span, err)
}

// sending begins the spans of messages that are sent before link's is settled:
// copies, dead letters, on_fail tasks. They keep the context that they were
// made in, so these spans only link. nil for none.
func (t *Tracing) sending(outs []Outgoing, link *trace.Link) []trace.Span {
	if t == nil {
		return nil
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	if link != nil {
		opts = append(opts, trace.WithLinks(*link))
	}
	spans := make([]trace.Span, len(outs))
	for i, out := range outs {
		_, spans[i] = StartSpan(context.Background(), t.Tracer, OpSend, queueName(out.Pool), out.Pool, opts...)
	}
	return spans
}

func sent(spans []trace.Span, i int, r Result) {
	if spans == nil {
		return
	}
	if r.Err == nil {
		spans[i].SetAttributes(MessageID(r.MessageID))
	}
	EndSpan(spans[i], r.Err)
}
