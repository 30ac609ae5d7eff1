// Package breakertest is a conformance suite for circuit breakers: the basic
// rules of the three states, and ten situations in which breakers go wrong.
//
//	func TestConformance(t *testing.T) {
//		breakertest.Run(t, func(t *testing.T, c breakertest.Config) breakertest.Subject {
//			b := newBreakerOfMine(c.FailLimit, c.OpenFor, c.Probes, c.Successes)
//			return breakertest.Subject{
//				Do:      b.Execute,
//				State:   func() string { return b.State().String() },
//				Refused: func(err error) bool { return errors.Is(err, ErrMine) },
//			}
//		})
//	}
//
// Any breaker takes part by an adapter of this kind. Each case gets a breaker of its
// own, and runs in a testing/synctest bubble, so that the suite takes no time
// and a breaker that keeps time with the time package is checked to the
// nanosecond. One case, a listener that reads the state, may block on a mutex
// for ever, which a bubble does not survive; it runs outside, against the clock.
//
// [Run] fails the test for every case that a breaker fails; [Check] only says
// which, for a table. The suite owns no state beyond a case; a Subject is used
// by several goroutines at once.
package breakertest
