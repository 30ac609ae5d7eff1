package dispatcher

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	epoch := time.Unix(1000, 0)
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }
	for _, tc := range []struct {
		name    string
		play    func(r *throttle)
		when    float64 // seconds
		credits int
		again   time.Duration // least, and at most 2 ms more
	}{
		{"a full tokens at first", func(r *throttle) {}, 0, 100, 0},
		{"ten messages at once cost one price", func(r *throttle) {
			for range 10 {
				r.gaveBack(at(0))
			}
		}, 0, 90, 0},
		{"an eleventh costs another", func(r *throttle) {
			for range 11 {
				r.gaveBack(at(0))
			}
		}, 0, 80, 0},
		{"and so does one that comes later", func(r *throttle) { r.gaveBack(at(0)); r.gaveBack(at(0.011)) }, 0.011, 80, 0},
		{"not one within 10 ms", func(r *throttle) { r.gaveBack(at(0)); r.gaveBack(at(0.01)) }, 0.01, 90, 0},
		{"an empty tokens fills with time", func(r *throttle) {
			for range 100 {
				r.gaveBack(at(0))
			}
		}, 0, 0, 2 * time.Second},
		{"to the price of a batch", func(r *throttle) {
			for range 100 {
				r.gaveBack(at(0))
			}
		}, 2, 10, 0},
		{"a debt is paid first", func(r *throttle) {
			for range 120 {
				r.gaveBack(at(0))
			}
		}, 0, 0, 6 * time.Second},
		{"no more than it holds", func(r *throttle) { r.gaveBack(at(0)) }, 3600, 100, 0},
		{"what could run earns two requests", func(r *throttle) {
			for range 100 {
				r.gaveBack(at(0))
			}
			r.ran()
			r.ran()
		}, 0, 10, 0},
		{"and not more than the tokens holds", func(r *throttle) {
			r.gaveBack(at(0))
			for range 100 {
				r.ran()
			}
		}, 0, 100, 0},
		{"a clock that goes back adds nothing", func(r *throttle) {
			for range 100 {
				r.gaveBack(at(0))
			}
		}, -5, 0, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &throttle{rate: 2, most: 40}
			tc.play(r)
			n, again := r.credits(at(tc.when))
			if n != tc.credits || again < tc.again || again > tc.again+2*time.Millisecond {
				t.Errorf("%d messages may come, again after %v; want %d and %v", n, again, tc.credits, tc.again)
			}
		})
	}
}

func TestPaceIsTheCountOfTheLastHalfMinute(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if v := p.value(now); v != 0 {
		t.Errorf("%v before the first", v)
	}
	for range 1200 {
		now = now.Add(100 * time.Millisecond)
		p.add(now)
	}
	if v := p.value(now); v < 290 || v > 300 {
		t.Errorf("%.1f, want about 295: ten a second for two minutes", v)
	}
	if v := p.value(now.Add(5 * time.Minute)); v > 0.02 {
		t.Errorf("%.3f five minutes later", v)
	}
	if v := p.value(now.Add(-time.Hour)); v > 300 {
		t.Errorf("%.1f after the clock went back", v)
	}
}

func TestHowManyWaitHereAndHowLongTheOthersStayAway(t *testing.T) {
	for _, tc := range []struct {
		limit  int
		lately float64
		rest   int
		want   int
	}{
		{0, 0, 1000, 100}, {1, 0, 1000, 100}, {51, 0, 1000, 102}, {1, 51, 1000, 102}, {1, 900, 1000, 1000}, {1, 0, 7, 7}, {1, 0, -3, 0},
	} {
		if n := capacity(tc.limit, tc.lately, tc.rest); n != tc.want {
			t.Errorf("%+v: %d may wait here", tc, n)
		}
	}
	for waiting, want := range map[int]float64{0: 2.2, 75: 2.1, 750: 1.2, 10_000: 0.3} {
		if got := pausedRate(waiting); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%d wait: %v requests a second", waiting, got)
		}
	}
	for _, tc := range []struct {
		since  time.Duration
		parked int
		lately float64
		want   time.Duration
	}{
		{0, 100, 0, 10 * time.Second},
		{4 * time.Second, 100, 0, 10 * time.Second},
		{6 * time.Second, 100, 0, 12 * time.Second},
		{7 * time.Minute, 100, 0, 14 * time.Minute},
		{8 * time.Minute, 100, 0, 15 * time.Minute},
		{16 * time.Minute, 100, 0.9, 15 * time.Minute}, // too seldom to be foretold
		{16 * time.Minute, 100, 1, 15 * time.Minute},
		{16 * time.Minute, 10, 1, 150 * time.Second},
		{16 * time.Minute, 100, 30, 50 * time.Second}, // one a second: half of what is left of the hundred
		{20 * time.Second, 100, 30, 40 * time.Second},
		{16 * time.Minute, 100, 1000, 10 * time.Second},
	} {
		if d := delay(tc.since, 10*time.Second, tc.parked, tc.lately); d != tc.want {
			t.Errorf("%+v: stays away for %v", tc, d)
		}
	}
}
