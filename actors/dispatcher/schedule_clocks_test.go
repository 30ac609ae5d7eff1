package dispatcher

import (
	"testing"
	"time"
)

// TestAWrongClockPostponesNothingThatIsDue: the process that has it hid a task four times,
// and another took the four receives for ends of processes. All processes see the same
// lead and count the same silent ends, whatever their clocks.
func TestAWrongClockPostponesNothingThatIsDue(t *testing.T) {
	const lease = 30 * time.Second
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // by the queue
	for _, due := range []time.Duration{0, 500 * time.Millisecond, 20 * time.Second, 31 * time.Second, 10 * time.Minute, 20 * time.Hour} {
		// seen is a message that came at due before its time, age ago, as a process sees it
		// now that has a clock behind the queue's.
		seen := func(behind, age time.Duration, receives int) (timing, time.Time) {
			e := &execution{ahead: ahead(behind)}
			first, written := now.Add(-age), now.Add(due-age)
			return timing{due: e.ours(written), written: written, sent: e.ours(first), firstReceived: e.ours(first), received: now.Add(-behind),
				receives: receives, lease: lease, holdLimit: lease, canHold: true, retention: 96 * time.Hour}, now.Add(-behind)
		}
		right, at := seen(0, 0, 1)
		want := schedule(right, at)
		for _, behind := range []time.Duration{-24 * time.Hour, -140 * time.Second, -time.Second, 999 * time.Millisecond, 130 * time.Second, 24 * time.Hour} {
			m, here := seen(behind, 0, 1)
			got := schedule(m, here)
			if m.far() != right.far() {
				t.Errorf("due in %v, a clock that is %v behind: far %v", due, behind, m.far())
			}
			if behind >= clockSlack && got != want {
				t.Errorf("due in %v, a clock that is %v behind: %+v, want %+v", due, behind, got, want)
			}
			if got.wait > want.wait+tick || due == 0 && got.kind != planRun {
				t.Errorf("due in %v, a clock that is %v behind: it waits for %v, want %v", due, behind, got.wait, want.wait)
			}
			for age := time.Duration(0); age < 10*lease; age += lease / 3 {
				m, here := seen(behind, age, 5)
				right, at := seen(0, age, 5)
				receives, gone := m.counted(here)
				if n, g := right.counted(at); n != receives || (g-gone).Abs() > clockSlack {
					t.Errorf("due in %v, a clock that is %v behind, %v later: %d receives in %v, want %d in %v", due, behind, age, receives, gone, n, g)
				}
			}
		}
	}
}
