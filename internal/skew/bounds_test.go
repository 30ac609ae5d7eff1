package skew

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestBoundsAreThoseOfAllAnswers has the times of first receives, cut to a millisecond.
func TestBoundsAreThoseOfAllAnswers(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	begun := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	type receive struct {
		ahead        time.Duration // of the queue's clock
		at           time.Duration // when the request began
		poll, answer time.Duration // until the queue had a message, and until its answer was here
	}
	for _, c := range []struct {
		name      string
		receives  []receive
		low, high time.Duration
	}{
		{"one clock", []receive{{0, 0, 5 * ms, 10 * ms}}, -10 * ms, 6 * ms},
		{"a long poll", []receive{{0, 0, 20 * s, 10 * ms}}, -10 * ms, 20*s + ms},
		{"the queue is ahead", []receive{{130 * s, 0, 0, 10 * ms}}, 130*s - 10*ms, 130*s + ms},
		{"the queue is behind", []receive{{-time.Hour, 0, 0, 10 * ms}}, -time.Hour - 10*ms, -time.Hour + ms},
		{"a late answer", []receive{{0, 0, 0, 10 * ms}, {0, s, 0, 20 * s}}, -10*ms - 20*s/driftIn, ms},
		{"a late answer before a quick one", []receive{{0, 0, 0, 20 * s}, {0, 30 * s, 0, 10 * ms}}, -10 * ms, ms},
		{"a clock that was set", []receive{{0, 0, 0, 10 * ms}, {130 * s, s, 0, 10 * ms}}, 130*s - 10*ms, 130*s + ms},
		{"and back", []receive{{130 * s, 0, 0, 10 * ms}, {0, s, 0, 10 * ms}}, -10 * ms, ms},
		{"a clock that runs apart", []receive{{0, 0, 0, 0}, {50 * ms, 500 * s, 0, 0}}, 50 * ms, 50*ms + ms},
	} {
		var q Bounds
		for _, r := range c.receives {
			start := begun.Add(r.at)
			q = q.Seen(start.Add(r.poll+r.ahead), ms, start, start.Add(r.poll+r.answer))
		}
		if (q.low-c.low).Abs() > ms/2 || (q.high-c.high).Abs() > ms/2 {
			t.Errorf("%s: between %v and %v, want %v and %v", c.name, q.low, q.high, c.low, c.high)
		}
		if !q.Known() || q.Least() != q.low {
			t.Errorf("%s: ahead %v, known %v", c.name, q.Least(), q.Known())
		}
	}
	q := Bounds{}.Seen(begun, ms, begun.Add(time.Minute), begun)
	if q.Known() {
		t.Error("a request that ended before it began says something")
	}
}

// TestTheLeastIsNeverAheadOfTheService: whatever the ways take, what is due by the
// clock that is read is due by the queue's own.
func TestTheLeastIsNeverAheadOfTheService(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		ahead := time.Duration(random.Int64N(int64(time.Hour))) - 30*time.Minute
		var q Bounds
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		for range 50 {
			start := now
			first := start.Add(time.Duration(random.Int64N(int64(20 * time.Second))))
			now = first.Add(time.Duration(random.Int64N(int64(3 * time.Second))))
			q = q.Seen(first.Add(ahead).Truncate(time.Millisecond), time.Millisecond, start, now)
			if low := q.Least(); low > ahead || q.high < ahead {
				t.Fatalf("the queue is ahead by %v, and it is read as between %v and %v", ahead, low, q.high)
			}
		}
	}
}

// A Date has whole seconds: each answer bounds the difference, and several bound it closer.
func TestDatesOfWholeSecondsBoundTheDifference(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, ahead := range []time.Duration{0, 30 * time.Second, -30 * time.Second, 1700 * time.Millisecond, -400 * time.Millisecond} {
		var b Bounds
		for i := range 60 {
			sent := now
			now = now.Add(time.Duration(20+i%7*13) * time.Millisecond) // the way there, and back
			date := sent.Add(ahead).Add(now.Sub(sent) / 2).Truncate(time.Second)
			b = b.Seen(date, time.Second, sent, now)
			now = now.Add(time.Duration(700+i*37%400) * time.Millisecond)
		}
		if wrong := b.Likely() - ahead; wrong.Abs() > 400*time.Millisecond {
			t.Errorf("ahead by %v: measured %v", ahead, b.Likely())
		}
		now = now.Add(-10 * time.Minute) // our clock is set
		b = b.Seen(now.Add(ahead+10*time.Minute).Truncate(time.Second), time.Second, now, now)
		if wrong := b.Likely() - ahead - 10*time.Minute; wrong.Abs() > time.Second {
			t.Errorf("after it was set: measured %v", b.Likely())
		}
	}
	if b := (Bounds{}).Seen(time.Time{}, time.Second, now, now); b.Known() {
		t.Error("an answer without a time says something")
	}
}
