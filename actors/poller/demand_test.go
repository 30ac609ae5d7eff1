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

// still is a demand without jitter, at a time.
func still(maxReceives int, jitter float64) (*demand, time.Time) {
	return &demand{maxReceives: maxReceives, wait: 20 * time.Second, random: func() float64 { return jitter }}, time.Unix(1000, 0)
}

// How long few credits wait for others, by how many there may be at once.
func TestFewCreditsWaitForOthersThatMayComeSoon(t *testing.T) {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	for _, tc := range []struct {
		name    string
		credits int
		slots   int
		waits   time.Duration // no receive just before, one then
		asks    int
	}{
		{"all that there may be", 3, 3, 0, 3},
		{"unknown: all that there were", 3, 0, 0, 3},
		{"ten of many", 10, 1000, 0, 10},
		{"no more than ten", 25, 1000, 0, 10},
		{"nine of ten, 200 µs for each", 9, 10, ms(2), 9},
		{"one of two", 1, 2, ms(0.4), 1},
		{"nine of a hundred", 9, 100, ms(20), 9},
		{"a sixteenth", 6, 100, ms(20), 6},
		{"less than a sixteenth", 5, 100, ms(100), 5},
		{"a sixteenth of many is more than ten", 9, 400, ms(100), 9},
		{"one of sixteen", 1, 16, ms(3.2), 1},
		{"one of 32", 1, 32, ms(100), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, now := still(8, 0)
			d.want(tc.credits, tc.slots)
			if n := d.plan(now); tc.waits == 0 {
				if n != tc.asks {
					t.Errorf("asks for %d at once, want %d", n, tc.asks)
				}
				return
			} else if n != 0 {
				t.Fatalf("asks for %d at once", n)
			}
			for at := now; ; {
				next, ok := d.wake(at)
				if !ok || !next.After(at) {
					t.Fatalf("wakes at %v (%v), it is %v", next, ok, at)
				}
				if n := d.plan(next.Add(-1)); n != 0 {
					t.Fatalf("asks for %d before its time", n)
				}
				at = next
				if n := d.plan(at); n > 0 {
					if n != tc.asks || at.Sub(now) != tc.waits {
						t.Errorf("asks for %d after %v, want %d after %v", n, at.Sub(now), tc.asks, tc.waits)
					}
					return
				}
			}
		})
	}
}

func TestCreditsAndWhatIsAskedFor(t *testing.T) {
	d, now := still(2, 0)
	if n := d.plan(now); n != 0 {
		t.Error("asks for nothing wanted:", n)
	}
	if _, ok := d.wake(now); ok {
		t.Error("wakes for nothing wanted")
	}
	d.want(10, 10)
	d.began(d.plan(now))
	if d.asked != 10 || d.underWay != 1 || d.plan(now) != 0 {
		t.Errorf("asked for %d by %d, and would ask for more", d.asked, d.underWay)
	}
	d.want(20, 0)
	if n := d.plan(now); n != 0 || d.slots != 30 {
		t.Errorf("a second receive is under way at once, for %d; %d slots", n, d.slots)
	}
	if _, ok := d.wake(now); ok {
		t.Error("wakes before the receive under way has ended")
	}
	d.received(now, 10, 10, time.Second)
	if d.credits != 20 || d.asked != 0 || d.underWay != 0 || d.level != 2 {
		t.Errorf("after a full receive: %+v", d)
	}
	d.began(d.plan(now))
	d.began(d.plan(now))
	if d.plan(now) != 0 || d.underWay != 2 {
		t.Errorf("%d receives under way", d.underWay)
	}
	d.received(now, 10, 10, time.Second)
	if d.level != 2 {
		t.Error("more receives than allowed:", d.level)
	}
	d.received(now, 10, 9, time.Second)
	if d.level != 1 || d.credits != 1 {
		t.Errorf("after one that was not full: %+v", d)
	}
	d.want(-3, 0)
	if d.credits != -2 || d.slots != 27 || d.plan(now) != 0 {
		t.Errorf("after credits were taken back: %+v", d)
	}
	d.want(-100, 0)
	if d.slots != 0 {
		t.Error("fewer slots than none:", d.slots)
	}
	d.want(5, 1)
	if d.slots != 1 {
		t.Error("slots:", d.slots)
	}
	d.want(0, 7)
	if d.slots != 7 {
		t.Error("slots:", d.slots)
	}
	d.want(-1, 3)
	if d.slots != 3 {
		t.Error("slots:", d.slots)
	}
	d.want(200, 0)
	d.plan(now)
	d.begin()
	if d.credits != 0 || d.slots != 0 || !d.few.IsZero() {
		t.Errorf("a new epoch: %+v", d)
	}
}

// The age of credits counts from when the first of them came, not from before.
func TestCreditsThatAreAskedForAreNoLongerFew(t *testing.T) {
	d, now := still(8, 0)
	d.want(1, 100)
	d.plan(now)
	now = now.Add(100 * time.Millisecond)
	d.began(d.plan(now))
	d.received(now, 1, 1, time.Millisecond)
	d.plan(now)
	now = now.Add(time.Hour) // nothing is wanted for long
	d.want(1, 100)
	if n := d.plan(now); n != 0 {
		t.Error("a credit that has just come is asked for at once")
	}
	d.want(9, 100)
	d.began(d.plan(now))
	d.want(1, 100)
	if n := d.plan(now.Add(99 * time.Millisecond)); n != 0 {
		t.Error("the age of those that were asked for counts")
	}

	d, now = still(8, 0)
	d.want(1, 100)
	d.plan(now)
	d.want(-1, 0)
	d.plan(now)
	now = now.Add(time.Hour)
	d.want(1, 100)
	if n := d.plan(now); n != 0 {
		t.Error("the age of one that was taken back counts")
	}

	d, now = still(8, 0)
	d.level = 2
	d.want(5, 100)
	d.plan(now)
	now = now.Add(99 * time.Millisecond)
	d.want(10, 100)
	d.began(d.plan(now))
	if n := d.plan(now.Add(10 * time.Millisecond)); n != 0 {
		t.Errorf("the rest, %d, has the age of those that were asked for", n)
	}
	d.want(-5, 0)
	if _, ok := d.wake(now); ok {
		t.Error("wakes although all that is wanted is asked for")
	}
}

func TestReceivesUnderWayByTheirYield(t *testing.T) {
	d, now := still(8, 0)
	d.want(1000, 1000)
	answer := func(got int) {
		d.began(10)
		d.received(now, 10, got, time.Second)
	}
	for i, step := range []struct{ got, level int }{{10, 2}, {10, 4}, {10, 8}, {10, 8}, {9, 7}, {1, 6}, {0, 1}, {5, 1}, {10, 2}, {0, 1}} {
		if answer(step.got); d.level != step.level {
			t.Fatalf("step %d: level %d, want %d", i, d.level, step.level)
		}
	}
}

func TestBackOff(t *testing.T) {
	empty := func(d *demand, now time.Time) { d.began(10); d.received(now, 10, 0, 9*time.Second) }
	fail := func(throttled bool) func(*demand, time.Time) {
		return func(d *demand, now time.Time) { d.began(10); d.failed(now, 10, throttled) }
	}
	times := func(n int, f func(*demand, time.Time)) func(*demand, time.Time) {
		return func(d *demand, now time.Time) {
			for range n {
				d.notBefore = time.Time{} // its time has come
				f(d, now)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		jitter float64
		play   func(*demand, time.Time)
		want   time.Duration
	}{
		{"one failure", 1, times(1, fail(false)), 100 * time.Millisecond},
		{"half of it is jitter", 0, times(1, fail(false)), 50 * time.Millisecond},
		{"two", 1, times(2, fail(false)), 200 * time.Millisecond},
		{"eight", 1, times(8, fail(false)), 12800 * time.Millisecond},
		{"nine", 1, times(9, fail(false)), 20 * time.Second},
		{"a hundred", 1, times(100, fail(false)), 20 * time.Second},
		{"throttled", 1, times(1, fail(true)), time.Second},
		{"throttled twice", 1, times(2, fail(true)), 2 * time.Second},
		{"one after a success", 1, func(d *demand, now time.Time) {
			times(5, fail(false))(d, now)
			d.notBefore = time.Time{}
			d.began(10)
			d.received(now, 10, 10, time.Second)
			fail(false)(d, now)
		}, 100 * time.Millisecond},
		{"two that fail together count once", 1, func(d *demand, now time.Time) { fail(false)(d, now); fail(false)(d, now) }, 100 * time.Millisecond},
		{"empty before its time", 1, times(1, empty), 100 * time.Millisecond},
		{"empty before its time, often", 1, times(60, empty), 20 * time.Second},
		{"empty after half of it", 1, func(d *demand, now time.Time) { d.began(10); d.received(now, 10, 0, 10*time.Second) }, 0},
		{"empty again after a message", 1, func(d *demand, now time.Time) {
			times(5, empty)(d, now)
			d.notBefore = time.Time{}
			d.began(10)
			d.received(now, 10, 1, time.Millisecond)
			empty(d, now)
		}, 100 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, now := still(8, tc.jitter)
			d.level = 8
			tc.play(d, now)
			wait := time.Duration(0)
			if !d.notBefore.IsZero() {
				wait = d.notBefore.Sub(now)
			}
			if wait != tc.want || d.level != 1 || d.underWay != 0 || d.asked != 0 {
				t.Errorf("waits %v, want %v; %+v", wait, tc.want, d)
			}
			if tc.want == 0 {
				return
			}
			d.want(50, 50)
			if n := d.plan(d.notBefore.Add(-1)); n != 0 {
				t.Errorf("asks for %d during the back-off", n)
			}
			if at, ok := d.wake(now); !ok || !at.Equal(d.notBefore) {
				t.Errorf("wakes at %v (%v), want %v", at, ok, d.notBefore)
			}
			if n := d.plan(d.notBefore); n != 10 {
				t.Errorf("asks for %d after it", n)
			}
		})
	}
}

// TestAFIFOQueueIsReceivedFromOneByOneAtFirst: what comes behind a message that ends its
// process uses up a delivery each time.
func TestAFIFOQueueIsReceivedFromOneByOneAtFirst(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	d := demand{maxReceives: 4, wait: 20 * time.Second, random: func() float64 { return 0 }}
	d.oneByOne(now.Add(time.Minute))
	d.oneByOne(now.Add(time.Second)) // the later one counts
	d.want(25, 25)
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Minute - 1, 1}, {time.Minute, 10}, {time.Hour, 10}} {
		if got := d.plan(now.Add(c.after)); got != c.want {
			t.Errorf("after %v: asks for %d, want %d", c.after, got, c.want)
		}
	}
}
