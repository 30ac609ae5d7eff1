package actors

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Errors of [Ask], each wrapped with the address and the message.
var (
	// ErrDeadLetter says that the message reached no actor: nothing was done.
	ErrDeadLetter = errors.New("no actor has this address")
	// ErrStopped says that the actor stopped without an answer. It may have
	// done some of the work.
	ErrStopped = errors.New("the actor stopped before it answered")
)

// watchAfter is how long a question waits before it watches the actor. Quick
// answers, nearly all, then cost no watch; a stopped actor is noticed 5 ms late.
const watchAfter = 5 * time.Millisecond

// yields is how often a question yields the processor before it waits. An idle actor
// answers meanwhile, which saves the timer: a third of the time.
const yields = 2

// Ask sends a message to an actor and waits for its answer, until ctx ends.
//
// An answer that is an error is returned as the error, unless R is an error
// itself; so is [*Unhandled]. It takes a *T for a T and a T for a *T. Any other
// type is an error that names both. After a few milliseconds without an answer
// the actor is watched: its end ends the question with [ErrStopped]. So an
// actor that hands the question on must live until it is answered.
//
// It stands in for Proto.Actor's RequestFuture, in which an answer that races
// its time limit is a data race (asynkron/protoactor-go#1145).
func Ask[R any](ctx context.Context, system *actor.ActorSystem, pid *actor.PID, message any) (R, error) {
	var none R
	if pid == nil {
		return none, fmt.Errorf("actors: ask with a %T: the address is nil", message)
	}
	answer, err := ask(ctx, system, pid, message)
	if err == nil {
		var r R
		if r, err = convert[R](answer); err == nil {
			return r, nil
		}
	}
	return none, fmt.Errorf("actors: ask %s with a %T: %w", pid.Id, message, err)
}

// ask returns the first message that comes to the question's address.
func ask(ctx context.Context, system *actor.ActorSystem, pid *actor.PID, message any) (any, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	q := question{answer: make(chan any, 1)}
	self, _ := system.ProcessRegistry.Add(&q, "ask"+system.ProcessRegistry.NextId())
	defer system.ProcessRegistry.Remove(self)
	system.Root.RequestWithCustomSender(pid, message, self)

	for range yields {
		runtime.Gosched()
		select {
		case m := <-q.answer:
			return m, nil
		default:
		}
	}
	watch := time.NewTimer(watchAfter)
	defer watch.Stop()
	select {
	case m := <-q.answer:
		return m, nil
	case <-watch.C:
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
	process, _ := system.ProcessRegistry.Get(pid)
	process.SendSystemMessage(pid, &actor.Watch{Watcher: self})
	select {
	case m := <-q.answer:
		if _, gone := m.(*actor.Terminated); !gone {
			process.SendSystemMessage(pid, &actor.Unwatch{Watcher: self})
		}
		return m, nil
	case <-ctx.Done():
		process.SendSystemMessage(pid, &actor.Unwatch{Watcher: self})
		return nil, fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}

// convert makes an answer an R.
func convert[R any](answer any) (R, error) {
	var none R
	switch answer.(type) {
	case *actor.DeadLetterResponse:
		return none, ErrDeadLetter
	case *actor.Terminated:
		return none, ErrStopped
	}
	want := reflect.TypeFor[R]()
	if err, ok := answer.(error); ok && !want.Implements(errorType) {
		return none, err
	}
	switch m := answer.(type) {
	case R:
		return m, nil
	case *R:
		if m != nil {
			return *m, nil
		}
	case error: // R is another error
		return none, m
	}
	if want.Kind() == reflect.Pointer && reflect.TypeOf(answer) == want.Elem() {
		p := reflect.New(want.Elem())
		p.Elem().Set(reflect.ValueOf(answer))
		return p.Interface().(R), nil
	}
	return none, fmt.Errorf("the answer is a %T, want %v", answer, want)
}

var errorType = reflect.TypeFor[error]()

// question is the address of one Ask. It drops what comes after the first answer:
// an actor may keep the address.
type question struct{ answer chan any }

// SendUserMessage takes an answer, or the notice that no actor has the address.
func (q *question) SendUserMessage(_ *actor.PID, message any) {
	q.first(actor.UnwrapEnvelopeMessage(message))
}

// SendSystemMessage takes the notice of the actor's end.
func (q *question) SendSystemMessage(_ *actor.PID, message any) {
	if _, ok := message.(*actor.Terminated); ok {
		q.first(message)
	}
}

// Stop does nothing: a question ends with its Ask.
func (q *question) Stop(*actor.PID) {}

func (q *question) first(m any) {
	select {
	case q.answer <- m:
	default:
	}
}
