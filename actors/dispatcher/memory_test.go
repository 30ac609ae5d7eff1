package dispatcher

import (
	"strconv"
	"testing"
	"time"
)

// TestWhatComesBackToThisProcessIsKnown: the queue's word of a message that could
// not be settled counts only where this process was not the last that had it.
func TestWhatComesBackToThisProcessIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		m        memory
		came     ledger // by the message and the queue
		receives int
		want     ledger
	}{
		"hidden 24 times by a refused send": {memory{receives: 24, silent: 0}, ledger{silent: 24, max: 3}, 25, ledger{max: 3}},
		"failed here":                       {memory{receives: 1, failures: 2}, ledger{max: 3}, 2, ledger{failures: 2, max: 3}},
		"failed elsewhere meanwhile":        {memory{receives: 1, failures: 1}, ledger{failures: 2, silent: 1, max: 9}, 3, ledger{failures: 2, silent: 1, max: 9}},
		"two crashes elsewhere":             {memory{receives: 1}, ledger{silent: 3, max: 9}, 4, ledger{silent: 2, max: 9}},
		"two elsewhere, one of no time":     {memory{receives: 1}, ledger{silent: 1, max: 9}, 4, ledger{silent: 1, max: 9}},
		"broken off by a restart":           {memory{receives: 1, silent: 1}, ledger{max: 9}, 2, ledger{silent: 1, max: 9}},
		"a fresh copy of the same id":       {memory{receives: 5, silent: 2}, ledger{max: 9}, 1, ledger{silent: 2, max: 9}},
	} {
		if got := c.m.restore(c.came, c.receives); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestSilentEndsOfAFIFOMessageThatComesBackAreFailuresOnce: a lease that is lost in place
// makes no more of what was presumed before.
func TestSilentEndsOfAFIFOMessageThatComesBackAreFailuresOnce(t *testing.T) {
	e := &execution{receives: 3, ledger: ledger{silent: 2, max: 10, ordered: true}.presume()}
	e.ledger.failures++ // of its run
	for back := range 3 {
		came := ledger{silent: int(e.receives), max: 10, ordered: true} // by the queue's word
		e.receives++
		e.ledger = e.memory(copied).restore(came, int(e.receives)).presume()
		if e.ledger.failures != 3 || e.ledger.silent != 2 {
			t.Fatalf("back for the %d. time: %+v, want 3 failures, 2 of them presumed", back+1, e.ledger)
		}
	}
	if m := e.memory(givenUp); m.failures != 3 {
		t.Errorf("its dead letter says %d failures, said 3 before", m.failures)
	}
}

// TestMemoriesAreBounded: most messages never come back.
func TestMemoriesAreBounded(t *testing.T) {
	ms := memories{}
	for i := range 2*mostRemembered + 1 {
		ms.keep(strconv.Itoa(i), memory{rest: time.Unix(1, 0)})
	}
	if len(ms) > mostRemembered {
		t.Errorf("%d messages are remembered", len(ms))
	}
	last := strconv.Itoa(2 * mostRemembered)
	if _, known := ms.take(last); !known {
		t.Error("the last one is not known")
	}
	if _, known := ms.take(last); known {
		t.Error("it is known twice")
	}
}
