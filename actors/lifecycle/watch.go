package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/internal/life"
)

// Config is what a [Watch] is made of.
type Config struct {
	// Logger must not wait: it is called during a crash. nil: nothing is logged.
	Logger *slog.Logger

	// Muted reports whether the failures of an actor are logged elsewhere; those of
	// tasks are logged as attempts. They are not counted and not published here.
	// nil: no actor is muted.
	Muted func(pid *actor.PID) bool

	// Job returns the execution that an actor belongs to: its ctx for the record, its
	// exec_id and its task. A nil ctx means that there is no execution. May be nil.
	Job func(pid *actor.PID) (ctx context.Context, execID, task string)
}

// Watch sees the crashes of one actor system.
type Watch struct {
	cfg Config
	log *slog.Logger
	to  atomic.Pointer[address] // of the actor; nil until Start

	failures, restarts, resumes, stops, deadLetters atomic.Uint64

	queued  atomic.Int64 // events that the actor has not published yet
	dropped atomic.Uint64

	mu   sync.Mutex // guards rate
	rate rate
}

// address holds the actor, and a context of its own to send to it: the service may
// change Root.
type address struct {
	root *actor.RootContext
	pid  *actor.PID
}

// Counts are the numbers of a [Watch], since the start of the process.
type Counts struct {
	Failures    uint64 `json:"failures"` // panics and escalated failures
	Restarts    uint64 `json:"restarts"`
	Resumes     uint64 `json:"resumes"`
	Stops       uint64 `json:"stops"` // by a supervisor
	DeadLetters uint64 `json:"dead_letters"`
	Dropped     uint64 `json:"dropped"` // events that were not published, because subscribers were too slow
}

// maxQueued limits the events that wait to be published. Subscribers that are slower
// than the crashes lose the newest events.
const maxQueued = 4096

// Name is the actor's address in its system.
const Name = "lifecycle"

// New returns a watch of a system that is made with its [Watch.Factory].
func New(cfg Config) *Watch {
	w := &Watch{cfg: cfg, log: cfg.Logger}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	return w
}

// Factory returns a logger factory for the actor system. It takes the crashes
// from what Proto.Actor logs, and passes all on to the logger of inner.
func (w *Watch) Factory(inner func(*actor.ActorSystem) *slog.Logger) func(*actor.ActorSystem) *slog.Logger {
	return func(system *actor.ActorSystem) *slog.Logger {
		return slog.New(&tap{w, inner(system).Handler()})
	}
}

// Start begins to watch the supervisors and the dead letters of system, and
// spawns the actor that publishes. It may be called once.
func (w *Watch) Start(system *actor.ActorSystem) error {
	p := &publisher{w: w}
	p.props = actor.PropsFromProducer(func() actor.Actor { return p }, actor.WithMailbox(p.life.Mailbox))
	root := actor.NewRootContext(system, nil).WithGuardian(guardian)
	pid, err := root.SpawnNamed(p.props, Name)
	if err != nil {
		return fmt.Errorf("lifecycle: spawn the actor %q: %w", Name, err)
	}
	w.to.Store(&address{root, pid})
	system.EventStream.Subscribe(w.onEvent)
	return nil
}

var guardian = actor.NewRestartingStrategy()

// PID returns the address of the actor. It is nil before Start.
func (w *Watch) PID() *actor.PID {
	if to := w.to.Load(); to != nil {
		return to.pid
	}
	return nil
}

// Counts reads the numbers.
func (w *Watch) Counts() Counts {
	return Counts{
		Failures: w.failures.Load(), Restarts: w.restarts.Load(), Resumes: w.resumes.Load(), Stops: w.stops.Load(),
		DeadLetters: w.deadLetters.Load(), Dropped: w.dropped.Load(),
	}
}

// Props returns props for actors that publish [Started], and that end even if they
// panic while they stop. Proto.Actor takes that panic for an ordinary failure, and the
// restart that follows undoes the stop (asynkron/protoactor-go#214).
func (w *Watch) Props(props *actor.Props) *actor.Props {
	return props.Clone(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, m *actor.MessageEnvelope) {
			leaving, returned := false, false
			switch m.Message.(type) {
			case *actor.Started:
				w.publish(&Started{PID: c.Self(), At: time.Now()})
			case *actor.Restarting, *actor.Stopping, *actor.Stopped:
				leaving = true
			}
			defer func() {
				switch {
				case returned:
				case life.ByGoexit():
					w.onGoexit(c, m.Message)
				case leaving:
					w.onFailure(c.Self(), recover())
				}
			}()
			next(c, m)
			returned = true
		}
	}))
}

// onGoexit is called when an actor ends its goroutine by runtime.Goexit. Its mailbox
// never runs again, so it is taken out of the registry: what is sent to it is a dead
// letter then, and no stop waits for it.
func (w *Watch) onGoexit(c actor.ReceiverContext, message any) {
	c.ActorSystem().ProcessRegistry.Remove(c.Self())
	if w.muted(c.Self()) {
		return
	}
	w.failures.Add(1)
	w.stops.Add(1)
	ctx, execID, task := w.job(c.Self())
	now := time.Now()
	kind := fmt.Sprintf("%T", message)
	w.log.ErrorContext(ctx, "an actor called runtime.Goexit, as t.FailNow does: it is gone, nothing restarts it, "+
		"and messages to it are lost", "actor", c.Self().Id, "message", kind)
	w.publish(&Failed{PID: c.Self(), Reason: errGoexit, Message: kind, ExecID: execID, Task: task, At: now})
	w.publish(&Stopped{PID: c.Self(), Reason: errGoexit, At: now})
}

var errGoexit = errors.New("the actor called runtime.Goexit")

// onEvent sees what is published on the EventStream, on the goroutine of the
// publisher: it must neither wait nor panic.
func (w *Watch) onEvent(event any) {
	switch e := event.(type) {
	case *actor.SupervisorEvent:
		w.onDecision(e)
	case *actor.DeadLetterEvent:
		w.onDeadLetter(e)
	}
}

func (w *Watch) muted(pid *actor.PID) bool {
	return pid == nil || w.cfg.Muted != nil && w.cfg.Muted(pid)
}

// job returns the ctx of an actor's records, and what it executes.
func (w *Watch) job(pid *actor.PID) (ctx context.Context, execID, task string) {
	if w.cfg.Job != nil {
		if ctx, execID, task = w.cfg.Job(pid); ctx != nil {
			return ctx, execID, task
		}
	}
	return context.Background(), "", ""
}

func (w *Watch) onDecision(e *actor.SupervisorEvent) {
	if w.muted(e.Child) {
		return
	}
	ctx, _, _ := w.job(e.Child)
	attrs := []any{"actor", e.Child.Id, "error", asError(e.Reason)}
	now := time.Now()
	switch e.Directive {
	case actor.RestartDirective:
		w.restarts.Add(1)
		w.log.DebugContext(ctx, "an actor is restarted", attrs...)
		w.publish(&Restarted{PID: e.Child, Reason: e.Reason, At: now})
	case actor.ResumeDirective:
		w.resumes.Add(1)
		w.log.DebugContext(ctx, "an actor goes on after its failure", attrs...)
		w.publish(&Resumed{PID: e.Child, Reason: e.Reason, At: now})
	case actor.StopDirective:
		w.stops.Add(1)
		w.log.ErrorContext(ctx, "an actor is stopped for good by its supervisor: nothing restarts it, "+
			"and messages to it are lost", attrs...)
		w.publish(&Stopped{PID: e.Child, Reason: e.Reason, At: now})
	}
}

// onFailure is called in the deferred function that recovers the panic.
func (w *Watch) onFailure(pid *actor.PID, reason any) {
	if w.muted(pid) {
		return
	}
	w.failures.Add(1)
	ctx, execID, task := w.job(pid)
	whole := string(debug.Stack())
	stack := panicStack(whole)
	attrs := []any{"actor", pid.Id, "error", asError(reason)}
	switch {
	case stack != "":
		w.log.ErrorContext(ctx, "an actor panicked", append(attrs, "stack", logger.Stack(stack))...)
	case escalated(whole):
		w.log.WarnContext(ctx, "an actor escalates the failure of a child", attrs...)
	default:
		w.log.ErrorContext(ctx, "an actor failed", attrs...)
	}
	w.publish(&Failed{PID: pid, Reason: reason, Stack: stack, ExecID: execID, Task: task, At: time.Now()})
}

func (w *Watch) onDeadLetter(e *actor.DeadLetterEvent) {
	switch e.Message.(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, actor.MailboxMessage, *actor.DeadLetterResponse, Event, report:
		return // a stop, a watch, an end; or an event to a subscriber that has just ended
	}
	w.deadLetters.Add(1)
	if _, quiet := e.Message.(actor.IgnoreDeadLetterLogging); !quiet {
		w.logDeadLetter(e)
	}
	w.publish(&DeadLetter{To: e.PID, Message: e.Message, Sender: e.Sender, At: time.Now()})
}

func (w *Watch) logDeadLetter(e *actor.DeadLetterEvent) {
	attrs := []any{"to", id(e.PID), "message", fmt.Sprintf("%T", e.Message), "sender", id(e.Sender)}
	if to := id(e.PID); strings.HasPrefix(to, "ask$") || strings.HasPrefix(to, "future$") {
		w.log.Debug("an answer came after the question was over", attrs...)
		return
	}
	w.mu.Lock()
	ok, skipped := w.rate.take(time.Now())
	w.mu.Unlock()
	if !ok {
		return
	}
	if skipped > 0 {
		attrs = append(attrs, "not_logged", skipped)
	}
	what := "dead letter: no actor has this address"
	if e.PID == nil {
		what = "dead letter: an answer to a question that had no sender"
	}
	w.log.Warn(what, attrs...)
}

// publish hands an event to the actor, which calls the user's handlers.
func (w *Watch) publish(e Event) {
	to := w.to.Load()
	if to == nil {
		return
	}
	if w.queued.Add(1) > maxQueued {
		w.queued.Add(-1)
		w.dropped.Add(1)
		return
	}
	to.root.Send(to.pid, report{e})
}

// tap is a handler in front of that of Proto.Actor's own records.
type tap struct {
	w     *Watch
	inner slog.Handler
}

// recovering is the record by which Proto.Actor reports a failure.
const recovering = "[ACTOR] Recovering"

func (t *tap) Enabled(ctx context.Context, level slog.Level) bool {
	return level == slog.LevelInfo || t.inner.Enabled(ctx, level)
}

func (t *tap) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == recovering {
		var pid *actor.PID
		var reason any
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "self":
				pid, _ = a.Value.Any().(*actor.PID)
			case "reason":
				reason = a.Value.Any()
			}
			return true
		})
		t.w.onFailure(pid, reason)
	}
	if !t.inner.Enabled(ctx, r.Level) {
		return nil
	}
	return t.inner.Handle(ctx, r)
}

func (t *tap) WithAttrs(attrs []slog.Attr) slog.Handler { return &tap{t.w, t.inner.WithAttrs(attrs)} }
func (t *tap) WithGroup(name string) slog.Handler       { return &tap{t.w, t.inner.WithGroup(name)} }
