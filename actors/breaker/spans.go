package breaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of the span of a call, in addition to OpenTelemetry's own.
const (
	attrState   = attribute.Key("chassis.breaker.state")   // of the service when the call began, or of the entry that refused
	attrEntry   = attribute.Key("chassis.breaker.entry")   // path prefix that refused; empty for the service
	attrRefused = attribute.Key("chassis.breaker.refused") // true: the service was not called
	attrProbe   = attribute.Key("chassis.breaker.probe")   // true: one of the few calls through a half-open entry
	attrVerdict = attribute.Key("chassis.breaker.verdict") // success, failure or neutral
	attrStatus  = attribute.Key("http.response.status_code")
	attrError   = attribute.Key("error.type")
)

// WithTracer makes a client span of t of every call by [Breaker.Do], [Execute]
// and [Breaker.Transport], named "breaker " and the service. The ctx of the call
// carries it, so what is called in it is its child. A span of Transport lasts to
// the end of the body. Neither path, query nor error text is on it. Without this
// option a call costs no more than if there were no spans.
func WithTracer(t trace.Tracer) Option {
	return func(b *Breaker) error {
		if t == nil {
			return errors.New("breaker: WithTracer: the tracer is nil")
		}
		attrs := []attribute.KeyValue{attribute.String("server.address", b.host())}
		if host, port, err := net.SplitHostPort(b.host()); err == nil {
			attrs[0] = attribute.String("server.address", host)
			if n, err := strconv.Atoi(port); err == nil {
				attrs = append(attrs, attribute.Int("server.port", n))
			}
		}
		b.own.more().tracing = &tracing{tracer: t, name: "breaker " + b.service, start: []trace.SpanStartOption{
			trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...),
		}}
		return nil
	}
}

// tracing is what the spans of one breaker have in common.
type tracing struct {
	tracer trace.Tracer
	name   string
	start  []trace.SpanStartOption
}

// traced sends the calls that meet v on the way with a span, if there are spans.
func (b *Breaker) traced(v *view) {
	if b.own.rest != nil && b.own.rest.tracing != nil {
		v.gate = viewTraced
	}
}

// callSpan is the span of one call; nil for none. It is safe from several
// goroutines, as spans are.
type callSpan struct{ trace.Span }

// startSpan begins the span of a call that met v, with viewTraced as its gate.
func (b *Breaker) startSpan(ctx context.Context, v *view) (context.Context, *callSpan) {
	t := b.own.rest.tracing
	ctx, span := t.tracer.Start(ctx, t.name, t.start...)
	span.SetAttributes(attrState.String(v.root.shown().String()))
	return ctx, &callSpan{span}
}

func (s *callSpan) admitted(p *Permit) {
	if s != nil && p.Probe() {
		s.SetAttributes(attrProbe.Bool(true))
	}
}

// settled notes what the call counted as.
func (s *callSpan) settled(v Verdict) {
	if s == nil {
		return
	}
	s.SetAttributes(attrVerdict.String(v.String()))
	if v == Failure {
		s.SetStatus(codes.Error, "the call failed")
	}
}

// failed notes what kind of error the call ended with.
func (s *callSpan) failed(err error) {
	if s == nil || err == nil {
		return
	}
	s.SetAttributes(attrError.String(errorType(err)))
}

// refused notes that the service was not called.
func (s *callSpan) refused(err error) {
	if s == nil {
		return
	}
	s.SetAttributes(attrRefused.Bool(true), attrError.String(errorType(err)))
	if open, ok := errors.AsType[*OpenError](err); ok {
		s.SetAttributes(attrState.String(open.State.String()), attrEntry.String(open.Entry))
	}
	s.SetStatus(codes.Error, "refused")
}

func (s *callSpan) status(code int) {
	if s != nil {
		s.SetAttributes(attrStatus.Int(code))
	}
}

// end ends the span of a call that returned err.
func (s *callSpan) end(err error) {
	if s == nil {
		return
	}
	s.failed(err)
	s.End()
}

// errorType is the value of error.type: one of a bounded set, without any text
// of the error, which may hold what a URL held.
func errorType(err error) string {
	switch {
	case err == ended{}:
		return "panic"
	case errors.Is(err, ErrOpen):
		return "open"
	case errors.Is(err, ErrLimited):
		return "limited"
	case errors.Is(err, ErrStopped):
		return "stopped"
	case errors.Is(err, ErrTimeout):
		return "timeout"
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
