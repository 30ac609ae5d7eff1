package effects

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sambatech/chassis/task"
)

// Kind says what an effect acts on.
type Kind string

// The kinds of [Effect].
const (
	HTTP  Kind = "http"  // a request to another service
	Send  Kind = "send"  // a task that is put on a queue
	SQL   Kind = "sql"   // a statement, or the end of a transaction
	Other Kind = "other" // anything else, recorded by [Recorder.Do]
)

// Effect is one thing that a handler does to the world outside of its process.
type Effect struct {
	Kind Kind

	// Name is what is done: the method and the URL, the task and its pool, the
	// statement.
	Name string

	// Key makes a second effect of the same key harmless: the Idempotency-Key of a
	// request, the exec_id of a task, or the key given to [Recorder.Do]. It is empty
	// without one.
	Key string

	// Detail is the rest, for comparison and for people: a digest of the body, the
	// arguments of a statement.
	Detail string

	ReadOnly bool      // it changes nothing: GET, SELECT, the begin of a transaction
	Process  int       // the process that does it; the first is 1
	ExecID   string    // the task that its ctx belongs to; empty if the ctx is not a handler's
	Attempt  int       // of that task; 0 if it is not known
	At       time.Time // when it began
	Changed  int64     // SQL: the rows changed; -1 if the driver does not say
	Err      error     // what the handler got

	// Made reports whether the effect happened, as far as its handler could know. It
	// is false if the process died before it, or if it was refused.
	Made bool

	// Undone reports whether its transaction was rolled back, or never committed.
	Undone bool

	// Point numbers the requests and statements of a world, from 1. Tasks that are
	// sent in one request share it.
	Point int

	// Run is the number of the run that it is part of, from 1, over all processes;
	// see [Recorder.BeginRun].
	Run int

	// Late reports whether the task's end was on its way to the queue before the effect
	// was over: its handler did not wait for it. See [Log.EndRun].
	Late bool

	// Early reports whether a task was sent while a transaction of the same process had
	// changed something, and was not committed.
	Early bool

	Dedup string // Send: the deduplication id, on a FIFO queue

	id    string       // Send: of its entry in the request
	tx    *transaction // SQL: that it is part of
	conn  *conn        // SQL: that it is made by
	cut   bool         // its connection was cut by Cut
	under bool         // it has begun and is not over
}

// String is the effect for people.
func (e *Effect) String() string {
	text := e.Name
	if e.Key != "" {
		text += fmt.Sprintf("  key %q", e.Key)
	}
	if e.Detail != "" {
		text += "  " + e.Detail
	}
	switch {
	case e.Err != nil:
		text += fmt.Sprintf("  failed: %v", e.Err)
	case !e.Made:
		text += "  not made: the process died before it"
	case e.Undone:
		text += "  rolled back"
	}
	return text
}

// ErrDied is what a call of a dead process returns. The call blocks until its ctx ends or
// the world is over, because a dead process does nothing; the error lets its goroutines
// end. What they do then changes no more than the memory of their process.
var ErrDied = errors.New("effects: this process is dead")

// ErrCut is the error of a statement at which the connection broke. Whether the database
// has done it is not said.
var ErrCut = errors.New("effects: the connection to the database is cut")

// Cut cuts the connection that the statement is made by: its transaction is rolled back,
// unless the statement has committed it. A [Gate] calls it before the statement or after.
func (e *Effect) Cut() {
	e.cut = true
	e.conn.cut()
}

// Gate decides about the effects of a process. It may end the process by
// [Recorder.Die]; the effect then goes no further.
type Gate interface {
	// Before is called before effects are made, with the ctx of their call. An error
	// refuses them.
	Before(ctx context.Context, made []*Effect) error
	// After is called when effects were made, before their handler knows.
	After(made []*Effect)
	// Skipped is called in place of After: the driver leaves a statement to another of
	// its methods, and Before is called again for it.
	Skipped(made []*Effect)
}

// Open is a gate that lets all effects pass.
type Open struct{}

// Before implements [Gate].
func (Open) Before(context.Context, []*Effect) error { return nil }

// After implements [Gate].
func (Open) After([]*Effect) {}

// Skipped implements [Gate].
func (Open) Skipped([]*Effect) {}

// Log holds the effects of all processes of a world, in order.
type Log struct {
	mu     sync.Mutex
	all    []*Effect
	run    int
	points int
}

func (l *Log) begin(effects []*Effect, ended *bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.points++
	for _, e := range effects {
		e.Point = l.points
		run := l.run
		if run == 0 { // a task actor's: nothing stands around it
			run = e.Process - 1 + max(e.Attempt, 1)
		}
		e.At, e.Run, e.Late, e.under = time.Now(), run, *ended, true
	}
	l.all = append(l.all, effects...)
}

// drop removes an effect that the driver has not tried.
func (l *Log) drop(e *Effect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.all) - 1; i >= 0; i-- {
		if l.all[i] == e {
			if e.Point == l.points {
				l.points--
			}
			l.all = append(l.all[:i], l.all[i+1:]...)
			return
		}
	}
}

// change changes an effect under the lock of the log.
func (l *Log) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// List copies the effects. A statement of a transaction that is not committed is
// undone in the copy.
func (l *Log) List() []*Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Effect, len(l.all))
	for i, e := range l.all {
		copied := *e
		copied.Undone = e.tx != nil && !e.tx.committed && !e.ReadOnly && e.Made
		all[i] = &copied
	}
	return all
}

// Recorder records what the handlers of one process do to the world, and is the place
// where the process can die. Its recorders stand between a handler and its clients:
//
//	client := p.Client(http.DefaultTransport) // requests
//	db := p.DB(connector)                     // statements
//	err := p.Do(ctx, "mail to "+to, job.ExecID, send) // anything else
//
// Tasks that are sent need no recorder. All methods may be called from several
// goroutines.
type Recorder struct {
	log     *Log
	gate    Gate
	process int
	ended   bool          // under the lock of the log: the end of its task is on its way
	dead    chan struct{} // closed at its death
	over    chan struct{} // closed when the world is over

	mu    sync.Mutex
	died  bool
	conns map[*conn]struct{} // open connections to databases
	ends  []func()           // called at the end of the process
}

// New makes the recorder of a process. over is closed when the world is over: calls of
// a dead process end then.
func New(log *Log, g Gate, process int, over chan struct{}) *Recorder {
	return &Recorder{log: log, gate: g, process: process, dead: make(chan struct{}), over: over,
		conns: map[*conn]struct{}{}}
}

// Die ends the process. Nothing of it reaches the world any more: its connections to
// databases are cut, and their open transactions rolled back, as a server does.
func (f *Recorder) Die() { f.Dying()() }

// Dying is the first half of [Recorder.Die], which never waits: the process is dead when
// it returns. The function that it returns cuts the connections. It waits for statements
// that are under way.
func (f *Recorder) Dying() (cut func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.died {
		return func() {}
	}
	f.died = true
	conns := f.conns
	f.conns = nil
	close(f.dead)
	return func() {
		var work sync.WaitGroup // at once: a statement may wait for a transaction of another connection
		for c := range conns {
			work.Go(c.cut)
		}
		work.Wait()
	}
}

// BeginRun is called when the handler of the task begins.
func (f *Recorder) BeginRun() {
	f.log.change(func() { f.log.run, f.ended = f.log.run+1, false })
}

// EndTask is called when the end of the process's task is on its way to the queue. Its
// effects that are under way then, and those that come afterwards, are late.
func (f *Recorder) EndTask() {
	f.log.change(func() {
		f.ended = true
		for _, e := range f.log.all {
			e.Late = e.Late || e.under && e.Process == f.process
		}
	})
}

// Dead is closed when the process dies.
func (f *Recorder) Dead() <-chan struct{} { return f.dead }

// Died reports whether the process is dead.
func (f *Recorder) Died() bool {
	select {
	case <-f.dead:
		return true
	default:
		return false
	}
}

// Alive returns nil in a process that lives. In a dead one it blocks until ctx ends or
// the world is over, and returns [ErrDied].
func (f *Recorder) Alive(ctx context.Context) error {
	if !f.Died() {
		return nil
	}
	select {
	case <-f.over:
	case <-ctx.Done():
	}
	return ErrDied
}

// Perform makes effects by do, which makes all of them in one step.
func (f *Recorder) Perform(ctx context.Context, effects []*Effect, do func() error) error {
	if err := f.Alive(ctx); err != nil {
		return err
	}
	f.log.begin(effects, &f.ended)
	if err := f.gate.Before(ctx, effects); err != nil {
		f.log.change(func() {
			for _, e := range effects {
				e.Err, e.under = err, false
			}
		})
		return err
	}
	if err := f.Alive(ctx); err != nil {
		return err
	}
	err := do()
	if errors.Is(err, driver.ErrSkip) {
		f.log.drop(effects[0])
		f.gate.Skipped(effects)
		return err
	}
	f.log.change(func() {
		for _, e := range effects {
			e.Made, e.Err = err == nil && e.Err == nil, errors.Join(e.Err, err)
		}
	})
	f.gate.After(effects)
	f.log.change(func() {
		for _, e := range effects {
			e.under = false
		}
	})
	if err := f.Alive(ctx); err != nil {
		return err
	}
	if effects[0].cut {
		return ErrCut
	}
	return err
}

// Do records an effect for which there is no recorder, and makes it by do: a mail, an
// object in a store. Key is what makes a second one harmless; leave it empty if
// nothing does.
func (f *Recorder) Do(ctx context.Context, name, key string, do func() error) error {
	e := &Effect{Kind: Other, Name: name, Key: key, Process: f.process}
	return f.Perform(ctx, []*Effect{e.of(ctx)}, do)
}

// of notes the attempt that ctx belongs to.
func (e *Effect) of(ctx context.Context) *Effect {
	if job := task.JobFrom(ctx); job != nil {
		e.ExecID, e.Attempt = job.ExecID, job.Attempt
	}
	return e
}
