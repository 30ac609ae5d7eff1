package dispatcher

import (
	"testing"

	"pgregory.net/rapid"
)

func TestCredits(t *testing.T) {
	const unlimited = 1 << 30
	for _, tc := range []struct {
		name                string
		s                   slots
		queued, free, ahead int
		blocked             bool
		want                int
	}{
		{"all free at first", slots{workers: 8}, 0, unlimited, 0, false, 8},
		{"what runs needs none", slots{workers: 8, running: 5, soon: 5}, 0, unlimited, 0, false, 3},
		{"what waits here already needs none", slots{workers: 8, running: 5}, 2, unlimited, 0, false, 1},
		{"more wait than are free", slots{workers: 8, running: 5}, 20, unlimited, 0, false, 0},
		{"as many as there are permits", slots{workers: 8}, 0, 2, 0, false, 2},
		{"ahead of their turn", slots{workers: 8, running: 8, soon: 8}, 0, unlimited, 3, false, 3},
		{"no more ahead than workers", slots{workers: 8, running: 8, soon: 8}, 0, unlimited, 30, false, 8},
		{"ahead, less what waits", slots{workers: 8, running: 8, soon: 8}, 2, unlimited, 3, false, 1},
		{"all are outstanding", slots{workers: 8, outstanding: 8}, 0, unlimited, 0, false, 0},
		{"one more of few", slots{workers: 8, running: 6, soon: 6, outstanding: 1}, 0, unlimited, 0, false, 1},
		{"one more of many waits for others", slots{workers: 64, running: 62, soon: 62, outstanding: 1}, 0, unlimited, 0, false, 0},
		{"an eighth of those that end soon is enough", slots{workers: 64, running: 48, soon: 48, outstanding: 10}, 0, unlimited, 0, false, 6},
		{"less is not", slots{workers: 64, running: 49, soon: 49, outstanding: 10}, 0, unlimited, 0, false, 0},
		{"one more of many that are long", slots{workers: 64, running: 62, soon: 4, outstanding: 1}, 0, unlimited, 0, false, 1},
		{"ten are enough of any number", slots{workers: 1000, running: 889, soon: 889, outstanding: 101}, 0, unlimited, 0, false, 10},
		{"nine are not", slots{workers: 1000, running: 889, soon: 889, outstanding: 102}, 0, unlimited, 0, false, 0},
		{"one is enough when none is outstanding", slots{workers: 64, running: 63, soon: 63}, 0, unlimited, 0, false, 1},
		{"or fewer than none", slots{workers: 64, running: 63, soon: 63, outstanding: -1}, 0, unlimited, 0, false, 2},
		{"too many are taken back", slots{workers: 8, running: 8, outstanding: 4}, 0, unlimited, 0, false, -4},
		{"one too many of many stays", slots{workers: 64, running: 60, soon: 60, outstanding: 5}, 0, unlimited, 0, false, 0},
		{"an eighth too many goes", slots{workers: 64, running: 60, soon: 48, outstanding: 10}, 0, unlimited, 0, false, -6},
		{"all go when blocked", slots{workers: 64, running: 60, soon: 60, outstanding: 1}, 0, unlimited, 0, true, -1},
		{"none is left to go", slots{workers: 64, soon: 64}, 0, unlimited, 5, true, 0},
		{"what came unasked is asked for again", slots{workers: 8, running: 8, outstanding: -2}, 0, unlimited, 0, false, 2},
		{"blocked, what came unasked is made good", slots{workers: 8, running: 8, outstanding: -2}, 0, unlimited, 0, true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := tc.s.outstanding
			if got := tc.s.credits(tc.queued, tc.free, tc.ahead, tc.blocked); got != tc.want || tc.s.outstanding != before+got {
				t.Errorf("%d credits, %d outstanding after %d; want %d", got, tc.s.outstanding, before, tc.want)
			}
		})
	}
}

func TestFreeAndTurningSlots(t *testing.T) {
	for _, tc := range []struct {
		s       slots
		free    bool
		turning int
	}{
		{slots{workers: 1}, true, 1},
		{slots{workers: 2, running: 1, soon: 1, outstanding: 1}, true, 2},
		{slots{workers: 2, running: 2, soon: 2}, false, 2},
		{slots{workers: 2, running: 3}, false, 1}, // the workers were reduced
		{slots{workers: 64, running: 58, outstanding: 6}, true, 6},
		{slots{workers: 64, running: 64, soon: 1, outstanding: -5}, false, 1},
	} {
		if tc.s.free() != tc.free || tc.s.turning() != tc.turning {
			t.Errorf("%+v: free %v, %d take part; want %v and %d", tc.s, tc.s.free(), tc.s.turning(), tc.free, tc.turning)
		}
	}
}

func TestScale(t *testing.T) {
	for _, tc := range []struct{ workers, base, limit, factor, waiting, want int }{
		{3, 3, 6, 100, 350, 3}, {3, 3, 6, 100, 351, 4}, {6, 3, 6, 100, 10_000, 6}, {4, 3, 6, 100, 350, 4}, {4, 3, 6, 100, 349, 3},
		{3, 3, 6, 100, 0, 3}, {3, 3, 2, 100, 10_000, 3}, {4, 3, 6, 1, 5, 5}, {4, 3, 6, 1, 4, 4}, {4, 3, 6, 1, 3, 3},
	} {
		if got := scale(tc.workers, tc.base, tc.limit, tc.factor, tc.waiting); got != tc.want {
			t.Errorf("%+v: %d workers", tc, got)
		}
	}
}

// Whatever happens: what is outstanding follows what is wanted to within the
// step, and nothing is wanted for ever while nothing is outstanding.
func TestCreditsFollowTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300)
		s := slots{workers: rapid.IntRange(1, 300).Draw(t, "workers")}
		for range 20 {
			s.running = n.Draw(t, "running")
			s.soon = rapid.IntRange(0, s.running).Draw(t, "soon")
			s.outstanding -= rapid.IntRange(0, max(s.outstanding, 0)+3).Draw(t, "delivered")
			queued := rapid.IntRange(0, 50).Draw(t, "queued")
			blocked := rapid.Bool().Draw(t, "blocked")
			s.credits(queued, 1<<30, 0, blocked)
			target := max(s.workers-s.running, 0) - queued
			if blocked {
				target = 0
			}
			target = max(target, 0)
			if off := s.outstanding - target; off > 10 || off < -10 || target > 0 && s.outstanding <= 0 || blocked && s.outstanding > 0 {
				t.Fatalf("%d outstanding, %d wanted: %+v", s.outstanding, target, s)
			}
		}
	})
}
