package dispatcher

import (
	"errors"
	"fmt"
	"time"
)

// ErrSilentDeliveries is the error of a message whose budget was spent by
// deliveries that ended without a word: its process crashed or lost its lease.
var ErrSilentDeliveries = errors.New("its deliveries ended without a word (crashes or lost leases)")

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

// errEarlier is the reason of a message that arrives with its budget spent.
func errEarlier(e *execution) error {
	if e.msg.LastError != "" {
		return fmt.Errorf("%w; the last error told was: %s", ErrSilentDeliveries, e.msg.LastError)
	}
	return ErrSilentDeliveries
}
