package poller

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The ledger against a queue that fails as it likes: whatever happens, no lease
// is believed to be held for longer than the queue holds it, every lease that
// is not lost was extended in time, and none is forgotten.
func TestLedgerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(1, 43200).Draw(t, "length")) * time.Second
		notice := time.Duration(rapid.IntRange(1, 3600).Draw(t, "notice")) * time.Second
		b := newLedger(notice)
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		type truth struct {
			until, received time.Time // by the queue's clock
			noticed         bool
		}
		queue := map[*lease]*truth{}
		var order []*lease // of queue, in the order of the receives: a failure repeats itself
		open := 0
		type request struct {
			leases []*lease
			hide   []time.Duration
			start  time.Time
			done   []bool // what the queue did, before its answer comes
		}
		var underWay []request

		answer := func(r request) {
			for i, l := range r.leases {
				if b.leases[l.id] != l {
					continue
				}
				var err error
				if !r.done[i] {
					err = errors.New("away")
				}
				b.extended(l, now, r.start, r.hide[i], err)
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				slow := time.Duration(rapid.IntRange(0, 5000).Draw(t, "receive ms")) * time.Millisecond
				l := b.open("h", now, time.Time{}, length)
				queue[l] = &truth{until: now.Add(length + slow/2), received: now.Add(slow / 2)}
				order = append(order, l)
				now = now.Add(slow)
				open++
			case 1:
				for _, l := range order {
					if l.stage == delivered {
						b.settle(l, &settlement{kind: rapid.SampledFrom([]kind{deletion, release}).Draw(t, "kind")})
						break
					}
				}
			case 2:
				for _, l := range order {
					if l.settling != nil && queue[l] != nil {
						b.close(l)
						delete(queue, l)
						break
					}
				}
			case 3:
				if len(underWay) > 0 {
					answer(underWay[0])
					underWay = underWay[1:]
				}
			default: // time goes to when something is due, or not so far
				if wake, ok := b.wake(); ok && wake.After(now) {
					step := wake.Sub(now)
					now = now.Add(min(step, time.Duration(rapid.Int64Range(1, int64(step)).Draw(t, "time"))+time.Millisecond))
				}
			}
			w := b.collect(now)
			for len(w.extend) > 0 {
				n := min(len(w.extend), maxBatchEntries)
				r := request{leases: w.extend[:n], start: now, hide: make([]time.Duration, n), done: make([]bool, n)}
				for i, l := range r.leases {
					r.hide[i] = l.extension(now)
					if r.hide[i] < time.Second {
						t.Fatalf("an extension by %v", r.hide[i])
					}
					if total := now.Add(r.hide[i]).Sub(queue[l].received); total > MaxLease {
						t.Fatalf("an extension to %v after the receive", total)
					}
					if r.done[i] = rapid.IntRange(0, 3).Draw(t, "fails") > 0; r.done[i] {
						queue[l].until = now.Add(r.hide[i])
					}
				}
				underWay = append(underWay, r)
				w.extend = w.extend[n:]
			}
			for _, l := range w.expiring {
				if queue[l].noticed {
					t.Fatal("its end is announced twice")
				}
				queue[l].noticed = true
			}
			for _, l := range w.lost {
				if l.stage == closed {
					if !l.releasing() {
						t.Fatal("a lease was forgotten with its loss")
					}
					delete(queue, l)
				}
			}
			unsettled := 0
			for _, l := range b.leases {
				q := queue[l]
				if q == nil {
					t.Fatal("a lease that was closed is there")
				}
				if l.settling == nil && !l.over() {
					unsettled++
				}
				if !l.over() && !now.Before(q.until) {
					t.Fatalf("at %v a lease is held that the queue gave up at %v", now, q.until)
				}
				if due := l.next(notice); !due.Equal(l.due) || b.due[l.index] != l {
					t.Fatal("a lease is not in its place")
				}
			}
			if unsettled != b.unsettled() {
				t.Fatalf("unsettled is %d, counted %d", unsettled, b.unsettled())
			}
			if wake, ok := b.wake(); ok && !wake.After(now) && !b.due[0].over() { // what was lost now is forgotten by the next call
				t.Fatalf("something due at %v was not collected at %v", wake, now)
			}
			for l := range queue {
				if b.leases[l.id] != l {
					if now.Sub(l.received) < MaxLease {
						t.Fatal("a lease was forgotten")
					}
					delete(queue, l)
				}
			}
			var ended int
			var oldest *lease
			for _, l := range b.leases {
				if l.over() {
					ended++
				} else if oldest == nil || l.id < oldest.id {
					oldest = l
				}
			}
			if n := b.count[lost] + b.count[late]; ended != n || b.held() != len(b.leases)-ended || b.oldest() != oldest {
				t.Fatalf("%d lost, counted %d; oldest %v, want %v", ended, n, b.oldest(), oldest)
			}
		}
	})
}

// Ten thousand leases opened over a while cost, per ten of them and half their
// length, at most one request.
func TestLeasesFallIntoStep(t *testing.T) {
	for _, n := range []int{1, 3, 10, 95, 2000} {
		const length = 120 * time.Second
		b := newLedger(time.Minute)
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		for i := range n {
			b.open("h", now.Add(time.Duration(i)*length/time.Duration(n)), time.Time{}, length)
		}
		began := now.Add(length)
		requests, extensions := 0, 0
		const halves = 40
		for now.Before(began.Add(halves * length / 2)) {
			if wake, _ := b.wake(); wake.After(now) {
				now = wake
			}
			w := b.collect(now)
			if len(w.lost) > 0 {
				t.Fatal("lost")
			}
			if now.After(began) { // after they have found their step
				requests += (len(w.extend) + 9) / 10
				extensions += len(w.extend)
			}
			for _, l := range w.extend {
				b.extended(l, now, now, length, nil)
			}
		}
		most := float64(halves) * max(float64(n)/10, 1)
		t.Logf("%d leases: %d requests with %d extensions in %d half lengths (at most %.0f)", n, requests, extensions, halves, most)
		if float64(requests) > most {
			t.Errorf("%d leases: %d requests, at most %.0f", n, requests, most)
		}
	}
}

func TestALostLeaseIsKnownAsLongAsItsHandleIsWorthSomething(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b := newLedger(time.Minute)
	l := b.open("h", now, time.Time{}, 2*time.Hour)
	b.lose(l)
	if b.collect(now.Add(MaxLease - time.Minute)); b.leases[l.id] == nil {
		t.Error("forgotten before its handle has ended: a late delete is refused")
	}
	if b.collect(now.Add(MaxLease)); b.leases[l.id] != nil {
		t.Error("kept after its handle has ended")
	}
}

func TestALeaseUnderReleaseIsNotExtended(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b := newLedger(time.Minute)
	l := b.open("h", now, time.Time{}, 80*time.Second)
	b.settle(l, &settlement{kind: release})
	if w := b.collect(now.Add(60 * time.Second)); len(w.extend) > 0 {
		t.Error("extended: SQS hides a released message again for a whole lease")
	}
}

func TestLedgerWakesWhenSomethingIsDue(t *testing.T) {
	const lostAt = 78 * time.Second
	for _, c := range []struct {
		name   string
		change func(b *ledger, l *lease)
		want   time.Duration // after the receive
	}{
		{"an extension, at 5/8", func(*ledger, *lease) {}, 50 * time.Second},
		{"an extension though its delete is under way", func(b *ledger, l *lease) { b.settle(l, &settlement{}) }, 50 * time.Second},
		{"the end of a lease under release", func(b *ledger, l *lease) { b.settle(l, &settlement{kind: release}) }, lostAt},
		{"the end of a lease after a failed settle", func(b *ledger, l *lease) { b.settle(l, &settlement{}); b.unsettle(l) }, lostAt},
		{"the end while an extension is under way", func(b *ledger, _ *lease) { b.collect(leased.Add(50 * time.Second)) }, lostAt},
		{"the notice, once the retention is known to end before", func(b *ledger, _ *lease) { b.keep(40 * time.Second) }, 35 * time.Second * 3 / 4},
		{"the end, after the notice", func(b *ledger, _ *lease) { b.keep(40 * time.Second); b.collect(leased.Add(30 * time.Second)) }, lostAt},
		{"the end of a lost lease's handle", func(b *ledger, l *lease) { b.lose(l) }, MaxLease},
	} {
		b := newLedger(time.Minute)
		c.change(b, b.open("h", leased, leased, 80*time.Second))
		if wake, ok := b.wake(); !ok || wake.Sub(leased) != c.want {
			t.Errorf("%s: wakes after %v (%v), want %v", c.name, wake.Sub(leased), ok, c.want)
		}
	}
}

// The end of a message's retention is announced once: its subscriber then carries
// it on in a copy, and twice would make two copies.
func TestTheEndOfALeaseIsAnnouncedOnceAndInTime(t *testing.T) {
	b := newLedger(time.Minute)
	b.keep(80 * time.Minute)
	l := b.open("h", leased, leased, 80*time.Minute) // extended at 50 min; kept for 70, announced at 69
	for _, c := range []struct {
		at                     time.Duration
		extend, expiring, lost int
	}{
		{50*time.Minute - 1, 0, 0, 0},
		{50 * time.Minute, 1, 0, 0}, // too early for the announcement
		{69*time.Minute - 1, 0, 0, 0},
		{69 * time.Minute, 0, 1, 0},
		{79 * time.Minute, 0, 0, 0},
		{80*time.Minute - 2*time.Second, 0, 0, 1},
		{81 * time.Minute, 0, 0, 0},
	} {
		if c.extend > 0 {
			l.end = leased.Add(60 * time.Minute) // so that an extension gains something
			b.update(l)
		}
		w := b.collect(leased.Add(c.at))
		if len(w.extend) != c.extend || len(w.expiring) != c.expiring || len(w.lost) != c.lost {
			t.Errorf("after %v: %d to extend, %d to announce, %d lost; want %+v", c.at, len(w.extend), len(w.expiring), len(w.lost), c)
		}
		if c.extend > 0 {
			l.renewal = l.renewal.answered()
			l.hold(leased, 80*time.Minute)
			b.update(l)
		}
	}
}

func TestExtensionsTakeCompanyAlong(t *testing.T) {
	const length = 80 * time.Second // due from 50 s on, in company from 10 s on
	now := leased.Add(MaxLease)
	ages := func(n int, age time.Duration) (list []time.Duration) {
		for i := range n { // each a bit younger than the one before
			list = append(list, age*time.Second+time.Duration(n-1-i)*time.Millisecond)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		ages   []time.Duration // of the leases
		change func(b *ledger, l *lease)
		want   int // the first so many are extended, each once
	}{
		{"alone", ages(1, 50), nil, 1},
		{"none is due", ages(5, 49), nil, 0},
		{"with those that an eighth of is over", append(ages(1, 50), ages(3, 10)...), nil, 4},
		{"without younger ones: each would be extended with every other", append(ages(1, 50), ages(3, 9)...), nil, 1},
		{"up to ten, which are one request", append(ages(1, 50), ages(12, 30)...), nil, 10},
		{"up to twenty, which are two", append(ages(11, 50), ages(12, 30)...), nil, 20},
		{"no more if ten are due", append(ages(10, 50), ages(12, 30)...), nil, 10},
		{"without one after its failed settle", append(ages(1, 50), 77*time.Second), func(b *ledger, l *lease) { b.settle(l, &settlement{}); b.unsettle(l) }, 1},
		{"without one under release", append(ages(1, 50), 77*time.Second), func(b *ledger, l *lease) { b.settle(l, &settlement{kind: release}) }, 1},
		{"without a lost one", append(ages(1, 50), MaxLease-time.Second), func(b *ledger, l *lease) { b.lose(l) }, 1},
	} {
		b := newLedger(time.Minute)
		var l *lease
		for _, age := range c.ages {
			l = b.open("h", now.Add(-age), time.Time{}, length)
		}
		if c.change != nil {
			c.change(b, l)
		}
		seen := map[LeaseID]bool{}
		w := b.collect(now)
		for _, l := range w.extend {
			if seen[l.id] || l.id > LeaseID(c.want) || l.renewal != underWay {
				t.Errorf("%s: lease %d is extended (twice: %v, marked: %v)", c.name, l.id, seen[l.id], l.renewal)
			}
			seen[l.id] = true
		}
		if len(w.extend) != c.want || len(w.lost) > 0 || len(w.expiring) > 0 {
			t.Errorf("%s: %d are extended, want %d; %d lost, %d announced", c.name, len(w.extend), c.want, len(w.lost), len(w.expiring))
		}
	}
}

// The worker waits for company to a delete while a settle may come, and keeps
// its short heartbeat.
func TestLedgerCountsItsLeases(t *testing.T) {
	settle := func(b *ledger, l *lease) { b.settle(l, &settlement{}) }
	type change struct {
		name            string
		do              func(b *ledger, l *lease)
		unsettled, lost int
	}
	for _, steps := range [][]change{
		{{"settled", settle, 0, 0}, {"unsettled", (*ledger).unsettle, 1, 0}, {"settled again", settle, 0, 0}, {"closed", (*ledger).close, 0, 0}},
		{{"closed without a settle", (*ledger).close, 0, 0}, {"closed twice", (*ledger).close, 0, 0}},
		{{"lost", (*ledger).lose, 0, 1}, {"settled late", settle, 0, 1}, {"closed", (*ledger).close, 0, 0}},
		{{"lost", (*ledger).lose, 0, 1}, {"lost again", (*ledger).lose, 0, 1}, {"closed", (*ledger).close, 0, 0}},
		{{"settled", settle, 0, 0}, {"lost", (*ledger).lose, 0, 1}, {"closed", (*ledger).close, 0, 0}},
	} {
		b := newLedger(time.Minute)
		l := b.open("h", leased, time.Time{}, 80*time.Second)
		other := b.open("h", leased, time.Time{}, 80*time.Second)
		names := "opened"
		for _, s := range steps {
			names += ", " + s.name
			if s.do(b, l); b.unsettled() != s.unsettled+1 || b.count[lost]+b.count[late] != s.lost {
				t.Errorf("%s: %d unsettled and %d lost, want %d and %d", names, b.unsettled(), b.count[lost]+b.count[late], s.unsettled+1, s.lost)
			}
		}
		if b.oldest() != other {
			t.Errorf("%s: the oldest is not the other", names)
		}
	}
}

func TestALedgerThatIsEmptyKeepsNothing(t *testing.T) {
	b := newLedger(time.Minute)
	if wake, ok := b.wake(); ok {
		t.Errorf("an empty ledger wakes at %v", wake)
	}
	b.close(b.open("h", leased, time.Time{}, 80*time.Second))
	if wake, ok := b.wake(); ok || b.due[:1][0] != nil {
		t.Errorf("wakes at %v (%v), holds %v in memory", wake, ok, b.due[:1][0])
	}
}

func TestALateDeleteThatNeverWorkedIsOverWithItsHandle(t *testing.T) {
	b := newLedger(time.Minute)
	l := b.open("h", leased, time.Time{}, 80*time.Second)
	b.lose(l)
	s := &settlement{own: true}
	b.settle(l, s)
	if b.collect(leased.Add(MaxLease - 1)); s.answered {
		t.Error("over while its handle may still delete the message")
	}
	if b.collect(leased.Add(MaxLease)); !s.answered || len(b.leases) > 0 {
		t.Errorf("over: %v, %d leases: a flush waits for it forever", s.answered, len(b.leases))
	}
}

// The tables at the head of lease.go, line by line.
func TestLeaseStages(t *testing.T) {
	away := errors.New("away")
	type event func(b *ledger, l *lease)
	var (
		hold      event = func(b *ledger, l *lease) { b.holdBack(l, &Delivered{}, leased) }
		begin     event = func(b *ledger, l *lease) { b.collect(l.extendAt) }
		answer    event = func(b *ledger, l *lease) { b.extended(l, l.extendAt, l.extendAt, l.length, nil) }
		failed    event = func(b *ledger, l *lease) { b.extended(l, l.extendAt, l.extendAt, l.length, away) }
		refused   event = func(b *ledger, l *lease) { b.extended(l, l.extendAt, l.extendAt, l.length, errBad) }
		handOver  event = func(b *ledger, l *lease) { b.move(l, delivered) }
		toDelete  event = func(b *ledger, l *lease) { b.settle(l, &settlement{}) }
		toRelease event = func(b *ledger, l *lease) { b.settle(l, &settlement{kind: release}) }
		ends      event = func(b *ledger, l *lease) { b.collect(l.lostAt()) }
		forgotten event = func(b *ledger, l *lease) { b.collect(leased.Add(MaxLease)) }
	)
	for _, c := range []struct {
		name    string
		events  []event
		stage   leaseStage
		renewal renewal
	}{
		{"delivered", nil, delivered, planned},
		{"extended", []event{begin, answer}, delivered, planned},
		{"an extension is under way", []event{begin}, delivered, underWay},
		{"an extension failed", []event{begin, failed}, delivered, planned},
		{"an extension is refused", []event{begin, refused}, lost, planned},
		{"held back", []event{hold}, heldBack, planned},
		{"held back, extended and handed over", []event{hold, begin, answer, handOver}, delivered, planned},
		{"held back until it is lost", []event{hold, begin, failed, ends}, closed, planned},
		{"held back, its extension is refused", []event{hold, begin, refused}, closed, planned},
		{"settled", []event{toDelete}, settling, planned},
		{"settled during an extension", []event{begin, toDelete}, settling, underWay},
		{"its extension is refused: the delete may have worked", []event{begin, toDelete, refused}, settling, stopped},
		{"its extension is refused before the release", []event{begin, toRelease, refused}, closed, planned},
		{"its settle failed", []event{toDelete, (*ledger).unsettle}, delivered, stopped},
		{"its settle failed during an extension", []event{begin, toDelete, (*ledger).unsettle}, delivered, final},
		{"that extension is answered", []event{begin, toDelete, (*ledger).unsettle, answer}, delivered, stopped},
		{"settled again", []event{toDelete, (*ledger).unsettle, toRelease}, settling, stopped},
		{"lost", []event{ends}, lost, planned},
		{"lost during an extension", []event{begin, ends, answer}, lost, planned},
		{"lost, then settled", []event{ends, toDelete}, late, planned},
		{"lost before its delete was answered", []event{toDelete, ends}, late, planned},
		{"lost before its release was answered", []event{toRelease, ends}, closed, planned},
		{"lost and never settled", []event{ends, forgotten}, closed, planned},
		{"lost and never deleted", []event{ends, toDelete, forgotten}, closed, planned},
		{"done", []event{toDelete, (*ledger).close}, closed, planned},
	} {
		b := newLedger(time.Minute)
		l := b.open("h", leased, time.Time{}, 80*time.Second)
		for _, do := range c.events {
			do(b, l)
		}
		if l.stage != c.stage || l.renewal != c.renewal {
			t.Errorf("%s: %v, extension %v; want %v, %v", c.name, l.stage, l.renewal, c.stage, c.renewal)
		}
		if held := b.leases[l.id] == l; held != (l.stage != closed) || held && b.count[l.stage] != 1 {
			t.Errorf("%s: in the ledger: %v, counted %v", c.name, held, b.count)
		}
	}
}

func TestAnswersToAnExtension(t *testing.T) {
	away := errors.New("away")
	const length = 80 * time.Second
	now := leased.Add(50 * time.Second)
	start := now.Add(-time.Second)
	for _, c := range []struct {
		name  string
		stage leaseStage
		own   *settlement
		err   error

		lost      bool
		end       time.Time
		next      time.Time // extension
		cause     error
		alone     bool
		closed    bool
		extending renewal
	}{
		{name: "it was carried out: a new end, and no failure is left of the tries before", stage: delivered,
			end: start.Add(length), next: start.Add(length * 5 / 8)},
		{name: "it failed: the end stays, the next try comes soon", stage: delivered, err: away,
			end: leased.Add(length), next: now.Add(5 * time.Second), cause: away, alone: true},
		{name: "the handle is refused", stage: delivered, err: errBad, lost: true,
			end: leased.Add(length), next: leased.Add(length * 5 / 8), cause: errBad, alone: true},
		{name: "the handle is refused while its delete may have worked", stage: settling, own: &settlement{}, err: errBad,
			end: leased.Add(length), next: leased.Add(length * 5 / 8), cause: errBad, alone: true, extending: stopped},
		{name: "the handle is refused while its release waits", stage: settling, own: &settlement{kind: release}, err: errBad,
			lost: true, closed: true, end: leased.Add(length), next: leased.Add(length * 5 / 8), cause: errBad, alone: true},
		{name: "it comes after the loss and changes nothing", stage: lost,
			end: leased.Add(length), next: leased.Add(length * 5 / 8), cause: errors.ErrUnsupported, alone: true},
	} {
		b := newLedger(time.Minute)
		l := b.open("h", leased, time.Time{}, length)
		l.cause, l.alone, l.settling, l.renewal = errors.ErrUnsupported, true, c.own, underWay
		b.move(l, c.stage)
		if got := b.extended(l, now, start, length, c.err); got != c.lost {
			t.Errorf("%s: lost is %v, want %v", c.name, got, c.lost)
		}
		if !l.end.Equal(c.end) || !l.extendAt.Equal(c.next) || l.cause != c.cause || l.alone != c.alone || l.renewal != c.extending {
			t.Errorf("%s: end %v, next extension %v, cause %v, alone %v, extension %v; want %v, %v, %v, %v, %v", c.name,
				l.end, l.extendAt, l.cause, l.alone, l.renewal, c.end, c.next, c.cause, c.alone, c.extending)
		}
		if _, open := b.leases[l.id]; open == c.closed {
			t.Errorf("%s: in the ledger is %v, want %v", c.name, open, !c.closed)
		}
	}
}

func TestADeliveryThatIsHeldBackIsExtendedAtOnce(t *testing.T) {
	b := newLedger(time.Minute)
	l, other, d := b.open("h", leased, time.Time{}, 80*time.Second), b.open("i", leased, time.Time{}, 80*time.Second), &Delivered{}
	now := leased.Add(time.Minute / 2)
	b.holdBack(l, d, now)
	if l.waiting != d {
		t.Error("what is to be handed over is not kept")
	}
	if n := b.unsettled(); n != 2 {
		t.Errorf("%d leases may still be settled, want 2", n)
	}
	if at, _ := b.wake(); !at.Equal(now) {
		t.Errorf("the next work is due at %v, want %v", at, now)
	}
	if w := b.collect(now); len(w.extend) == 0 || w.extend[0] != l {
		t.Errorf("%d extensions are due, and the first is another's", len(w.extend))
	}
	b.move(l, delivered)
	if l.waiting != nil {
		t.Error("what was handed over is still kept")
	}
	if b.move(other, heldBack); b.unsettled() != 2 {
		t.Errorf("%d leases may still be settled, want 2", b.unsettled())
	}
}

// TestALongSleepIsALossFirst: after a sleep of more than twelve hours the loss of a lease is reported, and only then is
// the lease forgotten. It was forgotten at once, so that its execution never heard of it.
func TestALongSleepIsALossFirst(t *testing.T) {
	b, now := newLedger(time.Minute), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := b.open("h", now, time.Time{}, 30*time.Second)
	now = now.Add(MaxLease + time.Hour)
	if w := b.collect(now); len(w.lost) != 1 || w.lost[0] != l || l.stage != lost {
		t.Fatalf("lost are %v, and the lease is %v", w.lost, l.stage)
	}
	if w := b.collect(now); len(w.lost) != 0 || l.stage != closed || len(b.leases) != 0 {
		t.Fatalf("then lost are %v, and the lease is %v", w.lost, l.stage)
	}
}
