package breaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script drives a breaker and checks its state, in a few words: F a failure, S
// a success, L a success that takes 2s, N a call that its caller cancels, P a
// panic, H a call that hangs; + waits 1s, and a state in brackets is checked.
func script(t *testing.T, b *Breaker, path, steps string) {
	t.Helper()
	for i := 0; i < len(steps); i++ {
		where := steps[:i+1]
		ctx, cancel := context.WithCancel(t.Context())
		switch steps[i] {
		case ' ':
		case 'F':
			_ = b.Do(ctx, path, fail)
		case 'S':
			_ = b.Do(ctx, path, succeed)
		case 'L':
			_ = b.Do(ctx, path, func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		case 'N':
			_ = b.Do(ctx, path, func(ctx context.Context) error { cancel(); return ctx.Err() })
		case 'P':
			func() {
				defer func() {
					if r := recover(); r != "p" {
						t.Errorf("after %s: recovered %v", where, r)
					}
				}()
				_ = b.Do(ctx, path, func(context.Context) error { panic("p") })
			}()
		case 'H':
			go func() {
				_ = b.Do(t.Context(), path, func(context.Context) error { <-t.Context().Done(); return nil })
			}()
		case '+':
			time.Sleep(time.Second)
		case '[':
			end := i + slices.Index([]byte(steps[i:]), ']')
			if got := b.StateOf(path).String(); got != steps[i+1:end] {
				t.Fatalf("after %s the state is %s, want %s\n%v", steps[:i], got, steps[i+1:end], b.Transitions(0))
			}
			i = end
		default:
			t.Fatalf("no step %c", steps[i])
		}
		cancel()
		synctest.Wait()
	}
}

const tenSeconds = "++++++++++"

func TestScenarios(t *testing.T) {
	three := Settings{ClosedFailLimit: 3, HalfSuccessLimit: 2}
	with := func(change func(*Settings)) Settings {
		s := three
		change(&s)
		return s
	}
	rate := Settings{Trip: "rate", MinCalls: 4, FailureRate: 0.5, Window: 16 * time.Second}
	calls := Settings{Trip: "rate", MinCalls: 4, FailureRate: 0.5, WindowCalls: 8}
	for _, c := range []struct {
		name  string
		s     Settings
		steps string
	}{
		{"the defaults are the Python chassis's", Settings{}, "FFFFFFFFF[closed]S FFFFFFFFF[closed]F[open]" + tenSeconds + "[half-open]SSSSSSSSS[half-open]S[closed]"},
		{"half-open without traffic", three, "FFF[open]+++++++++[open]+[half-open]"},
		{"two successes clear", with(func(s *Settings) { s.ClosedSuccessLimit = 2 }), "FFS F[open]"},
		{"two successes clear, not in a row", with(func(s *Settings) { s.ClosedSuccessLimit = 2 }), "FSFS FF[closed]F[open]"},
		{"successes before the first failure are none", with(func(s *Settings) { s.ClosedSuccessLimit = 2 }), "SSSS FFS F[open]"},
		{"two failures reopen", with(func(s *Settings) { s.HalfFailLimit = 2 }), "FFF" + tenSeconds + "F[half-open]SF[open]"},
		{"reopened for a whole time", three, "FFF" + tenSeconds + "F[open]+++++++++[open]+[half-open]"},
		{"a cancellation is nothing", three, "FFNNNN[closed]F[open]" + tenSeconds + "NNNN[half-open]SS[closed]"},
		{"a panic is a failure", three, "PPP[open]" + tenSeconds + "P[open]" + tenSeconds + "SS[closed]"},
		{"a probe that hangs fails at its deadline", three, "FFF" + tenSeconds + "H[half-open]++++[half-open]+[open]"},
		{"constant open times", three, "FFF" + tenSeconds + "F" + tenSeconds + "F" + tenSeconds + "[half-open]"},
		{"exponential open times", with(func(s *Settings) {
			s.OpenBackoff = "exponential"
			s.OpenTimeout = time.Second
			s.OpenMax = 3 * time.Second
		}),
			"FFF+[half-open]F+[open]+[half-open]F++[open]+[half-open]F++[open]+[half-open]SS[closed]FFF+[half-open]"},
		{"rate: below the least number of calls", rate, "FFF[closed]F[open]"},
		{"service only: rate: half of the calls", rate, "SSSFF[closed]F[open]"}, // a path's window begins with its first failure
		{"rate: successes between", rate, "FSSSFSSSFSSS[closed]"},
		{"rate: the window slides", rate, "FFF" + tenSeconds + "+++++++F[closed]FF[closed]F[open]"},
		{"rate: successes leave the window too", rate, "SSSSSSSS" + tenSeconds + "+++++++FFF[closed]F[open]"},
		{"rate: closed again begins from zero", rate, "FFFF[open]" + tenSeconds + "SSSSSSSSSS[closed]FFF[closed]F[open]"},
		{"last calls: half of them", calls, "SSSSSSSSSSSSFFF[closed]F[open]"},
		{"last calls: old ones leave", calls, "FFFSSSSSSSSSFFF[closed]F[open]"},
		{"slow calls", Settings{Trip: "rate", MinCalls: 4, SlowCall: time.Second, SlowRate: 0.5}, "SSLS[closed]LL[open]"},
		{"slow calls are not failures", Settings{Trip: "rate", MinCalls: 4, SlowCall: time.Second, SlowRate: 1}, "SLLL[closed]"},
		{"calls that hang trip, though none returns", Settings{HangLimit: 3}, "HHH++++[closed]++[open]"},
		{"fewer hang than the limit", Settings{HangLimit: 3, ClosedFailLimit: 100}, "HH++++++++++[closed]"},
		{"a hanging call is a failure", Settings{HangLimit: 100, ClosedFailLimit: 3}, "HHH++++[closed]++[open]"},
		{"ramp", with(func(s *Settings) { s.Ramp = 4 * time.Second }), "FFF" + tenSeconds + "SS[half-open]+++[half-open]+[closed]"},
		{"a failure in the ramp", with(func(s *Settings) { s.Ramp = 400 * time.Second }), "FFF" + tenSeconds + "SS[half-open]" +
			"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" +
			"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF[open]"},
	} {
		for _, path := range []string{"", "/v1/send"} {
			if path != "" && strings.HasPrefix(c.name, "service only") {
				continue
			}
			t.Run(c.name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t, c.s)
					script(t, b, path, c.steps)
					if path == "" {
						checkLog(t, b)
					}
				})
			})
		}
	}
}

func TestRetryAfterLengthensTheOpenTime(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		hold time.Duration
		want time.Duration
	}{
		{Settings{}, 30 * time.Second, 30 * time.Second},
		{Settings{}, time.Second, 10 * time.Second},
		{Settings{}, time.Hour, 5 * time.Minute},
		{Settings{RetryAfter: "ignore"}, 30 * time.Second, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.s.ClosedFailLimit = 1
			b := newBreaker(t, c.s)
			_ = b.Do(t.Context(), "", func(context.Context) error { return fmt.Errorf("wrapped: %w", After(errBoom, c.hold)) })
			open, ok := errors.AsType[*OpenError](b.Check(""))
			if !ok || open.RetryAfter() != c.want {
				t.Errorf("%+v: open for %v, want %v", c, open.RetryAfter(), c.want)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 1, OpenJitter: 0.5})
		seen := map[time.Duration]bool{}
		for range 20 {
			_ = b.Do(t.Context(), "", fail)
			open, ok := errors.AsType[*OpenError](b.Check(""))
			if d := open.RetryAfter(); !ok || d < 10*time.Second || d > 15*time.Second {
				t.Fatal(d)
			} else {
				seen[d] = true
			}
			if err := b.Reset(""); err != nil {
				t.Fatal(err)
			}
		}
		if len(seen) < 10 {
			t.Errorf("%d different open times of 20", len(seen))
		}
	})
}

func TestHealthCallsSpareCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well, panics atomic.Bool
		var checks atomic.Int64
		b := newBreaker(t, Settings{ClosedFailLimit: 1, HalfSuccessLimit: 3, Ramp: 10 * time.Second, OpenMax: time.Minute},
			WithHealth(func(context.Context) error {
				checks.Add(1)
				if panics.Load() {
					panic("health")
				}
				if !well.Load() {
					return errBoom
				}
				return nil
			}))
		_ = b.Do(t.Context(), "", fail)
		time.Sleep(35 * time.Second)
		if b.State() != Open || checks.Load() < 30 {
			t.Fatalf("after 35s of failing checks: %v, %d checks", b.State(), checks.Load())
		}
		panics.Store(true)
		time.Sleep(10 * time.Second)
		if b.State() != Open || checks.Load() < 40 {
			t.Fatalf("after 10s of checks that panic: %v, %d checks", b.State(), checks.Load())
		}
		panics.Store(false)
		well.Store(true)
		time.Sleep(3*time.Second + time.Millisecond)
		if s := b.Snapshot().Entries[0]; s.State != HalfOpen || s.Ramp < rampStart {
			t.Fatalf("after 3 good checks: %+v", s)
		}
		before := checks.Load()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if b.State() != Closed || checks.Load() != before {
			t.Fatalf("after the ramp: %v, %d checks more", b.State(), checks.Load()-before)
		}
		// A check that never succeeds does not make it stick.
		well.Store(false)
		_ = b.Do(t.Context(), "", fail)
		time.Sleep(time.Minute + time.Second)
		if b.State() != HalfOpen {
			t.Fatalf("after open_max: %v", b.State())
		}
	})
}
