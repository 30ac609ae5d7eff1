package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A laptop with a wrong clock was set back by an hour, and every sleep of less than
// that was overlooked from then on: open times did not end.
func TestASleepWasOverlookedOnceTheWallClockWasSetBack(t *testing.T) {
	const s = int64(time.Second)
	for _, c := range []struct {
		name                             string
		elapsed, wall, known, off, slept int64
	}{
		{"both alike", 5 * s, 5 * s, 0, 0, 0},
		{"the wall clock is set forth a little", 5 * s, 6 * s, 0, 0, 0},
		{"the machine has slept", 5 * s, 75 * s, 0, 70 * s, 70 * s},
		{"it has slept again", 10 * s, 150 * s, 70 * s, 140 * s, 70 * s},
		{"nothing since", 10 * s, 80 * s, 70 * s, 70 * s, 0},
		{"the wall clock is set back", 10 * s, -3590 * s, 70 * s, -3600 * s, 0},
		{"it has slept after that", 20 * s, -2980 * s, -3600 * s, -3000 * s, 600 * s},
		{"it is set back a little", 20 * s, -3580*s - s/2, -3600 * s, -3600 * s, 0},
	} {
		if off, slept := follow(c.elapsed, c.wall, c.known); off != c.off || slept != c.slept {
			t.Errorf("%s: offset %v, slept %v; want %v, %v", c.name, time.Duration(off), time.Duration(slept), time.Duration(c.off), time.Duration(c.slept))
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
