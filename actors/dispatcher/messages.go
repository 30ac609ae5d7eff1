package dispatcher

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Between the dispatcher and a task actor. The dispatcher sends *Execute as a
// request; the task actor, or one that it forwards it to, ends the attempt by
// Respond with Done{}, or with an error or Failed{error}; a panic of the task
// actor ends it too. Only the first answer counts. An actor that stops without an
// answer has failed.
type (
	// Execute asks a task actor to run one attempt. The actor is made for it,
	// and is stopped when the attempt is over.
	Execute struct {
		Ctx  context.Context // ends at the attempt's deadline, a lost lease, the end of a drain
		Info *task.Info
		Args json.RawMessage // the body, valid JSON; must not be changed

		run *attempt
	}

	// Done is a task actor's answer when the task is done.
	Done struct{}

	// Failed is a task actor's answer when the attempt failed. Err may be of
	// task.Cancel, task.Snooze or task.RetryAfter; nil is taken as an error.
	Failed struct{ Err error }
)

// Decode reads the arguments into v. Its error is one that no retry can
// change: answer with it and the task is dead-lettered as undecodable.
func (e *Execute) Decode(v any) error {
	if err := json.Unmarshal(e.Args, v); err != nil {
		return &task.ArgsError{Task: e.Info.Task, Err: err}
	}
	return nil
}

// check returns an error unless the body is JSON. No handler gets a message that is
// not.
func (e *Execute) check() error {
	if json.Valid(e.Args) {
		return nil
	}
	var v any
	return &task.ArgsError{Task: e.Info.Task, Err: json.Unmarshal(e.Args, &v)}
}

// Commands to a dispatcher, as pointers or as values, immutable once sent. Each
// is answered with a pointer to the named reply, if it was sent as a request;
// [Client] hides that. Any other message is answered with [*actors.Unhandled].
type (
	// Register makes a task known, by its Handler or by the Props of its
	// actor. A name that is known is replaced, with a warning. Answer:
	// [Registered].
	Register struct {
		Spec    task.Spec
		Handler task.RawHandler
		Props   *actor.Props

		reply chan<- *Registered
	}

	// Pause stops taking tasks: of one name, or of the pool if Task is empty.
	// What runs goes on. A pool may be paused by several at once, and each ends its own
	// pause alone; By is empty for the operators. Answer: [Controlled].
	Pause struct {
		Task  string
		By    string
		reply chan<- *Controlled
	}

	// Resume ends a [Pause]. Answer: [Controlled].
	Resume struct {
		Task  string
		By    string
		reply chan<- *Controlled
	}

	// Resize puts other numbers of workers in force, at once: with more of them
	// waiting tasks begin, with fewer none begins until enough have ended; what
	// runs goes on. A zero is the default, as in [Settings]. Wrong numbers
	// change nothing. Answer: [Controlled].
	Resize struct {
		Workers, MaxWorkers, ScaleFactor int
		reply                            chan<- *Controlled
	}

	// CancelExecution ends every execution of an exec_id for good, as if its
	// handler had returned task.Cancel: its ctx is cancelled. Answer:
	// [Controlled] with the number found.
	CancelExecution struct {
		ExecID string
		Reason string // for the records and the dead letter

		// Delete ends it with its message deleted: no on_fail task is sent, and no dead
		// letter. What follows an execution, as in a flow, does follow.
		Delete bool

		// Until, if not zero, cancels what of this exec_id comes before then, too.
		Until time.Time

		reply chan<- *Controlled
	}

	// SnoozeExecution ends the attempts of an exec_id under way and runs them
	// again after For, without a failure. Answer: [Controlled] with the number
	// found.
	SnoozeExecution struct {
		ExecID string
		For    time.Duration
		reply  chan<- *Controlled
	}

	// Inspect lists what the dispatcher holds: the executions of an exec_id,
	// or all if it is empty, the oldest first, at most Limit (0: 1000).
	// Answer: [Executions].
	Inspect struct {
		ExecID string
		Limit  int
		reply  chan<- *Executions
	}

	// GetStats asks for [Stats]. [Monitor.Stats] gives the same without a
	// message.
	GetStats struct{ reply chan<- *Stats }

	// Subscribe sends what happens from now on to To, as an [*Event] of its own
	// for each. To takes Credits of them (0: 1000), and another Subscribe grants
	// more. Without a credit an event is dropped, and the next one that is sent
	// says how many were Missed: the dispatcher never waits for a slow
	// subscriber. It ends with To, by [Unsubscribe], or with the dispatcher.
	// Answer: [Controlled].
	Subscribe struct {
		To      *actor.PID
		Credits int
		reply   chan<- *Controlled
	}

	// Unsubscribe ends a [Subscribe]. Answer: [Controlled].
	Unsubscribe struct {
		To    *actor.PID
		reply chan<- *Controlled
	}

	// Drain stops for good: nothing new is taken, what waits is given back,
	// what runs gets until Deadline (zero: the setting drain_timeout from
	// now; past: no time at all), then its ctxs are cancelled. A second Drain
	// with an earlier deadline shortens the first. Answer, when all of it is
	// settled and flushed: [Drained].
	Drain struct {
		Deadline time.Time
		reply    chan<- *Drained
	}
)

// Replies.
type (
	// Registered answers [Register].
	Registered struct {
		Replaced bool
		Err      error // the definition is wrong: nothing was registered
	}

	// Controlled answers [Pause], [Resume], [Resize], [CancelExecution],
	// [SnoozeExecution], [Subscribe] and [Unsubscribe].
	Controlled struct {
		Found int   // executions, or tasks, that it had an effect on
		Err   error // nothing known by that name
	}

	// Executions answers [Inspect].
	Executions struct {
		Total int
		List  []Execution
	}

	// Drained answers [Drain]. The counts are of the time since it.
	Drained struct {
		Finished  int // attempts that ended by themselves
		GivenBack int // messages given back, to be run elsewhere
		Released  int // of those, executions that did not end in time
		Unsettled int // messages that the queue did not settle: they are delivered again
	}
)

// Execution is one message that a dispatcher holds, as of the time of asking.
type Execution struct {
	Pool      string           `json:"pool"`
	Lease     poller.LeaseID   `json:"-"` // of that pool's poller
	Task      string           `json:"task"`
	ExecID    string           `json:"exec_id"`
	JobID     string           `json:"job_id"`
	JobName   string           `json:"job_name"`
	Phase     string           `json:"phase"` // queued, running, waiting, ending
	Attempt   int              `json:"attempt"`
	Failures  int              `json:"failures"`
	Since     time.Time        `json:"since"`          // of the phase
	Until     time.Time        `json:"until,omitzero"` // of a wait, or the attempt's deadline
	Progress  *task.Progress   `json:"progress,omitempty"`
	Error     string           `json:"error,omitempty"`      // the last failure's
	Steps     []task.StepState `json:"steps,omitempty"`      // the last of its steps
	StepCount int              `json:"step_count,omitempty"` // of all
	PID       *actor.PID       `json:"-"`                    // of the task actor; nil for a function or a pause
}

// hint names what a dispatcher takes, for the sender of something else.
const hint = "takes *Register, *Pause, *Resume, *Resize, *CancelExecution, *SnoozeExecution, *Inspect, *GetStats, " +
	"*Subscribe, *Unsubscribe and *Drain"

// pointer returns a pointer to a command that was sent as a value, or nil.
func pointer(message any) any {
	switch m := message.(type) {
	case Register:
		return &m
	case Pause:
		return &m
	case Resume:
		return &m
	case Resize:
		return &m
	case CancelExecution:
		return &m
	case SnoozeExecution:
		return &m
	case Inspect:
		return &m
	case GetStats:
		return &m
	case Subscribe:
		return &m
	case Unsubscribe:
		return &m
	case Drain:
		return &m
	}
	return nil
}

// LogValue implements slog.LogValuer.
func (e Execution) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("task", e.Task), slog.String("exec_id", e.ExecID), slog.String("phase", e.Phase),
		slog.Int("attempt", e.Attempt), slog.Int("failures", e.Failures))
}
