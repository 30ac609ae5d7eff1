package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of the span of an attempt, in addition to OpenTelemetry's own.
const (
	attrTask     = attribute.Key("chassis.task")
	attrExecID   = attribute.Key("chassis.exec_id")
	attrJobID    = attribute.Key("chassis.job_id")
	attrJobName  = attribute.Key("chassis.job_name")
	attrAttempt  = attribute.Key("chassis.attempt")
	attrFailures = attribute.Key("chassis.failures") // before this attempt
	attrOutcome  = attribute.Key("chassis.outcome")  // done, failed, refused, snoozed, cancelled, undecodable or interrupted
	attrNext     = attribute.Key("chassis.next")     // what became of the message, one of the next constants
	attrError    = attribute.Key("error.type")       // the same for all spans
)

// What becomes of a message after an attempt.
const (
	nextFinished  = "finished"   // it is deleted
	nextHeld      = "held"       // it waits in place for the next attempt
	nextGivenBack = "given_back" // hidden, or sent again as a fresh copy
	nextGivenUp   = "given_up"   // on_fail, dead letter, or deleted
	nextCancelled = "cancelled"  // it is deleted, by a cancel
	nextDropped   = "dropped"    // its lease is lost, or the dispatcher ends: it comes again
)

// startSpan begins the span of an attempt. Its parent is the span that the
// message was made in, which it links to as well, as the conventions ask: a job
// is one trace from its sending on, over retries, processes and days.
func (c *core) startSpan(ctx context.Context, e *execution, info *task.Info, now time.Time) context.Context {
	opts := []trace.SpanStartOption{trace.WithTimestamp(now), trace.WithAttributes(
		poller.MessageID(e.messageID), attrTask.String(info.Task), attrExecID.String(info.ExecID),
		attrJobID.String(info.JobID), attrJobName.String(info.JobName),
		attrAttempt.Int(info.Attempt), attrFailures.Int(info.Failures),
	)}
	if e.span.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: e.span}))
	}
	ctx, span := poller.StartSpan(ctx, c.tracer, poller.OpProcess, info.Task, c.pool, opts...)
	e.ran = messageLink(span.SpanContext(), e.messageID)
	return ctx
}

// link is what the spans of e's settlement link to: the last attempt, or, if
// there was none, the context that the message was made in.
func (e *execution) link() *trace.Link {
	if e.ran == nil && e.span.IsValid() {
		return messageLink(e.span, e.messageID)
	}
	return e.ran
}

func messageLink(sc trace.SpanContext, id string) *trace.Link {
	return &trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{poller.MessageID(id)}}
}

// endSpan ends the span of a. next is what became of its message.
func (d *dispatcher) endSpan(a *attempt, out outcome, next string) {
	if d.tracer == nil {
		return
	}
	span := trace.SpanFromContext(a.ctx)
	span.SetAttributes(attrOutcome.String(out.kind.String()), attrNext.String(next))
	switch out.kind {
	case outFailed, outCancelled, outUndecodable:
		fail(span, out.err)
	case outRefused, outInterrupted, outUnopened: // no failure of the task's, but it did not end well
		span.SetAttributes(attrError.String(errorType(out.err)))
	}
	took := a.took
	if took == 0 { // it has not answered
		took = time.Since(a.started)
	}
	span.End(trace.WithTimestamp(a.started.Add(took)))
}

// fail records a failure by the conventions for exceptions, its text cut as it
// is on a message.
func fail(span trace.Span, err error) {
	kind, text := errorType(err), task.ErrorText(err.Error())
	attrs := []attribute.KeyValue{attribute.String("exception.type", kind),
		attribute.String("exception.message", text)}
	if p, ok := errors.AsType[*task.PanicError](err); ok {
		attrs = append(attrs, attribute.String("exception.stacktrace", string(p.Stack)))
	}
	span.AddEvent("exception", trace.WithAttributes(attrs...))
	span.SetAttributes(attrError.String(kind))
	span.SetStatus(codes.Error, text)
}

// errorType is the value of error.type, one of few.
func errorType(err error) string {
	var cancelled *task.CancelError
	var open task.OpenBreaker
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrAbandoned):
		return "abandoned"
	case errors.Is(err, ErrDeadline):
		return "deadline_exceeded"
	case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrLeaseEnd):
		return "lease_lost"
	case errors.Is(err, ErrDrained), errors.Is(err, ErrRestarted):
		return "drained"
	case errors.Is(err, task.ErrGoexit):
		return "goexit"
	case errors.As(err, new(*task.PanicError)):
		return "panic"
	case errors.As(err, &open) && open.BreakerOpen():
		return "breaker_open"
	case errors.As(err, &cancelled):
		return "cancelled"
	}
	return poller.ErrorType(err)
}
