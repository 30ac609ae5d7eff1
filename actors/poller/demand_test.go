package poller

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the queue does: never more asked than wanted, never more under way
// than allowed, and as long as something is wanted there is always a receive
// under way or a time at which the next begins, at most 20 s away.
func TestDemandProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := demand{maxReceives: rapid.IntRange(1, 40).Draw(t, "max"), wait: 20 * time.Second,
			random: func() float64 { return rapid.Float64Range(0, 1).Draw(t, "jitter") }}
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		held := 0
		type receive struct {
			asked int
			start time.Time
		}
		var underWay []receive
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				d.want(rapid.IntRange(1, 50).Draw(t, "want"), rapid.IntRange(0, 1000).Draw(t, "slots"))
			case 1:
				d.want(-rapid.IntRange(1, 20).Draw(t, "take back"), 0)
			case 2:
				if n := rapid.IntRange(0, held).Draw(t, "settled"); n > 0 {
					held -= n
					d.want(n, 0)
				}
			case 3, 4:
				if len(underWay) == 0 {
					break
				}
				r := underWay[0]
				underWay = underWay[1:]
				switch rapid.IntRange(0, 3).Draw(t, "answer") {
				case 0:
					d.failed(now, r.asked, rapid.Bool().Draw(t, "throttled"))
				case 1:
					d.received(now, r.asked, 0, now.Sub(r.start))
				default:
					got := rapid.IntRange(1, r.asked).Draw(t, "got")
					held += got
					d.received(now, r.asked, got, now.Sub(r.start))
				}
			case 5:
				now = now.Add(time.Duration(rapid.IntRange(0, 30000).Draw(t, "ms")) * time.Millisecond)
			}
			for {
				before := d.credits - d.asked
				n := d.plan(now)
				if n == 0 {
					break
				}
				if n > 10 || n > before || n < 0 {
					t.Fatalf("asks for %d of %d", n, before)
				}
				d.began(n)
				underWay = append(underWay, receive{n, now})
			}
			if len(underWay) != d.underWay || d.underWay > d.maxReceives {
				t.Fatalf("%d under way, counted %d, at most %d", len(underWay), d.underWay, d.maxReceives)
			}
			if d.credits-d.asked > 0 && len(underWay) == 0 {
				wake, ok := d.wake(now)
				if !ok || wake.Before(now) || wake.After(now.Add(maxBackoff)) {
					t.Fatalf("%d are wanted, nothing is under way, and the next is planned for %v (%v)", d.credits-d.asked, wake, ok)
				}
			}
		}
	})
}

func TestReceivesGrowWithTheirYield(t *testing.T) {
	d := demand{maxReceives: 8, wait: 20 * time.Second, random: func() float64 { return 0 }}
	now := time.Unix(1000, 0)
	d.want(1000, 0)
	levels := func() (n int) {
		for d.plan(now) > 0 {
			d.began(10)
			n++
		}
		return n
	}
	for _, want := range []int{1, 2, 2, 2} { // 1, then 2, then 4, then 8 under way
		if n := levels(); n != want && d.underWay > 8 {
			t.Fatalf("%d more, want %d", n, want)
		}
		d.received(now, 10, 10, time.Millisecond)
	}
	if levels(); d.underWay != 8 {
		t.Fatal("under way:", d.underWay)
	}
	for d.underWay > 1 {
		d.received(now, 10, 0, 20*time.Second)
	}
	if n := levels(); n != 0 {
		t.Fatal("an empty queue has more than one receive:", n)
	}
}

func TestThrottlingBacksOffFurther(t *testing.T) {
	for _, throttled := range []bool{false, true} {
		d := demand{maxReceives: 8, wait: 20 * time.Second, random: func() float64 { return 1 }}
		now := time.Unix(1000, 0)
		d.want(10, 0)
		d.began(10)
		d.failed(now, 10, throttled)
		want := 100 * time.Millisecond
		if throttled {
			want = time.Second
		}
		if wait := d.notBefore.Sub(now); wait != want {
			t.Errorf("throttled %v: waits %v, want %v", throttled, wait, want)
		}
	}
}
