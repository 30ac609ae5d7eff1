package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// CancelError ends a task for good: no retry, its on_fail task or a dead
// letter now. Made by [Cancel].
type CancelError struct{ Err error }

func (e *CancelError) Error() string {
	if e.Err == nil {
		return "task cancelled"
	}
	return "task cancelled: " + e.Err.Error()
}
func (e *CancelError) Unwrap() error { return e.Err }

// Cancel is returned by a handler when its task can never succeed.
func Cancel(err error) error { return &CancelError{Err: err} }

// SnoozeError asks for another run later, without a failure. Made by [Snooze].
type SnoozeError struct{ For time.Duration }

func (e *SnoozeError) Error() string { return fmt.Sprintf("task snoozed for %v", e.For) }

// Snooze is returned by a handler that wants to run again after d (0 or more)
// and has not failed: it spends nothing of the failure budget.
func Snooze(d time.Duration) error { return &SnoozeError{For: max(d, 0)} }

// RetryError is a failure with a pause of its own. Made by [RetryAfter].
type RetryError struct {
	Err  error
	Wait time.Duration
}

func (e *RetryError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("retry after %v", e.Wait)
	}
	return e.Err.Error()
}
func (e *RetryError) Unwrap() error { return e.Err }

// RetryAfter is one failure, after which the next attempt comes d later (0 or
// more) instead of after the task's own wait.
func RetryAfter(err error, d time.Duration) error { return &RetryError{Err: err, Wait: max(d, 0)} }

// ArgsError says that a message's body does not fit the task's arguments. No
// retry can change that, so it is treated as [Cancel], with its own reason.
type ArgsError struct {
	Task string
	Err  error
}

func (e *ArgsError) Error() string {
	return fmt.Sprintf("task %q: the body does not fit its arguments: %v%s", e.Task, e.Err, notANumber(e.Err))
}

// notANumber explains the error of a body with NaN or Infinity, which Python's
// json module writes and no JSON reader has to take.
func notANumber(err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), "invalid character 'N'") &&
		!strings.HasPrefix(err.Error(), "invalid character 'I'") {
		return ""
	}
	return ". NaN and Infinity are no JSON, though Python writes them: send null, or a text"
}

func (e *ArgsError) Unwrap() error { return e.Err }

// withoutValues replaces an error about arguments that are encrypted on the queue: errors
// go to logs and dead letters, and that of a type's own UnmarshalJSON may show anything.
func withoutValues(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("the member %q is no %v (the value is left out, for it came in an envelope)", wrong.Field,
			wrong.Type)
	}
	return fmt.Errorf("a %T (its text is left out, for the arguments came in an envelope)", err)
}

// PanicError is a handler's panic, with the stack of its goroutine.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return "panic: " + clip.Panic(e.Value) }

// Unwrap returns the value if the handler panicked with an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ErrGoexit is the failure of a handler that ended its goroutine by
// runtime.Goexit (as testing's FailNow does) instead of returning.
var ErrGoexit = errors.New("the handler ended its goroutine (runtime.Goexit)")

// OpenBreaker is the error of a circuit breaker that refused a call. A handler
// that returns one, wrapped or not, runs again after RetryAfter at the
// earliest. It is an interface so that no breaker has to be imported.
type OpenBreaker interface {
	error
	// BreakerOpen is true of a refusal, in contrast to other errors that
	// carry a time to retry after.
	BreakerOpen() bool
	RetryAfter() time.Duration
}
