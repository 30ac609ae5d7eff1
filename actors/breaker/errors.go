package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrOpen is what every refusal is, by errors.Is. See [OpenError].
	ErrOpen = errors.New("circuit breaker is open")
	// ErrStopped is returned for every call after Stop: a stopped breaker
	// refuses, since it no longer knows whether it should.
	ErrStopped = errors.New("circuit breaker is stopped")
	// ErrTimeout is the cause (context.Cause) of a ctx that the breaker ended:
	// by request_timeout, or by the deadline of a probe. It is a
	// context.DeadlineExceeded by errors.Is.
	ErrTimeout error = timeoutError{}
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "circuit breaker: request_timeout passed" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
func (timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}

// timedOut is the error of a call that the breaker gave up. To its caller it is
// a timeout, also where the base transport says that it was cancelled.
type timedOut struct{ err error }

func (t *timedOut) Error() string {
	if errors.Is(t.err, context.Canceled) {
		return ErrTimeout.Error()
	}
	return ErrTimeout.Error() + ": " + t.err.Error()
}

func (t *timedOut) Timeout() bool   { return true }
func (t *timedOut) Temporary() bool { return true }

// Unwrap returns ErrTimeout and the transport's error, unless that is the
// cancellation by the breaker itself.
func (t *timedOut) Unwrap() []error {
	if errors.Is(t.err, context.Canceled) {
		return []error{ErrTimeout}
	}
	return []error{ErrTimeout, t.err}
}

// OpenError refuses a call. One value is shared by all calls that an entry
// refuses, and is never changed.
type OpenError struct {
	Service string // scheme://host[:port]
	Entry   string // path prefix of the entry that refused; empty for the service itself
	State   State  // Open, HalfOpen (its probes are all in flight, or the ramp left this call out), or ForcedOpen

	of    *origin
	until int64 // ns after of.base; 0 if unknown
}

// Error says which entry refused, why, and when to try again.
func (e *OpenError) Error() string {
	s := fmt.Sprintf("circuit breaker of %s%s is %s", e.Service, e.Entry, e.State)
	if e.State == HalfOpen {
		s += " and has no room for this call"
	}
	if d := e.RetryAfter(); d > 0 {
		s += fmt.Sprintf(": try again in %v", d.Round(time.Millisecond))
	}
	return s
}

// Is reports true for [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// BreakerOpen returns true. By this method packages that must not import this
// one, like the tasks, know a refusal from other errors with a RetryAfter.
func (e *OpenError) BreakerOpen() bool { return true }

// RefusedBy returns the URL of the entry that refused. By this method a pool of tasks
// learns which service a task waits for.
func (e *OpenError) RefusedBy() string { return e.Service + e.Entry }

// RetryAfter returns how long, from now, it makes no sense to try again: until
// the end of the open time, or until a slot of a half-open entry is free at the
// latest. It is 0 if that time has come, or is not known (forced open for good).
func (e *OpenError) RetryAfter() time.Duration {
	if e.until == 0 {
		return 0
	}
	return max(0, time.Duration(e.until-e.of.clock.look()))
}

// Ignore wraps err so that the breaker counts the call neither as success nor
// as failure. It returns nil for nil.
func Ignore(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, Neutral}
}

// Succeed wraps err so that the breaker counts the call as a success: the
// service answered as it should, the caller did not get what it wanted. It
// returns nil for nil.
func Succeed(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, Success}
}

// After wraps err so that, if this failure opens an entry, it stays open for at
// least d, as Retry-After of an HTTP response does. It returns nil for nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &delayed{err, d}
}

type marked struct {
	error
	verdict Verdict
}

func (m *marked) Unwrap() error { return m.error }

type delayed struct {
	error
	d time.Duration
}

func (d *delayed) Unwrap() error             { return d.error }
func (d *delayed) RetryAfter() time.Duration { return d.d }
