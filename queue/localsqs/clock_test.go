package localsqs

import (
	"testing"
	"time"
)

// The monotonic clock stands still while the machine sleeps.
func TestTimeGoesOnOverASleepAndNeverBack(t *testing.T) {
	const start = int64(1e18)
	c := clock{base: start}
	for _, step := range []struct {
		what                string
		elapsed, wall, want time.Duration
	}{
		{"awake", time.Minute, time.Minute, time.Minute},
		{"the wall clock is set a little forth", 2 * time.Minute, 2*time.Minute + time.Second/2, 2 * time.Minute},
		{"after a night", 3 * time.Minute, 8 * time.Hour, 8 * time.Hour},
		{"the wall clock is set back", 4 * time.Minute, time.Hour, 8*time.Hour + time.Minute},
		{"and further on", 5 * time.Minute, time.Hour + time.Minute, 8*time.Hour + 2*time.Minute},
	} {
		if got := c.follow(int64(step.elapsed), start+int64(step.wall)); got != start+int64(step.want) {
			t.Errorf("%s: %v after the start, want %v", step.what, time.Duration(got-start), step.want)
		}
	}
}
