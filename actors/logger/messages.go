package logger

import (
	"context"
	"log/slog"
)

// Message is what the logger's actors understand. Those that are exported may
// be sent as values too.
type Message interface{ loggerMessage() }

// The messages.
type (
	// Reopen opens the files again, after a rotation. It goes
	// to the PID that Start returns.
	Reopen struct{}

	// Describe asks for [Stats], which answers it.
	Describe struct{}

	// Write logs a record, for actors, which have no ctx at hand. It is
	// enriched and filtered as the record of a call with Ctx is. A sender is
	// answered [*Written].
	//
	// It never waits: while the buffer is full it is dropped and counted, and
	// at ERROR and above it does not wait for the output either.
	Write struct {
		Record slog.Record     // a zero time becomes that of the arrival
		Ctx    context.Context // of the job and the trace; nil: none
		Logger string          // the logger's name, as of [Name]; "": none
	}

	// Written answers a Write that was in the buffer, dropped, or below the
	// level of its logger.
	Written struct{}

	// mark is answered when the Writes before it are done.
	mark struct{ done chan struct{} }

	// wake says that a ring is no longer empty.
	wake struct{}

	// retry says that the wait after a failure is over.
	retry struct{ tick int }
)

var wakeUp = &wake{}

var _ = []Message{
	&Reopen{}, &Describe{}, &Write{}, &Written{}, &mark{}, &wake{}, &retry{}, Reopen{}, Describe{}, Write{},
}

// IgnoreDeadLetterLogging keeps the dead letter of a wake-up, sent while the
// actor stops, from being logged and so from waking it again.
func (*wake) IgnoreDeadLetterLogging()  {}
func (*retry) IgnoreDeadLetterLogging() {}

func (Reopen) loggerMessage()   {}
func (Describe) loggerMessage() {}
func (Write) loggerMessage()    {}
func (*Written) loggerMessage() {}
func (*mark) loggerMessage()    {}
func (*wake) loggerMessage()    {}
func (*retry) loggerMessage()   {}
