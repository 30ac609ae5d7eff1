package logger

// Message is what the logger's actors understand; all are pointers.
type Message interface{ loggerMessage() }

// The messages.
type (
	// Reopen makes the descriptors of files anew, after a rotation. It goes
	// to the PID that Start returns.
	Reopen struct{}

	// Describe asks for [Stats].
	Describe struct{}

	// wake says that a ring is no longer empty.
	wake struct{}

	// retry says that the wait after a failure is over.
	retry struct{ tick int }
)

var wakeUp = &wake{}

var _ = []Message{&Reopen{}, &Describe{}, &wake{}, &retry{}}

// IgnoreDeadLetterLogging keeps the dead letter of a wake-up, sent while the
// actor stops, from being logged and so from waking it again.
func (*wake) IgnoreDeadLetterLogging()  {}
func (*retry) IgnoreDeadLetterLogging() {}

func (*Reopen) loggerMessage()   {}
func (*Describe) loggerMessage() {}
func (*wake) loggerMessage()     {}
func (*retry) loggerMessage()    {}
