package logger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/internal/life"
)

// Logger is one service's logger. It is made by [New] and safe for use from
// any goroutine.
type Logger struct {
	service    string
	forms      []*form // each with its outputs
	outputs    []*output
	levels     *levels
	sampler    *sampler
	root       *handler
	hooking    atomic.Int64 // hooks that run now
	hookErrors atomic.Uint64
	hooksEnded atomic.Bool
	props      []actor.PropsOption

	mu      sync.Mutex // Start and Stop
	pid     *actor.PID
	to      *actor.RootContext // its own: the system's Root has the middleware of the service
	over    atomic.Bool        // the next end of the actor is for good
	gone    chan struct{}      // closed when the actor has ended
	signals func()             // ends the watch for SIGHUP
}

// ErrStarted is returned by Start on a logger that runs already.
var ErrStarted = errors.New("logger: already started")

const maxService = 256

// guardWait is how long a panic is held up for the output.
const guardWait = 5 * time.Second

// New makes a logger for service, which stands on every record. It works at
// once: until [Logger.Start] the calling goroutine writes.
func New(service string, s Settings, opts ...Option) (*Logger, error) {
	if service == "" {
		return nil, errors.New("logger: the service has no name: give New the name that stands on every record")
	}
	if len(service) > maxService {
		return nil, fmt.Errorf("logger: the service's name has %d bytes: use at most %d, "+
			"for it stands on every record", len(service), maxService)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("logger: settings of service %s: %w", service, err)
	}
	s = s.withDefaults()
	c := config{Settings: s, service: service, stderr: func(line string) { _, _ = os.Stderr.WriteString(line) }}
	for _, opt := range opts {
		opt(&c)
	}
	return c.build()
}

// Slog returns the logger for callers. The usual thing is to give it to
// slog.SetDefault.
func (l *Logger) Slog() *slog.Logger { return slog.New(l.root) }

// Handler returns the handler behind [Logger.Slog].
func (l *Logger) Handler() slog.Handler { return l.root }

// Named returns the logger with a name, as slog.With(Name(name)) does.
func (l *Logger) Named(name string) *slog.Logger { return l.Slog().With(Name(name)) }

// SetLevel changes the level of a logger name and of the names below it that
// have none of their own, from the next call on. The empty name is the root.
func (l *Logger) SetLevel(name string, level slog.Level) { l.levels.change(name, level) }

// UnsetLevel gives a name back to the level of what is above it.
func (l *Logger) UnsetLevel(name string) { l.levels.unset(name) }

// Levels returns the levels that are set, by name; "" is the root.
func (l *Logger) Levels() map[string]slog.Level { return l.levels.snapshot() }

// Spawner returns [Logger.Start] as a step of a service's start.
func (l *Logger) Spawner(system *actor.ActorSystem) func(context.Context) error {
	return func(context.Context) error {
		_, err := l.Start(system)
		return err
	}
}

// Start spawns the logger actor, which owns the outputs from then on.
func (l *Logger) Start(system *actor.ActorSystem) (*actor.PID, error) {
	if system == nil {
		return nil, errors.New("logger: Start needs an actor system")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pid != nil {
		return nil, ErrStarted
	}
	gone := make(chan struct{})
	restarts := &life.Restarts{}
	var props *actor.Props
	props = actor.PropsFromProducer(
		func() actor.Actor { return &loggerActor{l: l, gone: gone, life: restarts, props: props} },
		actor.WithGuardian(restart), actor.WithSupervisor(restart), actor.WithMailbox(restarts.Mailbox))
	l.over.Store(false)
	to := actor.NewRootContext(system, nil)
	pid, err := spawn(to, props)
	if err != nil {
		return nil, err
	}
	for _, o := range l.outputs {
		if o.ring.setDirect(false) {
			o.wake()
		}
	}
	l.pid, l.to, l.gone = pid, to, gone
	l.signals = l.watchSignals()
	return pid, nil
}

// actorName is the actor's address in its system, of the first logger there.
const actorName = "logger"

// spawn starts the actor.
func spawn(root *actor.RootContext, props *actor.Props) (*actor.PID, error) {
	pid, err := root.SpawnNamed(props, actorName)
	if errors.Is(err, actor.ErrNameExists) { // of another logger
		pid, err = root.SpawnNamed(props, actorName+root.ActorSystem().ProcessRegistry.NextId())
	}
	if err != nil {
		return nil, fmt.Errorf("logger: spawn the actor: %w", err)
	}
	return pid, nil
}

// Stop writes what is accepted, stops the actor, and leaves a logger that its
// callers write with directly. It gives up when ctx ends, with an error that says
// what is not written. It may be called twice, and before Start.
func (l *Logger) Stop(ctx context.Context) error {
	return errors.Join(l.stop(ctx), l.endHooks(ctx))
}

func (l *Logger) stop(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pid == nil {
		return l.Flush(ctx)
	}
	l.signals()
	m := &mark{done: make(chan struct{})}
	l.to.Send(l.pid, m)
	select {
	case <-m.done:
	case <-l.gone:
	case <-ctx.Done():
	}
	_ = l.Flush(ctx) // what is left then is tried once more below
	// No record must find the actor gone and the ring still its own.
	for _, o := range l.outputs {
		o.ring.setDirect(true)
	}
	l.over.Store(true)
	l.to.Poison(l.pid)
	var err error
	select {
	case <-l.gone:
	case <-ctx.Done():
		err = fmt.Errorf("logger: stop: the actor still writes: %w", context.Cause(ctx))
	}
	l.pid, l.to = nil, nil
	return errors.Join(err, l.Flush(ctx))
}

// Hasten is for the stop of a service: until end is called, no call waits for an
// output that takes nothing for two seconds. Where the buffer is full, the oldest
// records are dropped then, and counted.
func (l *Logger) Hasten() (end func()) {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(stalledLong / 4)
		defer tick.Stop()
		for {
			for _, o := range l.outputs {
				if o.stuck() {
					o.ring.setLossy(true)
				}
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() { close(done); watch.Wait() }
}

// goDirect is the end of the actor.
func (l *Logger) goDirect(gone chan struct{}) {
	defer close(gone)
	for _, o := range l.outputs {
		o.to.Store(nil)
		direct := o.ring.setDirect(true)
		o.renew()
		if direct {
			o.drainDirect(true)
		}
	}
}

// outdate asks for new descriptors. The message that follows brings it about
// at once; if a stop overtakes it the end of the actor does.
func (l *Logger) outdate() {
	for _, o := range l.outputs {
		o.outdated.Store(true)
	}
}

// Flush returns when every record accepted before it is written or dropped,
// or, with an error, when ctx ends or an output fails.
func (l *Logger) Flush(ctx context.Context) error {
	var errs []error
	for _, o := range l.outputs {
		for !o.flush(ctx) {
			err := context.Cause(ctx)
			if h := o.health.Load(); h != nil {
				err = errors.New(h.Err)
			}
			if err == nil {
				continue // it works again since
			}
			errs = append(errs, fmt.Errorf("logger: flush output %s: %d records are not written: %w",
				o.name, o.ring.pending(), err))
			break
		}
	}
	return errors.Join(errs...)
}

// Guard is deferred in main and in goroutines of one's own: a panic is logged
// with its stack, what is accepted is written, and the panic goes on.
//
//	defer l.Guard()
//
// It must be deferred itself, for Go lets only a deferred function recover: a
// function that wraps it recovers itself and calls [Logger.Panicked].
func (l *Logger) Guard() {
	if r := recover(); r != nil {
		l.Panicked(r)
	}
}

// Panicked is [Logger.Guard] for a function that recovers by itself: it logs r, writes
// what is accepted, for at most 5 s in all, and panics with r again.
func (l *Logger) Panicked(r any) {
	stack := debug.Stack()
	ctx, cancel := context.WithTimeout(context.Background(), guardWait)
	defer cancel()
	flushed := make(chan error, 1)
	go func() { // on its own goroutine: a write into a stalled pipe ends for no ctx
		l.root.logPanic(r, stack)
		flushed <- l.Flush(ctx)
	}()
	var err error
	select {
	case err = <-flushed:
	case <-ctx.Done():
		err = fmt.Errorf("not everything is written after %v", guardWait)
	}
	if err != nil {
		l.outputs[0].stderr("logger: at a panic: " + err.Error() + "\n")
	}
	panic(r)
}

func (h *handler) logPanic(r any, stack []byte) {
	rec := slog.NewRecord(time.Now(), LevelCritical, "panic", 0)
	if err, ok := r.(error); ok {
		rec.AddAttrs(slog.Any("panic", err))
	} else {
		rec.AddAttrs(slog.String("panic", clip.Panic(r)))
	}
	rec.AddAttrs(slog.Any("stack", Stack(stack)))
	_ = h.Handle(context.Background(), rec)
}

// Reopen opens the files of all outputs again.
func (l *Logger) Reopen() error {
	l.mu.Lock()
	pid, to := l.pid, l.to
	l.mu.Unlock()
	if pid != nil {
		l.outdate()
		to.Send(pid, &Reopen{})
		return nil
	}
	var errs []error
	for _, o := range l.outputs {
		errs = append(errs, o.reopen())
		o.drainDirect(true) // what failed before
	}
	return errors.Join(errs...)
}

// SystemLogger is for actor.WithLoggerFactory: the records of the actor system
// itself, under the name "actor". They never wait, neither for room nor for
// the output, so the actors that this logger runs on cannot wait for
// themselves; when the buffer is full they are dropped and counted.
func (l *Logger) SystemLogger() func(*actor.ActorSystem) *slog.Logger {
	return func(*actor.ActorSystem) *slog.Logger { return l.Unawaited("actor") }
}

// Unawaited is [Logger.Named] for code that others wait on: its records wait
// neither for room nor for the output. When the buffer is full they are dropped
// and counted.
func (l *Logger) Unawaited(name string) *slog.Logger { return slog.New(l.unawaited(name)) }

// unawaited returns the handler of a logger name for records that wait neither
// for room nor for the output.
func (l *Logger) unawaited(name string) slog.Handler {
	h := *l.root
	h.system = true
	if name == "" {
		return &h
	}
	return h.WithAttrs([]slog.Attr{Name(name)})
}

// PID returns the address of the logger actor, which takes the package's
// messages. It is nil before Start and after Stop.
func (l *Logger) PID() *actor.PID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pid
}

// Close closes the files that the logger itself has opened. It comes after
// [Logger.Stop]; a record after it goes to the other outputs.
func (l *Logger) Close() error {
	var errs []error
	for _, o := range l.outputs {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}
