package dispatcher

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sambatech/chassis/task"
)

type outcomeKind uint8

const (
	outDone        outcomeKind = iota
	outFailed                  // one failure
	outRefused                 // an open breaker: a failure or not, by the setting
	outSnoozed                 // again later, no failure
	outCancelled               // never again
	outUndecodable             // its arguments do not fit: never again
	outInterrupted             // ended from outside (drain): again at once, no failure
	outUnopened                // its arguments could not be taken out of their envelope: later, or a dead letter
)

func (k outcomeKind) String() string {
	return [...]string{"done", "failed", "refused", "snoozed", "cancelled", "undecodable", "interrupted",
		"unopened"}[k]
}

// outcome is how an attempt ended.
type outcome struct {
	kind outcomeKind
	wait time.Duration // at least; exactly, if it is snoozed or own
	own  bool          // failed: wait is the handler's own
	gone bool          // cancelled: its message is deleted, with neither an on_fail task nor a dead letter

	within    time.Duration // unopened: how long it waits in all; 0: for as long as it takes
	elsewhere bool          // unopened: another process may open it
	final     bool          // unopened: a dead letter now
	err       error
}

// classify reads a handler's answer.
func classify(err error) outcome {
	if err == nil {
		return outcome{kind: outDone}
	}
	var (
		sealed  *task.UnopenedError
		cancel  *task.CancelError
		args    *task.ArgsError
		snooze  *task.SnoozeError
		retry   *task.RetryError
		breaker task.OpenBreaker
		later   interface{ RetryAfter() time.Duration }
	)
	switch {
	case errors.As(err, &sealed):
		return outcome{kind: outUnopened, wait: bounded(sealed.Wait), within: sealed.Within,
			elsewhere: sealed.Elsewhere, final: sealed.Final, err: err}
	case errors.As(err, &cancel):
		return outcome{kind: outCancelled, err: err}
	case errors.As(err, &args):
		return outcome{kind: outUndecodable, err: err}
	case errors.As(err, &snooze):
		return outcome{kind: outSnoozed, wait: bounded(snooze.For), err: err}
	case errors.As(err, &breaker) && breaker.BreakerOpen():
		return outcome{kind: outRefused, wait: bounded(breaker.RetryAfter()), err: err}
	case errors.As(err, &retry):
		return outcome{kind: outFailed, wait: bounded(retry.Wait), own: true, err: err}
	}
	if errors.As(err, &later) { // the remote side says when to come back
		return outcome{kind: outFailed, wait: bounded(later.RetryAfter()), err: err}
	}
	return outcome{kind: outFailed, err: err}
}

// longest bounds a wait that a handler or a remote side asks for, as a task's
// own waits are bounded: with more, sums of times would overflow.
const longest = 100 * 365 * 24 * time.Hour

func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), longest) }

func failed(err error) outcome { return outcome{kind: outFailed, err: err} }

// read returns classify of a user's error. The methods of its type may panic: those
// of a nil pointer, a common mistake, do. The error then becomes a failure that
// says that, and is safe to use.
func read(err error, classify func(error) outcome) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			o = failed(fmt.Errorf("a method of the error that was returned, a %T, panics: %w", err,
				&task.PanicError{Value: v, Stack: debug.Stack()}))
		}
	}()
	if err != nil {
		_ = err.Error()
		_ = errors.Is(err, ErrNoAnswer) // asks all that it wraps
	}
	return classify(err)
}
