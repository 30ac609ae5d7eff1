package flow_test

import (
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task/flow"
)

// requests counts what the queue was asked for, without long polls that found nothing.
func requests(sys *chassistest.System) (n int64) {
	for op, c := range sys.Queue.Stats().Requests {
		if op != "ReceiveMessage" {
			n += c
		}
	}
	return n
}

// TestWhatASmallGroupCosts holds the number of requests that docs/flows.md states.
func TestWhatASmallGroupCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, flows, b := start(t)
		begun(t, flows, flow.Chain(w("x"), w("y"))) // the queues are there
		idle(sys, flows)
		before := requests(sys)
		for _, name := range []string{"a", "b", "c"} {
			begun(t, flows, w(name))
		}
		idle(sys, flows)
		plain := requests(sys) - before
		before = requests(sys)
		begun(t, flows, flow.Group(w("a"), w("b"), w("c")).Then(flow.Next(joined)))
		idle(sys, flows)
		more := requests(sys) - before - plain
		t.Logf("three tasks: %d requests; as a group with a callback: %d more, and the receives", plain, more)
		if more > 8 {
			t.Errorf("%d requests more than for three plain tasks, want 8 at most", more)
		}
		if len(b.all()) != 9 {
			t.Errorf("%d tasks ran", len(b.all()))
		}
	})
}
