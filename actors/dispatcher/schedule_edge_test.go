package dispatcher

import (
	"testing"
	"time"
)

// TestAFailureJustBeforeATaskIsDueIsNotTakenForAPostponement: the decision to
// run comes a little after the receive, whose time SQS tells in milliseconds;
// whichever side of a second the two are, what ran at its first delivery must
// not look postponed at its second, or its failure would be forgotten.
func TestAFailureJustBeforeATaskIsDueIsNotTakenForAPostponement(t *testing.T) {
	due := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for ahead := time.Duration(0); ahead < 2*tick; ahead += 100 * time.Microsecond {
		for _, lag := range []time.Duration{0, 600 * time.Microsecond, 5 * time.Millisecond, 3 * tick} {
			for _, ordered := range []bool{false, true} {
				received := due.Add(-ahead)
				first := timing{due: due, sent: received, firstReceived: received.Truncate(time.Millisecond), received: received,
					receives: 1, ordered: ordered, retention: 96 * time.Hour}
				plan := schedule(first, received.Add(lag))
				again := first
				again.receives = 2
				if ran := plan.kind == planRun; ran == again.postponed() {
					t.Fatalf("received %v ahead and decided %v later: ran %v, and is taken for postponed %v", ahead, lag, ran, again.postponed())
				}
			}
		}
	}
}
