package poller

import (
	"context"
	"testing"
)

func TestNoSpansCostNothing(t *testing.T) {
	var none *Tracing
	ctx, outs := context.Background(), make([]Outgoing, 3)
	answer, batch, settled := &received{got: 3, messages: make([]incoming, 3)}, &call{}, &called{}
	n := testing.AllocsPerRun(100, func() {
		none.received("q", answer)
		inner, span := none.settling(ctx, "q", batch)
		if inner != ctx || span != nil {
			t.Error("there is a span")
		}
		settled.settled(span)
		sent(none.sending(outs, nil), 0, Result{})
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheQueueOfAURLIsItsName(t *testing.T) {
	for in, want := range map[string]string{"http://127.0.0.1:9324/000000000000/mailer-tasks": "mailer-tasks", "mailer-tasks": "mailer-tasks", "": ""} {
		if got := queueName(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
