package breaker

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Verdict is what an outcome counts as.
type Verdict uint8

const (
	Success Verdict = iota // counts as a success
	Failure                // counts as a failure
	Neutral                // counts as nothing; a half-open slot is given back
)

// String returns "success", "failure" or "neutral".
func (v Verdict) String() string {
	switch v {
	case Success:
		return "success"
	case Failure:
		return "failure"
	}
	return "neutral"
}

// Outcome is how a call ended, for a [Classifier].
type Outcome struct {
	Err      error          // what the function, or the base transport, returned
	Response *http.Response // by Transport when Err is nil; its body must not be read
	Default  Verdict        // what it counts as without a classifier
}

// Classifier says what an outcome counts as. It runs on the caller's goroutine,
// only for outcomes that are an error or a response, and must not block.
type Classifier func(Outcome) Verdict

// errorVerdict is the default for an error that is not nil: the caller's own
// cancellation is neutral, everything else a failure.
func (b *Breaker) errorVerdict(ctx context.Context, err error) Verdict {
	if m, ok := errors.AsType[*marked](err); ok {
		return m.verdict
	}
	switch {
	case ctx.Err() == nil, context.Cause(ctx) == ErrTimeout:
		return Failure
	case ctx.Err() == context.Canceled:
		return Neutral
	}
	if b.view.Load().set.CallerDeadline == "neutral" {
		return Neutral
	}
	return Failure
}

// judge is the verdict over an error of a call that was given the caller's ctx.
func (b *Breaker) judge(ctx context.Context, err error) Verdict {
	v := Success
	if err != nil {
		v = b.errorVerdict(ctx, err)
	}
	if b.classifier != nil && err != nil {
		v = b.classifier(Outcome{Err: err, Default: v})
	}
	return v
}

// holdOf returns how long the failing service asks to be left alone.
func holdOf(err error) time.Duration {
	if r, ok := errors.AsType[delayer](err); ok {
		return max(0, r.RetryAfter())
	}
	return 0
}

// delayer is an error that knows when to try again, such as that of [After].
type delayer interface {
	error
	RetryAfter() time.Duration
}
