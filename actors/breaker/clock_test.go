package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFollowIsTheLaterOfBothClocks: the wall clock is followed where it is ahead
// by more than it is set by day after day, and never back.
func TestFollowIsTheLaterOfBothClocks(t *testing.T) {
	const s = int64(time.Second)
	for _, c := range []struct {
		name                       string
		elapsed, wall, slept, want int64
	}{
		{"both alike", 5 * s, 5 * s, 0, 0},
		{"the wall clock is set forth a little", 5 * s, 6 * s, 0, 0},
		{"the machine has slept", 5 * s, 75 * s, 0, 70 * s},
		{"it has slept again", 10 * s, 150 * s, 70 * s, 140 * s},
		{"nothing since", 10 * s, 80 * s, 70 * s, 70 * s},
		{"the wall clock is set back", 10 * s, -3600 * s, 70 * s, 70 * s},
		{"the wall clock is set back before it slept", 10 * s, 2 * s, 0, 0},
	} {
		if got := follow(c.elapsed, c.wall, c.slept); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, time.Duration(got), time.Duration(c.want))
		}
	}
}

func TestUntilLook(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: 0, time.Millisecond: time.Millisecond, time.Second: time.Second, 10 * time.Second: time.Second,
		5 * time.Minute: time.Second, time.Hour: 12 * time.Second,
	} {
		if got := untilLook(wait); got != want {
			t.Errorf("%v: %v, want %v", wait, got, want)
		}
	}
}

// TestAnOpenTimeEndsThoughTheMachineSleeps: a laptop is shut while a service is
// open. The monotonic clock stands still meanwhile, the wall clock does not.
func TestAnOpenTimeEndsThoughTheMachineSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 1, OpenTimeout: 5 * time.Minute})
		_ = b.Do(t.Context(), "", fail)
		if err := b.ForceOpen("/v1", 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, _ = query(b, func(*state) (struct{}, error) { // as if the wall clock had gone on for an hour
			b.clock.wall -= int64(time.Hour)
			return struct{}{}, nil
		})
		open, ok := errors.AsType[*OpenError](b.Check(""))
		if !ok || open.RetryAfter() != 0 {
			t.Errorf("%v after the sleep: try again in %v", b.State(), open.RetryAfter())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if b.State() != HalfOpen || b.StateOf("/v1") == ForcedOpen {
			t.Errorf("a second after the machine woke: %v, /v1 %v", b.State(), b.StateOf("/v1"))
		}
		if at := b.Transitions(0)[len(b.Transitions(0))-1].At; at.Before(time.Now().Add(59 * time.Minute)) {
			t.Errorf("the log says %v", at)
		}
	})
}
