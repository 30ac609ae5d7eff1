package poller

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTheQueueClockIsReadFromFirstReceives(t *testing.T) {
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
		{"a late answer", []receive{{0, 0, 0, 10 * ms}, {0, s, 0, 20 * s}}, -10*ms - s/clockDrift - 4*ms, ms},
		{"a late answer before a quick one", []receive{{0, 0, 0, 20 * s}, {0, 30 * s, 0, 10 * ms}}, -10 * ms, ms},
		{"a clock that was set", []receive{{0, 0, 0, 10 * ms}, {130 * s, s, 0, 10 * ms}}, 130*s - 10*ms, 130*s + ms},
		{"and back", []receive{{130 * s, 0, 0, 10 * ms}, {0, s, 0, 10 * ms}}, -10 * ms, ms},
		{"a clock that runs apart", []receive{{0, 0, 0, 0}, {50 * ms, 500 * s, 0, 0}}, 50 * ms, 50*ms + ms},
	} {
		var q queueClock
		for _, r := range c.receives {
			start := begun.Add(r.at)
			q = q.seen(start.Add(r.poll+r.ahead), start, start.Add(r.poll+r.answer))
		}
		if (q.low-c.low).Abs() > ms/2 || (q.high-c.high).Abs() > ms/2 {
			t.Errorf("%s: between %v and %v, want %v and %v", c.name, q.low, q.high, c.low, c.high)
		}
		if ahead, known := q.ahead(); !known || ahead != q.low {
			t.Errorf("%s: ahead %v, known %v", c.name, ahead, known)
		}
	}
	q := queueClock{}.seen(begun, begun.Add(time.Minute), begun)
	if _, known := q.ahead(); known {
		t.Error("a request that ended before it began says something")
	}
}

// TestTheQueueClockIsNeverAheadOfTheQueue: whatever the ways take, what is due by the
// clock that is read is due by the queue's own.
func TestTheQueueClockIsNeverAheadOfTheQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		ahead := time.Duration(random.Int64N(int64(time.Hour))) - 30*time.Minute
		var q queueClock
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		for range 50 {
			start := now
			first := start.Add(time.Duration(random.Int64N(int64(20 * time.Second))))
			now = first.Add(time.Duration(random.Int64N(int64(3 * time.Second))))
			q = q.seen(first.Add(ahead).Truncate(time.Millisecond), start, now)
			if low, _ := q.ahead(); low > ahead || q.high < ahead {
				t.Fatalf("the queue is ahead by %v, and it is read as between %v and %v", ahead, low, q.high)
			}
		}
	}
}
