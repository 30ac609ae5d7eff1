package dispatcher

import (
	"fmt"
	"testing"
	"time"
)

func TestCancelledRemembersForATime(t *testing.T) {
	var c cancelled
	now := time.Unix(1000, 0)
	if _, found := c.of("a", now); found {
		t.Error("one that was never cancelled")
	}
	c.add("a", now.Add(time.Minute), outcome{kind: outCancelled, gone: true})
	c.add("b", now.Add(time.Hour), outcome{kind: outCancelled})
	if out, found := c.of("a", now.Add(59*time.Second)); !found || !out.gone {
		t.Errorf("%+v, %v", out, found)
	}
	if _, found := c.of("c", now); found {
		t.Error("another one")
	}
	if _, found := c.of("a", now.Add(time.Minute)); found || len(c.byID) != 1 || len(c.order) != 1 {
		t.Errorf("its time is over, and %d are kept", len(c.byID))
	}
	for i := range mostCancelled + 5 {
		c.add(fmt.Sprint(i), now.Add(time.Hour), outcome{})
		c.add(fmt.Sprint(i), now.Add(time.Hour), outcome{}) // twice is once
	}
	if _, found := c.of("b", now); found || len(c.byID) != mostCancelled || len(c.order) != mostCancelled {
		t.Errorf("%d are kept, in an order of %d", len(c.byID), len(c.order))
	}
	if _, found := c.of("5", now); !found {
		t.Error("the oldest that has room is not there")
	}
}
