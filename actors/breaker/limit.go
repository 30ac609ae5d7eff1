package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// ErrLimited is what every refusal by the limit of [WithLimit] is, by errors.Is. See
// [LimitError].
var ErrLimited = errors.New("the limit of calls in flight is reached")

// LimitError refuses a call because as many are in flight as the limit allows, and the
// queue is full or the call has waited in it for too long.
type LimitError struct {
	Service string        // scheme://host[:port]
	Limit   int           // calls in flight that were allowed
	Waited  time.Duration // in the queue; 0 if it was full

	again time.Duration
}

// Error says what was reached and how long the call has waited.
func (e *LimitError) Error() string {
	s := fmt.Sprintf("circuit breaker of %s: the limit of %d calls in flight is reached", e.Service, e.Limit)
	if e.Waited > 0 {
		return fmt.Sprintf("%s, and none has ended within %v", s, e.Waited.Round(time.Millisecond))
	}
	return s + ", and the queue is full"
}

// Is reports true for [ErrLimited].
func (e *LimitError) Is(target error) bool { return target == ErrLimited }

// BreakerOpen returns true: the call was not made, and a task spends nothing, as with an
// open breaker.
func (e *LimitError) BreakerOpen() bool { return true }

// RetryAfter returns about how long it takes until a call of now ends, and some more at
// random: 10 ms to 2 s.
func (e *LimitError) RetryAfter() time.Duration { return e.again }

// Adaptive is a limit of calls in flight that follows how long they take. The zero value
// of each field means its default. See [WithLimit].
type Adaptive struct {
	// Min and Max bound the limit: 1 to 1 000 000. Default 1 and 1 000. If they are equal
	// the limit is fixed, and nothing is measured.
	Min, Max int
	// Initial is the limit to begin with. Default 20, within Min and Max.
	Initial int
	// Tolerance is how much longer than alone calls may take before the limit shrinks: more
	// than 1 and at most 10. Default 1.3.
	Tolerance float64
	// Queue is the number of calls that may wait for others to end. Default as many as the
	// limit, at least 4. Below 0: none.
	Queue int
	// Wait is the longest time in the queue. Default 1 s. The end of a call's ctx ends its
	// wait earlier.
	Wait time.Duration

	fixed bool // by Fixed: a zero is not the default
}

// Fixed returns a limit of n calls in flight, 1 to 1 000 000. Its Queue and Wait may be set.
func Fixed(n int) Adaptive { return Adaptive{Min: n, Max: n, Initial: n, fixed: true} }

// The defaults of a limit: those of the server's limiter, but for Min and Wait. A service
// may do one call at a time, and a caller has no other place to go.
const (
	limitMax       = 1000
	limitInitial   = 20
	limitTolerance = 1.3
	limitWait      = time.Second
	mostInFlight   = 1_000_000
)

func (a Adaptive) filled() (Adaptive, error) {
	if a.fixed && (a.Min < 1 || a.Min > mostInFlight) {
		return a, fmt.Errorf("Fixed must be of 1 to %d calls, got %d", mostInFlight, a.Min)
	}
	a.Min = cmp.Or(a.Min, 1)
	a.Max = cmp.Or(a.Max, max(limitMax, a.Min))
	a.Initial = cmp.Or(a.Initial, min(max(limitInitial, a.Min), a.Max))
	a.Tolerance = cmp.Or(a.Tolerance, limitTolerance)
	a.Wait = cmp.Or(a.Wait, limitWait)
	var errs []error
	check := func(ok bool, name, want string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be %s, got %v", name, want, got))
		}
	}
	check(a.Min >= 1 && a.Min <= mostInFlight, "Min", fmt.Sprintf("1 to %d", mostInFlight), a.Min)
	check(a.Max >= a.Min && a.Max <= mostInFlight, "Max", fmt.Sprintf("Min to %d", mostInFlight), a.Max)
	check(a.Initial >= a.Min && a.Initial <= a.Max, "Initial", "Min to Max", a.Initial)
	check(a.Tolerance > 1 && a.Tolerance <= 10, "Tolerance", "above 1 and at most 10", a.Tolerance)
	check(a.Wait > 0 && a.Wait <= maxTime, "Wait", fmt.Sprintf("above 0 and at most %v", maxTime), a.Wait)
	return a, errors.Join(errs...)
}

// WithLimit bounds the calls to the service that are in flight at once, by all callers of
// the breaker. A call beyond the limit waits in a queue, first come first served, and is
// refused with a [*LimitError] when that is full or its time there is over. A refusal
// counts as nothing for the breaker, and spends nothing of a task's budget.
//
// The limit is [Fixed], or [Adaptive]: that one grows while calls take as long as they do
// alone, and shrinks when they take longer, since they wait for each other then. It shrinks
// also by the share of calls that the service refuses with 429 or 503, or does not answer in
// time; where a function is called, by an error of [After] and one of a deadline.
//
// A call is in flight until its function returns, its permit is settled, or the body of its
// response is read to the end or closed; a response with a failing status, until its
// headers. [Breaker.Acquire] does not wait: it has no ctx. A permit that is never settled
// and a body that is never closed hold their place for good.
func WithLimit(l Adaptive) Option {
	return func(b *Breaker) error {
		l, err := l.filled()
		if err != nil {
			return fmt.Errorf("breaker: WithLimit: %w", err)
		}
		b.limit = newLimiter(l, time.Now())
		return nil
	}
}

// LimitStats are what the limit of a breaker does at a moment.
type LimitStats struct {
	Limit    int           `json:"limit"`     // calls that may be in flight
	InFlight int           `json:"in_flight"` // calls that are
	Waiting  int           `json:"waiting"`   // calls in the queue
	Refused  uint64        `json:"refused"`   // calls since the breaker was made
	Typical  time.Duration `json:"typical"`   // what a call took of late; 0: not known
}

// Limit returns what the limit of [WithLimit] does now. ok is false without one.
func (b *Breaker) Limit() (s LimitStats, ok bool) {
	l := b.limit
	if l == nil {
		return s, false
	}
	return LimitStats{Limit: int(l.value.Load()), InFlight: int(inFlight(l.entered.Load())),
		Waiting: int(l.waiting.Load()), Refused: l.refusals.Load(), Typical: time.Duration(l.typical.Load())}, true
}

// scarceTime is the time between two lines of the log that say that calls or retries are refused.
const scarceTime = time.Minute

// scarce reports whether a line about a refusal is due: the first, and then one a minute.
func (b *Breaker) scarce(last *atomic.Int64) bool {
	if b.logger == nil {
		return false
	}
	now, was := max(1, b.now()), last.Load()
	return (was == 0 || now-was >= int64(scarceTime)) && last.CompareAndSwap(was, now)
}

// limited returns the refusal of a call that has waited that long.
func (b *Breaker) limited(waited time.Duration) error {
	l := b.limit
	l.refusals.Add(1)
	if b.scarce(&l.warned) {
		b.logger.Warn("the limit of calls in flight of a circuit breaker refuses calls",
			slog.String("service", b.service), slog.Int64("limit", l.value.Load()),
			slog.Int64("in_flight", inFlight(l.entered.Load())), slog.Int64("waiting", l.waiting.Load()),
			slog.Uint64("refused", l.refusals.Load()))
	}
	typical := time.Duration(l.typical.Load())
	if typical == 0 {
		typical = 50 * time.Millisecond
	}
	typical = min(max(typical, 10*time.Millisecond), time.Second)
	return &LimitError{Service: b.service, Limit: int(l.value.Load()), Waited: waited,
		again: typical + time.Duration(rand.Float64()*float64(typical))}
}
