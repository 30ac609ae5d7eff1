package parts

import (
	"context"
	"log/slog"
	"time"
)

// Part is anything that runs in a service next to its tasks.
type Part interface {
	// Start makes the part work and returns. What it begins goes on until Stop. ctx
	// ends when the start is given up, and with the return of Start at the latest.
	Start(ctx context.Context, host *Host) error

	// Stop ends the part and returns once it has ended. It is called if Open or Start
	// has returned nil. When ctx ends Stop cuts short what it waits for, and returns an
	// error that names it; a second later it is left alone.
	Stop(ctx context.Context) error
}

// Opener is a [Part] that needs something that another process may have, like a port.
type Opener interface {
	// Open takes it. All parts are opened before the first task is taken.
	Open(ctx context.Context) error
}

// Checker is a [Part] with a readiness check, under the part's name.
type Checker interface {
	// Check returns nil if the part can work. See package health for its rules.
	Check(ctx context.Context) error
}

// Detailer is a [Part] with something to show, like its address.
type Detailer interface {
	// Detail returns a few words. It is called at any time, from any goroutine.
	Detail() string
}

// Host is what a part sees of its service.
type Host struct {
	// Name is that of the part.
	Name string

	// Logger has the name "parts/" and the part's.
	Logger *slog.Logger

	// Draining ends when readiness says no. Stop comes stop_delay later.
	Draining context.Context

	// Ended reports that the part has ended by itself. With an error the service
	// drains and ends with it; nil changes the state that is shown, and no more.
	Ended func(error)
}

// Option says how a part lives in its service.
type Option func(*entry)

// Intake stops the part before the tasks drain, as what brings work: a server, a
// consumer, a schedule. Without it a part is support, which the tasks may use to their
// end.
func Intake() Option { return func(e *entry) { e.intake = true } }

// Serving is [Intake] for a server: a stop gives its requests the setting server_timeout,
// as it gives them to an [HTTP].
func Serving() Option { return func(e *entry) { e.intake, e.serves = true, true } }

// StopWithin sets the time that a stop gives the part, in place of the settings
// server_timeout (for a server) and part_timeout.
func StopWithin(d time.Duration) Option { return func(e *entry) { e.within = max(d, 0) } }

// Named sets the name of a part.
func Named(name string) Option { return func(e *entry) { e.name = name } }

// EvenUnstarted has Stop called on a part of a service that was never started, too.
func EvenUnstarted() Option { return func(e *entry) { e.always = true } }
