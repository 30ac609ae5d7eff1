package parts

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// ErrStopping is the cause of every ctx that a stop ends.
var ErrStopping = errors.New("the service is stopping")

// ErrGoexit is the error of a part that ended its goroutine by runtime.Goexit.
var ErrGoexit = errors.New("the part ended its goroutine (runtime.Goexit)")

// PanicError is the error of a part that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the panic's value and its stack.
func (e *PanicError) Error() string {
	return "panic: " + clip.Panic(e.Value) + "\n" + strings.TrimSpace(string(e.Stack))
}

// Unwrap returns the value if the part panicked with an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Error is an error of one part.
type Error struct {
	Part string
	Err  error
}

// Error names the part.
func (e *Error) Error() string { return fmt.Sprintf("part %q: %v", e.Part, e.Err) }

// Unwrap returns the error of the part itself.
func (e *Error) Unwrap() error { return e.Err }

// NotEndedError says that something did not end in its time, and was left alone.
type NotEndedError struct{ Within time.Duration }

// Error says for how long it was waited.
func (e *NotEndedError) Error() string {
	return fmt.Sprintf("it did not end within %v of a stop, and was left alone: it has to end with its ctx",
		e.Within.Round(time.Millisecond))
}

// call runs f, and end with its result, on the goroutine of the caller. A panic of f,
// and an end by runtime.Goexit, are errors.
func call(f func() error, end func(error)) {
	err := ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
		end(err)
	}()
	err = f()
}
