package dispatcher

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sambatech/chassis/task"
)

// The failure budget: pure decisions, no clock, no actor.

// ledger counts the failures of one delivery of a message.
//
// SQS counts receives and a message's attributes cannot be changed, so every
// earlier receive of this copy must have spent exactly one failure: by a crash,
// or by a failure after which the message was hidden. Whatever else ends a
// delivery makes a fresh copy, whose receives begin at one.
type ledger struct {
	carried  int // on the message
	receives int // of this copy, this one included, postponements left out
	here     int // failures of this delivery
	max      int // at which the task is given up
}

func (l ledger) spent() int { return l.carried + l.receives - 1 + l.here }

func (l ledger) exhausted() bool { return l.spent() >= l.max }

type outcomeKind uint8

const (
	outDone        outcomeKind = iota
	outFailed                  // one failure
	outRefused                 // an open breaker: a failure or not, by the setting
	outSnoozed                 // again later, no failure
	outCancelled               // never again
	outUndecodable             // its arguments do not fit: never again
	outInterrupted             // ended from outside (drain): again at once, no failure
)

// outcome is how an attempt ended.
type outcome struct {
	kind outcomeKind
	wait time.Duration // at least; exactly, if it is snoozed or own
	own  bool          // failed: wait is the handler's own
	err  error
}

// classify reads a handler's answer.
func classify(err error) outcome {
	if err == nil {
		return outcome{kind: outDone}
	}
	var (
		cancel  *task.CancelError
		args    *task.ArgsError
		snooze  *task.SnoozeError
		retry   *task.RetryError
		breaker task.OpenBreaker
		later   interface{ RetryAfter() time.Duration }
	)
	switch {
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
	if errors.As(err, &later) { // the remote side told when to come back
		return outcome{kind: outFailed, wait: bounded(later.RetryAfter()), err: err}
	}
	return outcome{kind: outFailed, err: err}
}

// longest bounds a wait that a handler or a remote side asks for, as a task's
// own waits are bounded: with more, sums of times would overflow.
const longest = 100 * 365 * 24 * time.Hour

func bounded(wait time.Duration) time.Duration { return min(max(wait, 0), longest) }

func failed(err error) outcome { return outcome{kind: outFailed, err: err} }

// read is classify, or another reading, of an error of a user's type, whose
// methods may panic: those of a nil pointer, the most common of mistakes, do.
// Such an error is a failure that says so, and safe to be asked from then on.
func read(err error, classify func(error) outcome) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			o = failed(fmt.Errorf("a method of the error that was returned, a %T, panics: %w", err, &task.PanicError{Value: v, Stack: debug.Stack()}))
		}
	}()
	if err != nil {
		_ = err.Error()
		_ = errors.Is(err, ErrNoAnswer) // asks all that it wraps
	}
	return classify(err)
}

type verdictKind uint8

const (
	finish  verdictKind = iota // delete it
	hold                       // wait in place, lease kept
	hide                       // give back by the visibility time-out
	reissue                    // give back by a fresh copy that carries failures
	giveUp                     // on_fail or dead letter
)

// verdict is what becomes of a message after an attempt.
type verdict struct {
	kind     verdictKind
	wait     time.Duration
	failures int    // reissue: carried by the copy
	reason   string // giveUp
}

// nextLease is what must be left of the lease after a wait in place: the next
// attempt may be a long one, and SQS holds no message for more than 12 hours.
const nextLease = 6 * time.Hour

// room is what allows a wait to be spent in place.
type room struct {
	holdLimit time.Duration
	canHold   bool          // false at a drain or if too many wait already
	ordered   bool          // a FIFO queue: no copies, for they would change the order
	leaseLeft time.Duration // until SQS's 12 hours since the receive are over
	spendOpen bool          // an open breaker's refusal is a failure
}

// openWait is the wait after a breaker's refusal that does not say for how
// long, as of one that is forced open for good: without it such a task, which
// spends no failure, would run again and again without a pause.
const openWait = time.Second

// decide is the whole rule of giving back. It returns the ledger with a
// failure counted, if there was one.
func decide(l ledger, o outcome, b task.Backoff, r room) (ledger, verdict) {
	switch o.kind {
	case outDone:
		return l, verdict{kind: finish}
	case outCancelled:
		return l, verdict{kind: giveUp, reason: task.ReasonCancelled}
	case outUndecodable:
		return l, verdict{kind: giveUp, reason: task.ReasonUndecodable}
	case outSnoozed:
		return l, r.giveBack(l, o.wait, false)
	case outInterrupted:
		r.canHold = false
		return l, r.giveBack(l, o.wait, false)
	case outRefused:
		if o.wait == 0 {
			o.wait = openWait
		}
		if !r.spendOpen {
			return l, r.giveBack(l, o.wait, false)
		}
	}
	l.here++
	if l.exhausted() {
		return l, verdict{kind: giveUp, reason: task.ReasonExhausted}
	}
	wait := o.wait
	if !o.own {
		wait = max(wait, b.Delay(l.spent()))
	}
	return l, r.giveBack(l, wait, true)
}

func (r room) giveBack(l ledger, wait time.Duration, failed bool) verdict {
	switch {
	case r.canHold && wait < r.leaseLeft-nextLease && (wait <= r.holdLimit || r.ordered):
		return verdict{kind: hold, wait: wait}
	case r.ordered:
		return verdict{kind: hide, wait: min(wait, r.leaseLeft)}
	case failed && l.here == 1 && wait < r.leaseLeft:
		return verdict{kind: hide, wait: wait}
	}
	return verdict{kind: reissue, wait: wait, failures: l.spent()}
}
