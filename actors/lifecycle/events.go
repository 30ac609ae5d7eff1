package lifecycle

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
)

// Event is one of [*Started], [*Failed], [*Restarted], [*Resumed], [*Stopped]
// and [*DeadLetter]. Each subscriber gets a copy of its own.
type Event interface {
	slog.LogValuer
	lifecycleEvent()
	own() Event
}

// The events.
type (
	// Started says that an instance of an actor has begun: the first one, or one
	// after a restart. Only actors of [Watch.Props] publish it.
	Started struct {
		PID *actor.PID
		At  time.Time
	}

	// Failed says that an actor panicked or escalated a failure. Its
	// supervisor decides next.
	Failed struct {
		PID     *actor.PID
		Reason  any    // the value of the panic, or the reason of the failure
		Stack   string // of the panic, from the place that panicked on; "": it did not panic
		Message string // type of the message that failed, "" if not known
		ExecID  string // of the task execution that the actor belongs to, "" outside of one
		Task    string
		At      time.Time
	}

	// Restarted says that a supervisor gives the actor a new instance.
	Restarted struct {
		PID    *actor.PID
		Reason any
		At     time.Time
	}

	// Resumed says that a supervisor lets the actor go on with its state. The
	// message that failed is lost.
	Resumed struct {
		PID    *actor.PID
		Reason any
		At     time.Time
	}

	// Stopped says that a supervisor stops the actor for good, by its limit of
	// restarts or by its decider. A requested stop publishes nothing.
	Stopped struct {
		PID    *actor.PID
		Reason any
		At     time.Time
	}

	// DeadLetter says that a message reached no actor.
	DeadLetter struct {
		To      *actor.PID // nil: an answer to a question without a sender
		Message any
		Sender  *actor.PID // nil: the message had no sender
		At      time.Time
	}
)

// own returns a copy, which is its receiver's own.
func (e *Started) own() Event    { c := *e; return &c }
func (e *Failed) own() Event     { c := *e; return &c }
func (e *Restarted) own() Event  { c := *e; return &c }
func (e *Resumed) own() Event    { c := *e; return &c }
func (e *Stopped) own() Event    { c := *e; return &c }
func (e *DeadLetter) own() Event { c := *e; return &c }

func (*Started) lifecycleEvent()    {}
func (*Failed) lifecycleEvent()     {}
func (*Restarted) lifecycleEvent()  {}
func (*Resumed) lifecycleEvent()    {}
func (*Stopped) lifecycleEvent()    {}
func (*DeadLetter) lifecycleEvent() {}

// LogValue implements [slog.LogValuer].
func (e *Started) LogValue() slog.Value { return value("started", e.PID, nil) }

// LogValue implements [slog.LogValuer]. It leaves the stack out.
func (e *Failed) LogValue() slog.Value { return value("failed", e.PID, e.Reason) }

// LogValue implements [slog.LogValuer].
func (e *Restarted) LogValue() slog.Value { return value("restarted", e.PID, e.Reason) }

// LogValue implements [slog.LogValuer].
func (e *Resumed) LogValue() slog.Value { return value("resumed", e.PID, e.Reason) }

// LogValue implements [slog.LogValuer].
func (e *Stopped) LogValue() slog.Value { return value("stopped", e.PID, e.Reason) }

// LogValue implements [slog.LogValuer]. It names the message's type, and leaves its
// contents out.
func (e *DeadLetter) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "dead letter"), slog.String("to", id(e.To)),
		slog.String("message", fmt.Sprintf("%T", e.Message)))
}

func value(event string, pid *actor.PID, reason any) slog.Value {
	attrs := []slog.Attr{slog.String("event", event), slog.String("actor", id(pid))}
	if reason != nil {
		attrs = append(attrs, slog.Any("error", asError(reason)))
	}
	return slog.GroupValue(attrs...)
}

// id returns a PID's id, or "" for nil.
func id(pid *actor.PID) string {
	if pid == nil {
		return ""
	}
	return pid.Id
}

// asError returns a reason as an error, so that a log shows it as one.
func asError(reason any) error {
	if err, ok := reason.(error); ok {
		return err
	}
	return errors.New(clip.Panic(reason))
}

// Messages of the actor "lifecycle".
type (
	// Subscribe sends all events to an actor from now on, until it ends or
	// unsubscribes. A second one of the same actor changes nothing.
	Subscribe struct{ To *actor.PID }

	// Unsubscribe ends a Subscribe.
	Unsubscribe struct{ To *actor.PID }

	// GetCounts is answered [*Counts].
	GetCounts struct{}

	// report hands an event to the actor.
	report struct{ event Event }
)

// IgnoreDeadLetterLogging keeps a report that comes after the end of the actor
// from being a dead letter itself.
func (report) IgnoreDeadLetterLogging() {}
