package dispatcher

import (
	"errors"
	"fmt"
	"time"
)

// ErrSilentDeliveries is the error of a message that is given up for its silent
// ends: its processes crashed, lost its lease, or never got it.
var ErrSilentDeliveries = errors.New("its deliveries ended without a word (crashes or lost leases)")

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
	return fmt.Sprintf("no task %q is registered here, and its message has waited for %v: register it, or send its dead letter back once it is", e.Name, e.Waited)
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
	s := fmt.Sprintf("%s, %s that ended without a word (crashes, lost leases or lost answers)", count(e.failures, "failure", "failures"), count(e.silent, "delivery", "deliveries"))
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
