package chassistest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// Run is one attempt of a task actor that [Execute] began.
type Run struct {
	// PID is the task actor's address.
	PID *actor.PID

	t       testing.TB
	system  *actor.ActorSystem
	cancel  context.CancelFunc
	answers chan Answer
	ended   chan struct{}
	limit   time.Duration
	answer  *Answer
}

// Answer is how an attempt ended: the first thing that ended it.
type Answer struct {
	Done     bool
	Err      error         // nil if Done
	Panicked bool          // Err is what it panicked with, in a *task.PanicError unless that is an error
	After    time.Duration // from the Execute to the answer
}

// String is the answer for people.
func (a Answer) String() string {
	switch {
	case a.Done:
		return fmt.Sprintf("done after %v", a.After)
	case a.Panicked:
		return fmt.Sprintf("a panic after %v: %v", a.After, a.Err)
	}
	return fmt.Sprintf("failed after %v: %v", a.After, a.Err)
}

// ExecuteOption changes the attempt that [Execute] begins.
type ExecuteOption func(*execution)

type execution struct {
	system *actor.ActorSystem
	info   task.Info
	limit  time.Duration
}

// In runs the task actor in an actor system of the test, for instance one with
// probes or breakers. The default is one of its own.
func In(system *actor.ActorSystem) ExecuteOption { return func(e *execution) { e.system = system } }

// Info changes what the attempt knows of itself. It begins as the first
// attempt of ten of a task "test", without a deadline.
func Info(change func(*task.Info)) ExecuteOption { return func(e *execution) { change(&e.info) } }

// AnswerWithin is how long to wait for the answer. The default is an hour.
func AnswerWithin(d time.Duration) ExecuteOption { return func(e *execution) { e.limit = d } }

// Execute spawns a task actor and sends it one dispatcher.Execute, as a
// dispatcher would, but without one and without a queue. args are encoded as
// JSON, unless they are a json.RawMessage. The actor is stopped at the end of
// the test, which fails when it does not end.
//
//	run := chassistest.Execute(t, props, ImportArgs{File: "a.csv"})
//	run.AssertDone()
func Execute(t testing.TB, props *actor.Props, args any, opts ...ExecuteOption) *Run {
	t.Helper()
	e := execution{limit: time.Hour, info: task.Info{
		Task: "test", ExecID: uuid.NewString(), MessageID: uuid.NewString(), JobID: task.Unknown, JobName: task.Unknown,
		Attempt: 1, MaxFailures: 10, When: time.Now().UTC(),
	}}
	for _, opt := range opts {
		opt(&e)
	}
	body, ok := args.(json.RawMessage)
	if !ok {
		var err error
		if body, err = json.Marshal(args); err != nil {
			t.Fatalf("chassistest: Execute: the arguments have no JSON: %v", err)
		}
	}
	if e.system == nil {
		e.system = life.NewSystem(actor.Configure(actor.WithDeadLetterThrottleInterval(throttle),
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })))
		t.Cleanup(func() { time.Sleep(3 * throttle) }) // as at the end of a System
	}
	r := &Run{t: t, system: e.system, answers: make(chan Answer, 1), ended: make(chan struct{}), limit: e.limit}
	ctx, cancel := context.WithCancel(task.WithInfo(t.Context(), &e.info))
	if !e.info.Deadline.IsZero() {
		ctx, cancel = context.WithDeadlineCause(ctx, e.info.Deadline, dispatcher.ErrDeadline)
	}
	r.cancel = cancel
	began := time.Now()
	parent := &executor{
		run: r, props: props, began: began, spawned: make(chan error, 1),
		execute: &dispatcher.Execute{Ctx: ctx, Info: &e.info, Args: body},
	}
	pid := e.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return parent }))
	if err := <-parent.spawned; err != nil {
		t.Fatalf("chassistest: Execute: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		e.system.Root.Stop(pid)
		select {
		case <-r.ended:
		case <-time.After(ProbeLimit):
			t.Errorf("chassistest: the task actor did not end within %v of its stop", ProbeLimit)
		}
	})
	return r
}

// Cancel ends the ctx of the attempt, as the end of its deadline, a lost lease or
// a drain does.
func (r *Run) Cancel() { r.cancel() }

// Answer waits for the answer and returns it. It ends the test when none
// comes in time. Messages that the actor sent besides are for a [Probe].
func (r *Run) Answer() Answer {
	r.t.Helper()
	if r.answer == nil {
		select {
		case a := <-r.answers:
			r.answer = &a
		case <-time.After(r.limit):
			r.t.Fatalf("chassistest: the task actor has not answered within %v: "+
				"it must Respond with dispatcher.Done{}, an error or dispatcher.Failed, once", r.limit)
		}
	}
	return *r.answer
}

// AssertDone fails the test unless the actor answered that the task is done.
func (r *Run) AssertDone() {
	r.t.Helper()
	if a := r.Answer(); !a.Done {
		r.t.Errorf("chassistest: the task actor is not done: %v", a)
	}
}

// AssertFailed fails the test unless the attempt failed, with an error that is
// want if that is not nil.
func (r *Run) AssertFailed(want error) {
	r.t.Helper()
	if a := r.Answer(); a.Done || want != nil && !errors.Is(a.Err, want) {
		r.t.Errorf("chassistest: the task actor has not failed with %v: %v", want, a)
	}
}

// executor is the parent of the task actor: the first answer or failure ends
// the attempt.
type executor struct {
	run     *Run
	props   *actor.Props
	execute *dispatcher.Execute
	began   time.Time
	spawned chan error
	over    bool
}

// Receive implements [actor.Actor].
func (e *executor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		e.spawned <- e.spawn(c)
	case dispatcher.Done, *dispatcher.Done:
		e.end(Answer{Done: true})
	case dispatcher.Failed:
		e.end(Answer{Err: orNil(m.Err)})
	case *dispatcher.Failed:
		e.end(Answer{Err: orNil(m.Err)})
	case *actor.Terminated:
		e.end(Answer{Err: dispatcher.ErrNoAnswer})
	case *actor.Stopped:
		close(e.run.ended)
	case *actor.Stopping, *actor.Restarting:
	case error:
		e.end(Answer{Err: m})
	default:
		err := fmt.Errorf("the task actor answered with a %T: answer with dispatcher.Done{} or an error", m)
		e.end(Answer{Err: err})
	}
}

func (e *executor) spawn(c actor.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &task.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	e.run.PID = c.Spawn(e.props)
	c.Request(e.run.PID, e.execute)
	return nil
}

func orNil(err error) error {
	if err == nil {
		return errors.New("dispatcher.Failed without an error")
	}
	return err
}

func (e *executor) end(a Answer) {
	if e.over {
		return
	}
	e.over = true
	a.After = time.Since(e.began)
	e.run.answers <- a
}

// HandleFailure implements actor.SupervisorStrategy: a panic ends the attempt.
func (e *executor) HandleFailure(
	_ *actor.ActorSystem, by actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any,
) {
	err, ok := reason.(error)
	if !ok {
		err = &task.PanicError{Value: reason}
	}
	e.end(Answer{Err: err, Panicked: true})
	by.StopChildren(child)
}
