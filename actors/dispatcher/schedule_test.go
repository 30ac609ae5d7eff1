package dispatcher

import (
	"testing"
	"time"
)

// TestARunIsNotTakenForAPostponement: the decision comes a little after the
// receive, and SQS gives its time in milliseconds. Whichever side of a second or
// of hold_limit the two are, what ran or waited in place at its first delivery
// must not look postponed at its second, or its crash would be forgotten; and
// what was hidden must, or that would be taken for a crash.
func TestARunIsNotTakenForAPostponement(t *testing.T) {
	due := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, limit := range []time.Duration{time.Millisecond, 2 * tick} {
		for ahead := time.Duration(0); ahead < 3*tick; ahead += 100 * time.Microsecond {
			for _, lag := range []time.Duration{0, 600 * time.Microsecond, 5 * time.Millisecond, 3 * tick} {
				for _, ordered := range []bool{false, true} {
					received := due.Add(-ahead)
					first := timing{due: due, sent: received, firstReceived: received.Truncate(time.Millisecond), received: received,
						receives: 1, holdLimit: limit, canHold: true, ordered: ordered, retention: 96 * time.Hour}
					plan := schedule(first, received.Add(lag))
					again := first
					again.receives = 2
					if ran := plan.kind == planRun; ran == again.far() {
						t.Fatalf("received %v ahead and decided %v later, hold_limit %v: ran %v, and is taken for postponed %v", ahead, lag, limit, ran, again.far())
					}
					if at := received.Add(lag + plan.wait); plan.kind == planRun && at.Before(due) {
						t.Fatalf("received %v ahead and decided %v later: runs at %v", ahead, lag, at)
					}
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
		m := timing{due: now.Add(due), sent: now, firstReceived: now, received: now, receives: 1, retention: 4 * day,
			holdLimit: 30 * time.Second, canHold: true}
		for _, c := range change {
			c(&m)
		}
		return m
	}
	again := func(m *timing) { m.receives = 2 }
	fifo := func(m *timing) { m.ordered = true }
	crowded := func(m *timing) { m.crowded = true }
	marked := func(m *timing) { m.marked, m.due = true, time.Time{} }
	crammed := func(m *timing) { m.canHold = false }
	limit := func(d time.Duration) func(*timing) { return func(m *timing) { m.holdLimit = d } }
	first := func(ago time.Duration) func(*timing) {
		return func(m *timing) { m.firstReceived = now.Add(-ago) }
	}
	unknown := func(m *timing) { m.firstReceived = time.Time{} }
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
		{"due in a second", fresh(time.Second), plan{planRun, time.Second}},
		{"due in hold_limit", fresh(30 * time.Second), plan{planRun, 30 * time.Second}},
		{"due a bit later", fresh(30*time.Second + 1), plan{planDelay, 31 * time.Second}},
		{"due in a second, crowded", fresh(time.Second, crowded), plan{planRun, time.Second}},
		{"due in less than a second, max_held wait already", fresh(900*time.Millisecond, crammed), plan{planRun, 900 * time.Millisecond}},
		{"due in a second, max_held wait already", fresh(time.Second, crammed), plan{planDelay, time.Second}},
		{"due in a second and a bit, max_held wait already", fresh(time.Second+1, crammed), plan{planDelay, 2 * time.Second}},
		{"due in less than a second, a hold_limit of less", fresh(900*time.Millisecond, limit(time.Millisecond)), plan{planRun, 900 * time.Millisecond}},
		{"due in a second, a hold_limit of less", fresh(time.Second, limit(time.Millisecond)), plan{planDelay, time.Second}},
		{"due in an hour, a hold_limit of an hour", fresh(hour, limit(hour)), plan{planRun, hour}},
		{"due in an hour, a hold_limit of an hour, max_held wait already", fresh(hour, limit(hour), crammed), plan{planDelay, 15 * time.Minute}},
		{"due in 40 seconds, in 20 by the queue's clock", fresh(40*time.Second, first(-20*time.Second)), plan{planDelay, 40 * time.Second}},
		{"due in 20 seconds, a crash while it waited in place", fresh(20*time.Second, again, first(5*time.Second)), plan{planRun, 20 * time.Second}},
		{"due now, a crash while it waited in place", fresh(0, again, first(30*time.Second)), plan{}},
		{"it came a little early, and is due by now", fresh(0, received(30*time.Second)), plan{}},
		{"due in 20 seconds, old by then", fresh(20*time.Second, age(3*day-15*time.Minute-20*time.Second+1)), plan{planDelay, 20 * time.Second}},
		{"due in 20 seconds, not quite old by then", fresh(20*time.Second, age(3*day-15*time.Minute-20*time.Second)), plan{planRun, 20 * time.Second}},
		{"due in a moment, the last receive before a redrive", fresh(1, redrive(3, 3)), plan{planDelay, time.Second}},
		{"due in a moment, hidden before", fresh(900*time.Millisecond, received(hour), again), plan{planDelay, time.Second}},
		{"due in 20 seconds, hidden before", fresh(20*time.Second, first(hour), again), plan{planDelay, 20 * time.Second}},
		{"due in an hour, its first receive is not known", fresh(hour, unknown), plan{planDelay, 15 * time.Minute}},
		{"due in 15 minutes", fresh(15 * time.Minute), plan{planDelay, 15 * time.Minute}},
		{"due in an hour", fresh(hour), plan{planHide, hour}},
		{"due in a day", fresh(day), plan{planHide, 12*hour - 2*time.Minute}},
		{"due in an hour, crowded", fresh(hour, crowded), plan{planDelay, 15 * time.Minute}},
		{"due in a day, held for eleven hours", fresh(day, received(11*hour)), plan{planHide, 58 * time.Minute}},
		{"due in a day, half of its life over meanwhile", fresh(day, age(37*hour)), plan{planDelay, 15 * time.Minute}},
		{"due in a day, a queue of an hour", fresh(day, keeps(hour)), plan{planDelay, 15 * time.Minute}},
		{"due in a day, a queue of a minute", fresh(day, keeps(time.Minute)), plan{planDelay, 30 * time.Second}},
		{"due in 40 seconds, a queue of a minute", fresh(40*time.Second, keeps(time.Minute)), plan{planDelay, 30 * time.Second}},
		{"due in a day, a second is left to hide it", fresh(day, received(12*hour-2*time.Minute-time.Second)), plan{planHide, time.Second}},
		{"due in a day, no second is left to hide it", fresh(day, received(12*hour-2*time.Minute-time.Second+1)), plan{planDelay, 15 * time.Minute}},
		{"due in an hour, half of its life over by then", fresh(hour, age(47*hour)), plan{planHide, hour}},
		{"due in an hour, more than half", fresh(hour, age(47*hour+1)), plan{planDelay, 15 * time.Minute}},
		{"it came early, and is due by now", fresh(0, received(time.Minute)), plan{kind: planRenew}},
		{"it came early, and is nearly due by now", fresh(1, received(time.Minute)), plan{planDelay, time.Second}},
		{"it came early, and comes again", fresh(0, received(hour), again), plan{kind: planRenew}},
		{"a copy made when it was due", fresh(hour, marked), plan{}},
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
		{"due, beyond a policy of one receive, set since", fresh(-hour, redrive(1, 2)), plan{kind: planRenew}},
		{"due, a policy of one receive", fresh(-hour, redrive(1, 1)), plan{}},

		{"FIFO, due", fresh(0, fifo), plan{}},
		{"FIFO, the last receive before a redrive", fresh(-hour, redrive(3, 3), fifo), plan{}},
		{"FIFO, old", fresh(-hour, age(4*day), fifo), plan{}},
		{"FIFO, in a second", fresh(time.Second, fifo), plan{planRun, time.Second}},
		{"FIFO, in hold_limit, after a crash", fresh(30*time.Second, fifo, again), plan{planRun, 30 * time.Second}},
		{"FIFO, in half a minute, old", fresh(30*time.Second, fifo, age(4*day)), plan{planRun, 30 * time.Second}},
		{"FIFO, it came early and is due by now", fresh(0, fifo, received(time.Minute)), plan{kind: planHide}},
		{"FIFO, hidden before, a moment early", fresh(time.Second-1, fifo, again, received(hour)), plan{planRun, time.Second - 1}},
		{"FIFO, hidden before, a second early", fresh(time.Second, fifo, again, received(hour)), plan{planHide, time.Second}},
		{"FIFO, in a minute, its first receive is not known", fresh(time.Minute, fifo, unknown), plan{planHide, time.Minute}},
		{"FIFO, in a minute", fresh(time.Minute, fifo), plan{planHide, time.Minute}},
		{"FIFO, in a day", fresh(day, fifo), plan{planHide, 12*hour - 2*time.Minute}},
		{"FIFO, as long as the queue keeps it", fresh(4*day-15*time.Minute, fifo), plan{planHide, 12*hour - 2*time.Minute}},
		{"FIFO, longer", fresh(4*day-15*time.Minute+1, fifo), plan{kind: planTooLate}},
		{"FIFO, came early and is due", fresh(0, fifo, received(hour), again), plan{}},
	} {
		if got := schedule(c.t, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestPostponementsOfOursAreNoSilentEnds(t *testing.T) {
	const second, hour, lease = time.Second, time.Hour, 120 * time.Second
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name       string
		receives   int
		first, due time.Duration // before now
		lease      time.Duration
		ordered    bool
		want       int
		age        time.Duration
		full       bool
	}{
		{"never scheduled", 3, hour, hour, lease, false, 3, hour, false},
		{"due before it was received", 3, hour, 2 * hour, lease, false, 3, hour, false},
		{"postponed, and renewed when due", 3, 2 * hour, hour, lease, false, 1, 0, false},
		{"FIFO, never scheduled", 3, hour, hour, lease, true, 3, hour, false},
		{"FIFO, postponed once", 2, 2 * hour, hour, lease, true, 1, hour, false},
		{"FIFO, postponed once and then a crash", 3, 2 * hour, hour, lease, true, 2, hour, false},
		{"FIFO, postponed once, released by a drain before", 1, 2 * hour, hour, lease, true, 1, hour, false},
		{"FIFO, postponed for 30 hours and then two crashes", 6, 31 * hour, hour, lease, true, 3, hour, false},
		{"FIFO, all of a step", 3, 12*hour - 2*time.Minute + hour, hour, lease, true, 2, hour, false},
		{"FIFO, a bit more than a step", 3, 12*hour - 2*time.Minute + hour + 1, hour, lease, true, 1, hour, false},

		{"waited in place, a crash", 2, 120 * second, 110 * second, lease, false, 2, 120 * second, false},
		{"waited in place, as long as that may be", 2, 120 * second, 90 * second, lease, false, 2, 120 * second, false},
		{"waited for a little longer than that may be", 2, 120*second + 1, 90 * second, lease, false, 1, 0, false},
		{"waited in place for six leases of five seconds, each a crash", 8, 35 * second, 5 * second, 5 * second, false, 8, 5 * second, false},
		{"and not all of the last one", 8, 35 * second, 8 * second, 5 * second, false, 8, 10 * second, false},
		{"waited in place, a lease that is not known", 3, 35 * second, 5 * second, 0, false, 3, 5 * second, false},
		{"FIFO, waited in place, a crash", 2, 120 * second, 110 * second, lease, true, 2, 120 * second, false},

		{"no copy fits, due since then", 4, 40 * second, 0, lease, false, 3, 0, true},
		{"no copy fits, three crashes since it was due", 5, 40*second + 3*lease, 3 * lease, lease, false, 4, 3 * lease, true},
		{"no copy fits, a day early and hidden twice", 3, 25 * hour, hour, lease, false, 1, hour, true},
		{"no copy fits, and never early", 4, 3 * lease, 3 * lease, lease, false, 4, 3 * lease, true},
	} {
		m := timing{due: now.Add(-c.due), firstReceived: now.Add(-c.first), receives: c.receives, lease: c.lease, holdLimit: 30 * second, ordered: c.ordered,
			full: c.full, retention: 96 * hour}
		if got, age := m.counted(now); got != c.want || age != c.age {
			t.Errorf("%s: %d receives in %v, want %d in %v", c.name, got, age, c.want, c.age)
		}
	}
}

// TestCrashesDuringAFirstWaitInPlaceDoNotEndATask: a process that crashes again
// and again, at once or at the end of a lease, uses up no budget of a task that
// has waited in place for its time and never ran; and crashes of the task itself
// end it in the end, whatever part of a lease the wait took.
func TestCrashesDuringAFirstWaitInPlaceDoNotEndATask(t *testing.T) {
	sent := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, lease := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, 30 * time.Second, 120 * time.Second, time.Hour} {
		for _, limit := range []time.Duration{tick, 30 * time.Second, time.Hour} {
			for _, ordered := range []bool{false, true} {
				m := timing{due: sent.Add(limit), sent: sent, firstReceived: sent, received: sent, lease: lease, holdLimit: limit, canHold: true, ordered: ordered, retention: 96 * time.Hour}
				silent := func(now time.Time) int {
					m.receives++
					m.received = now
					receives, age := m.counted(now)
					return deliveries{receives: receives, age: age, lease: lease, other: 10 * time.Second}.silentEnds()
				}
				now := sent
				for ; m.receives < manyReceives && now.Before(m.due); now = now.Add(lease) {
					if l := (ledger{silent: silent(now), max: 1, ordered: ordered}); l.silentlySpent() {
						t.Errorf("a lease of %v, a wait of %v: dead by %d silent ends at %v, before its time", lease, limit, l.silent, now.Sub(sent))
					}
				}
				if m.receives == manyReceives {
					continue // beyond, each receive counts, however it was spent
				}
				if l := (ledger{silent: silent(now), max: 1, ordered: ordered}); l.silentlySpent() { // crashed in the lease in which it was due
					t.Errorf("a lease of %v, a wait of %v: dead by %d silent ends at its time", lease, limit, l.silent)
				}
				l := ledger{max: 1, ordered: ordered}
				for range 24 {
					now = now.Add(lease)
					l.silent = silent(now)
				}
				if !l.silentlySpent() {
					t.Errorf("a lease of %v, a wait of %v: 24 crashes at its time are %d silent ends", lease, limit, l.silent)
				}
			}
		}
	}
}
