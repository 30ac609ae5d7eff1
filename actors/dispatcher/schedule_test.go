package dispatcher

import (
	"testing"
	"time"
)

// TestAFailureJustBeforeATaskIsDueIsNotTakenForAPostponement: the decision to
// run comes a little after the receive, and SQS gives that in milliseconds;
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

func TestWhenAMessageMayRun(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	// fresh is a message that was sent and received just now, on a queue that
	// keeps four days.
	fresh := func(due time.Duration, change ...func(*timing)) timing {
		m := timing{due: now.Add(due), sent: now, firstReceived: now, received: now, receives: 1, retention: 4 * day}
		for _, c := range change {
			c(&m)
		}
		return m
	}
	again := func(m *timing) { m.receives = 2 }
	fifo := func(m *timing) { m.ordered = true }
	crowded := func(m *timing) { m.crowded = true }
	marked := func(m *timing) { m.marked = true }
	received := func(ago time.Duration) func(*timing) {
		return func(m *timing) { m.firstReceived = now.Add(-ago); m.received = now.Add(-ago) }
	}
	age := func(d time.Duration) func(*timing) { return func(m *timing) { m.sent = now.Add(-d) } }
	redrive := func(limit, receives int) func(*timing) {
		return func(m *timing) { m.maxReceives, m.receives = limit, receives }
	}
	keeps := func(d time.Duration) func(*timing) { return func(m *timing) { m.retention = d } }
	for _, c := range []struct {
		name string
		t    timing
		want plan
	}{
		{"at once", timing{sent: now, firstReceived: now, received: now, receives: 1, retention: 4 * day}, plan{}},
		{"due", fresh(0), plan{}},
		{"due since an hour", fresh(-hour), plan{}},
		{"due in less than a second", fresh(900 * time.Millisecond), plan{kind: planRun, wait: 900 * time.Millisecond}},
		{"due in a second", fresh(time.Second), plan{planDelay, time.Second}},
		{"due in a second and a bit", fresh(time.Second + 1), plan{planDelay, 2 * time.Second}},
		{"due in 15 minutes", fresh(15 * time.Minute), plan{planDelay, 15 * time.Minute}},
		{"due in an hour", fresh(hour), plan{planHide, hour}},
		{"due in a day", fresh(day), plan{planHide, 12*hour - 2*time.Minute}},
		{"due in an hour, crowded", fresh(hour, crowded), plan{planDelay, 15 * time.Minute}},
		{"due in a day, held for eleven hours", fresh(day, received(11*hour)), plan{planHide, 58 * time.Minute}},
		{"due in a day, half of its life over meanwhile", fresh(day, age(37*hour)), plan{planDelay, 15 * time.Minute}},
		{"due in a day, a queue of an hour", fresh(day, keeps(hour)), plan{planDelay, 15 * time.Minute}},
		{"due in a day, a queue of a minute", fresh(day, keeps(time.Minute)), plan{planDelay, 30 * time.Second}},
		{"due in 40 seconds, a queue of a minute", fresh(40*time.Second, keeps(time.Minute)), plan{planDelay, 30 * time.Second}},
		{"it came early, and is due by now", fresh(0, received(2*time.Second)), plan{kind: planRenew}},
		{"it came early, and comes again", fresh(0, received(hour), again), plan{kind: planRenew}},
		{"a copy made when it was due", fresh(hour, marked), plan{kind: planRun, wait: hour}},
		{"old", fresh(-hour, age(3*day-15*time.Minute+1)), plan{kind: planRenew}},
		{"nearly old", fresh(-hour, age(3*day-15*time.Minute)), plan{}},
		{"old, renewed before", fresh(-hour, age(4*day), marked), plan{}},

		{"half of its life over, delivered before", fresh(-hour, age(2*day+1), again), plan{kind: planRenew}},
		{"that much but once renewed", fresh(-hour, age(2*day+1), again, marked), plan{kind: planRenew}},
		{"not half of its life", fresh(-hour, age(2*day), again), plan{}},
		{"half of its life over, waited in a backlog", fresh(-hour, age(2*day+1)), plan{}},
		{"due in a day, a redrive policy", fresh(day, redrive(3, 1)), plan{planHide, 12*hour - 2*time.Minute}},
		{"due in a day, its last receive but one", fresh(day, redrive(3, 2)), plan{planDelay, 15 * time.Minute}},
		{"due, the last receive before a redrive", fresh(-hour, redrive(3, 3)), plan{kind: planRenew}},
		{"due, one more receive", fresh(-hour, redrive(3, 2)), plan{}},
		{"due, a policy of one receive", fresh(-hour, redrive(1, 1)), plan{}},

		{"FIFO, due", fresh(0, fifo), plan{}},
		{"FIFO, the last receive before a redrive", fresh(-hour, redrive(3, 3), fifo), plan{}},
		{"FIFO, old", fresh(-hour, age(4*day), fifo), plan{}},
		{"FIFO, in a minute", fresh(time.Minute, fifo), plan{planHide, time.Minute}},
		{"FIFO, in a day", fresh(day, fifo), plan{planHide, 12*hour - 2*time.Minute}},
		{"FIFO, as long as the queue keeps it", fresh(4*day-15*time.Minute, fifo), plan{planHide, 12*hour - 2*time.Minute}},
		{"FIFO, longer", fresh(4*day-15*time.Minute+1, fifo), plan{kind: planTooLate}},
		{"FIFO, came early and is due", fresh(0, fifo, received(hour), again), plan{}},
	} {
		if got := schedule(c.t, now); got != c.want && !(c.want.kind == planRun && got.kind == planRun && got.wait == max(c.want.wait, 0)) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestPostponementsOfOursAreNoSilentEnds(t *testing.T) {
	const hour = time.Hour
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name       string
		receives   int
		first, due time.Duration // before now
		ordered    bool
		want       int
		age        time.Duration
	}{
		{"never scheduled", 3, hour, hour, false, 3, hour},
		{"postponed, and renewed when due", 3, 2 * hour, hour, false, 1, 0},
		{"FIFO, never scheduled", 3, hour, hour, true, 3, hour},
		{"FIFO, postponed once", 2, 2 * hour, hour, true, 1, hour},
		{"FIFO, postponed once and then a crash", 3, 2 * hour, hour, true, 2, hour},
		{"FIFO, postponed for 30 hours and then two crashes", 6, 31 * hour, hour, true, 3, hour},
	} {
		m := timing{due: now.Add(-c.due), firstReceived: now.Add(-c.first), receives: c.receives, ordered: c.ordered}
		if got, age := m.counted(now); got != c.want || age != c.age {
			t.Errorf("%s: %d receives in %v, want %d in %v", c.name, got, age, c.want, c.age)
		}
	}
}
