package pools

import (
	"cmp"
	"context"
	"fmt"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// sendSpan is the span of sending messages to one pool; nil without tracing. The
// messages take its context along.
type sendSpan struct {
	trace.Span
	ctx    context.Context
	count  int // messages
	failed int
	first  error
}

// startSend begins the span of sending to the pool that opts name.
func (p *Pools) startSend(ctx context.Context, opts []task.Option) *sendSpan {
	if p.cfg.Tracer == nil {
		return nil
	}
	pool := cmp.Or(task.PoolOf(opts...), p.main().name())
	span := &sendSpan{}
	span.ctx, span.Span = poller.StartSpan(ctx, p.cfg.Tracer, poller.OpSend, pool, pool)
	return span
}

// tickSpan returns what begins the span of sending ticks to pool; nil without tracing.
func (p *Pools) tickSpan(pool string) func(ctx context.Context) (context.Context, func(errs []error)) {
	if p.cfg.Tracer == nil {
		return nil
	}
	return func(ctx context.Context) (context.Context, func(errs []error)) {
		span := p.startSend(ctx, []task.Option{task.Pool(pool)})
		return span.ctx, func(errs []error) {
			span.count = len(errs)
			sent := make([]Sent, len(errs))
			spans := make([]*sendSpan, len(errs))
			for i, err := range errs {
				sent[i].Err, spans[i] = err, span
			}
			endSends(spans, sent)
			span.End()
		}
	}
}

// startSends begins a span for each pool that tasks go to, and returns the span of
// each task; nil without tracing.
func (p *Pools) startSends(ctx context.Context, tasks []Task) []*sendSpan {
	if p.cfg.Tracer == nil {
		return nil
	}
	spans := make([]*sendSpan, len(tasks))
	byPool := map[string]*sendSpan{}
	for i, t := range tasks {
		pool := task.PoolOf(t.Options...)
		if byPool[pool] == nil {
			byPool[pool] = p.startSend(ctx, t.Options)
		}
		spans[i] = byPool[pool]
		spans[i].count++
	}
	return spans
}

// around returns the ctx to encode in: the span's, or without one ctx itself.
func (s *sendSpan) around(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return s.ctx
}

// encoded links to the trace context of out, if that is not the span's but one that
// the caller has given.
func (s *sendSpan) encoded(out *task.Outgoing) {
	if s == nil {
		return
	}
	if sc := task.TraceOf(out.Attributes, ""); sc.IsValid() && sc.SpanID() != s.SpanContext().SpanID() {
		s.AddLink(trace.Link{SpanContext: sc})
	}
}

// end ends the span of a single message.
func (s *sendSpan) end(messageID string, err error) {
	if s == nil {
		return
	}
	if err == nil {
		s.SetAttributes(poller.MessageID(messageID))
	}
	poller.EndSpan(s.Span, err)
}

// endSends ends the spans of many messages with the results in sent.
func endSends(spans []*sendSpan, sent []Sent) {
	for i, s := range spans {
		if err := sent[i].Err; err != nil {
			if s.failed++; s.first == nil {
				s.first = err
			}
		}
	}
	for _, s := range spans {
		if !s.IsRecording() {
			continue // not sampled, or ended above as another message's
		}
		s.SetAttributes(poller.MessageCount(s.count))
		if s.failed > 0 {
			s.SetAttributes(poller.ErrorOf(s.first))
			s.SetStatus(codes.Error, fmt.Sprintf("%d of %d messages were not sent", s.failed, s.count))
		}
		s.End()
	}
}
