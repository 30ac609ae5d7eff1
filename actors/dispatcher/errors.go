package dispatcher

import (
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// ErrSilentDeliveries is the error of a message that is given up for its silent
// ends: its processes crashed, lost its lease, or never got it.
var ErrSilentDeliveries = errors.New("its deliveries ended without a result (crashes or lost leases)")

// ErrNotKept says that a task is scheduled for later than its FIFO queue keeps it.
var ErrNotKept = errors.New("dispatcher: the queue cannot keep the task until it is due")

// UnknownTaskError says that a message waited in vain for a process that knows
// its task.
type UnknownTaskError struct {
	Name   string        // empty: the message names no task
	Waited time.Duration // between its deliveries, in all
}

func (e *UnknownTaskError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("the message names no task (attribute task_name), and has waited for %v", e.Waited)
	}
	return fmt.Sprintf("no task %q is registered here, and its message has waited for %v: register it, or send "+
		"its dead letter back once it is", e.Name, e.Waited)
}

// tooLateError says that a message cannot wait for its next run, because the queue
// drops it or shows it before.
type tooLateError struct {
	err       error // the last failure; nil: it has not run
	due, kept time.Time
	retention time.Duration
	full      bool // no copy of it fits into the queue, by which a standard pool waits
}

func (e *tooLateError) Error() string {
	why := "a FIFO pool cannot wait so long: SQS hides a message for 12 hours"
	if e.full {
		why = "the message has no room for the attributes of a copy, by which the pool waits"
	}
	why = fmt.Sprintf("the next run would be at %s, and %s; this queue keeps it until %s (MessageRetentionPeriod %v)",
		e.due.UTC().Format(time.RFC3339), why, e.kept.UTC().Format(time.RFC3339), e.retention)
	if e.err != nil {
		return e.err.Error() + " (" + why + ")"
	}
	return why
}

func (e *tooLateError) Unwrap() error { return e.err }

// silentError is the reason of a message that arrives with its budget spent.
type silentError struct {
	failures, silent int
	ran              bool // a run of it was seen to end
	last             string
}

func (e *silentError) Error() string {
	s := fmt.Sprintf("%s, %s that ended without a result (crashes, lost leases or lost answers)",
		count(e.failures, "failure", "failures"), count(e.silent, "delivery", "deliveries"))
	if !e.ran {
		s += ", never seen to run"
	}
	if e.last != "" {
		s += "; the last error was: " + e.last
	}
	return s
}

func (e *silentError) Is(target error) bool { return target == ErrSilentDeliveries }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// The causes of a ctx that ends before its handler (context.Cause).
var (
	ErrDeadline  = errors.New("the attempt's deadline is over")
	ErrLeaseLost = errors.New("the lease of the message is lost: another process may run it")
	ErrLeaseEnd  = errors.New("the attempt has lasted as long as the queue hides or keeps its message (12 hours, " +
		"or the end of its MessageRetentionPeriod)")
	ErrDrained   = errors.New("the dispatcher stops and the time for running tasks is over")
	ErrCancelled = fmt.Errorf("%w by an operator", task.ErrCancelled)
	ErrSnoozed   = errors.New("the execution was snoozed by an operator")
	ErrRestarted = errors.New("the dispatcher was restarted")
)

// ErrAbandoned is the failure of an attempt: its handler did not end after its ctx had.
var ErrAbandoned = errors.New("the handler ignored the end of its ctx and was abandoned")

// ErrNoAnswer is the failure of an attempt: its task actor stopped without an answer.
var ErrNoAnswer = errors.New("the task actor stopped without an answer")

// ErrSilent is the cause of a ctx that ended because its task actor was silent
// for [SilenceLimit], and the task has no Deadline.
var ErrSilent = errors.New("the task actor was silent for too long: it has neither answered the Execute nor got a " +
	"message, and has no children")

// endedError adds to a handler's error why its ctx had ended.
type endedError struct{ err, cause error }

func (e *endedError) Error() string { return e.err.Error() + " (" + e.cause.Error() + ")" }

func (e *endedError) Unwrap() []error { return []error{e.err, e.cause} }
