package chassistest

import (
	"testing"
	"time"
)

// TestAPartOfABatchIsRepeated: what SplitBatch had left out of a batch was taken for sent when
// the batch came again, so a queue never became empty.
func TestAPartOfABatchIsRepeated(t *testing.T) {
	s := newStorm(t, ticks.play, []StormOption{Within(10 * time.Minute)})
	r := s.run(Schedule{Seed: 1, Fleet: 1, Faults: []Fault{ // of the ticks of the minute before the start
		{Kind: SplitBatch, On: OnSend, Nth: 1}, {Kind: Repeat, On: OnSend, Nth: 1, For: 3 * time.Second},
	}})
	if len(r.findings) > 0 || len(r.struck) != 2 {
		t.Errorf("struck %d times, found %v", len(r.struck), r.findings)
	}
}
