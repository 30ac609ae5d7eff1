package breaker

import (
	"context"
	"errors"
	"fmt"
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
	Body     []byte         // with WithBodyPeek: the first bytes of the response's body
	Whole    bool           // with WithBodyPeek: Body is known to be all of it
	Default  Verdict        // what it counts as without a classifier
}

// Classifier says what an outcome counts as. It runs on the caller's goroutine,
// only for outcomes that are an error or a response, and must not block. With
// [WithBodyPeek] it sees the beginning of the response's body too; then it runs
// on a goroutine of the breaker's for a probe that its caller does not read.
type Classifier func(Outcome) Verdict

// rules are what the caller's own code has to say about outcomes.
type rules struct {
	classify Classifier
	limit    int // most bytes of a body that are shown; 0 for none
	which    func(*http.Response) bool
	ambient  func(context.Context) time.Time
	random   func() float64
	witness  func(ctx context.Context, service, path string)
	paced    func(ctx context.Context, service string) bool

	retryBudget *budgetShare // nil: the default
}

func (b *Breaker) ruled() *rules {
	if b.rules == nil {
		b.rules = &rules{}
	}
	return b.rules
}

// WithClassifier lets f say what an outcome counts as.
func WithClassifier(f Classifier) Option {
	return func(b *Breaker) error {
		if f == nil {
			return errors.New("breaker: WithClassifier: the function is nil")
		}
		b.ruled().classify = f
		return nil
	}
}

// maxPeek bounds what WithBodyPeek keeps of each response in flight.
const maxPeek = 1 << 20

// WithBodyPeek shows the classifier, which must be given too, the first limit
// bytes (1 to 1 MiB) of the body of each response for which which is true; nil
// is all responses. which is asked at the headers and must not read the body.
//
// The breaker waits for none of those bytes: they are noted while the caller reads
// them, and the caller gets every byte when and as it would without. So the classifier is not called
// at the headers but in the caller's Read that makes limit bytes complete, or
// meets the end of the body (Whole). If the caller closes the body or cancels
// before that, it is called with what was read until then, maybe nothing. Its
// Default is that of the status then, but [Neutral] for a cancellation. A half-open entry
// does not wait for a slow stream either: after half of probe_timeout what has
// come is all that is shown. A body that breaks off or stalls is a failure as
// ever, also after the classifier has called its beginning a success.
//
// The bytes are those that the base transport delivers. http.Transport undoes
// the gzip that it asked for itself (Response.Uncompressed); any other
// Content-Encoding is still on. Response is a copy of its own, without the body.
func WithBodyPeek(limit int, which func(*http.Response) bool) Option {
	return func(b *Breaker) error {
		if limit < 1 || limit > maxPeek {
			return fmt.Errorf("breaker: WithBodyPeek: limit must be 1 to %d bytes, got %d", maxPeek, limit)
		}
		b.ruled().limit, b.ruled().which = limit, which
		return nil
	}
}

// errorVerdict is the default for an error that is not nil: the caller's own
// cancellation is neutral, and so is a limit of its own machine; everything else is a failure.
func (b *Breaker) errorVerdict(ctx context.Context, err error) Verdict {
	if m, ok := errors.AsType[*marked](err); ok {
		return m.verdict
	}
	switch {
	case ownLimit(err):
		return Neutral
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
	if err == nil {
		return Success
	}
	return b.judgeError(err, b.errorVerdict(ctx, err))
}

// judgeError is the verdict over an error that is not nil. def is what it counts
// as without a classifier.
func (b *Breaker) judgeError(err error, def Verdict) Verdict {
	if b.rules != nil && b.rules.classify != nil {
		return b.rules.classify(Outcome{Err: err, Default: def})
	}
	return def
}

// holdOf returns how long the failing service asks to be left alone.
func holdOf(err error) time.Duration {
	if r, ok := errors.AsType[delayer](err); ok {
		return max(0, r.RetryAfter())
	}
	return 0
}

// delayer is an error that knows when to try again, like that of [After].
type delayer interface {
	error
	RetryAfter() time.Duration
}
