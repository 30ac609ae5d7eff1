package pools

import (
	"context"
	"testing"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Without a tracer there is no allocation and no look at the options.
func TestSendingWithoutSpansCostsNothing(t *testing.T) {
	s, ctx, tasks, sent := &Pools{}, context.Background(), make([]Task, 10), make([]Sent, 10)
	opts := []task.Option{task.Pool("a")}
	n := testing.AllocsPerRun(100, func() {
		span := s.startSend(ctx, opts)
		if span.around(ctx) != ctx {
			t.Error("another ctx")
		}
		span.encoded(nil)
		span.end("", nil)
		endSends(s.startSends(ctx, tasks), sent)
		if s.pollerTracing() != (*poller.Tracing)(nil) {
			t.Error("the poller makes spans")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
