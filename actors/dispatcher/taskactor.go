package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"
	"github.com/sambatech/chassis/task"
)

// Task actors: all that their props bring along is user's code, and runs where
// its panic and its time are its own.

// The births of a task actor. The first to move it out of notSpawned, the goroutine
// that spawns it or the dispatcher, decides which of them stops it.
const (
	notSpawned int32 = iota
	isSpawned
	dismissed // dismissed before it was spawned
)

// spawn spawns the task actor of a and sends it the Execute. It runs in a
// goroutine of the crew: the producer may take its time, and may panic.
//
//go:noinline
func (a *attempt) spawn() {
	err := task.ErrGoexit // unless it returns
	defer func() {
		if v := recover(); v != nil {
			err = &task.PanicError{Value: v, Stack: debug.Stack()}
		}
		if err != nil {
			a.root.Send(a.dispatcher, &spawnFailed{a: a})
			a.finish(fmt.Errorf("the task actor could not be made: %w", err), nil)
		}
	}()
	if unopened := a.open(a.openBy); unopened != nil {
		err = nil
		a.root.Send(a.dispatcher, &spawnFailed{a: a})
		a.finish(unopened, nil)
		return
	}
	_, err = a.parent.SpawnAs(a.child.Id, a.props.props)
	if err != nil {
		return
	}
	if !a.spawned.CompareAndSwap(notSpawned, isSpawned) {
		a.noteReturn()
		a.root.Stop(a.child)
		return
	}
	a.root.RequestWithCustomSender(a.child, &a.execute, a.reply)
}

// spawnFailed says that a task actor could not be spawned.
type spawnFailed struct {
	unlogged
	a *attempt
}

// stopping says that a task actor stops although its attempt is under way.
type stopping struct {
	unlogged
	a *attempt
}

// goexited says that a task actor's goroutine ended by Goexit: its mailbox will
// never run again.
type goexited struct {
	unlogged
	who *actor.PID
}

var attemptID = ctxext.NextContextExtensionID()

// ExtensionID implements ctxext.ContextExtension: from its Execute on, the
// context of a task actor holds its attempt.
func (*attempt) ExtensionID() ctxext.ContextExtensionID { return attemptID }

// attemptOf returns the attempt of the task actor of ctx, or nil before its
// Execute. Proto.Actor's Get panics for an extension that was never set.
func attemptOf(ctx actor.ReceiverContext) (a *attempt) {
	defer func() { _ = recover() }()
	a, _ = ctx.Get(attemptID).(*attempt)
	return a
}

// guard stands around each message of a task actor.
//
//   - A panic gets its stack. While the actor stops, it is logged and goes no
//     further: it would keep the actor from ever ending.
//   - A goroutine that ends by Goexit is reported to the dispatcher.
//   - An Execute of an attempt that is over is dropped, however it came: by a
//     stash, a forward, or sent again.
type guard struct {
	task string
	log  *slog.Logger
}

func (g *guard) receive(next actor.ReceiverFunc, ctx actor.ReceiverContext, env *actor.MessageEnvelope) {
	a := attemptOf(ctx)
	execute, leaving := false, a != nil && a.ends
	switch m := env.Message.(type) {
	case *Execute:
		if m.run == nil { // a test's
			break
		}
		if m.run.state.Load() != underWay {
			m.run.noteReturn()
			return
		}
		if m.run.child.Equal(ctx.Self()) { // else another task actor has forwarded its own
			a, execute = m.run, true
			ctx.Set(a)
		}
		if err := m.check(); err != nil {
			m.run.within.Store(false)
			m.run.root.Send(env.Sender, err)
			return
		}
	case *actor.Restarting: // from outside: its Execute is lost
		leaving = true
		if a != nil {
			a.ends = true
			a.finish(ErrNoAnswer, nil)
		}
	case *actor.Stopping:
		leaving = true
		if a != nil {
			a.ends = true
			if a.state.Load() == underWay {
				a.root.Send(a.dispatcher, &stopping{a: a})
			}
		}
	case *actor.Stopped:
		leaving = true
	}
	if a != nil {
		a.moves.Add(1)
		a.within.Store(true)
	}
	returned := false
	defer func() {
		if a != nil {
			a.within.Store(false)
			a.noteReturn()
		}
		if returned {
			return
		}
		v := recover()
		if v == nil {
			actor.NewRootContext(ctx.ActorSystem(), nil).Send(ctx.Parent(), &goexited{who: ctx.Self()})
			return
		}
		p, ok := v.(*task.PanicError)
		if !ok {
			p = &task.PanicError{Value: v, Stack: debug.Stack()}
		}
		if !leaving {
			panic(p)
		}
		g.logLate(a, p, env.Message)
	}()
	if execute {
		a.receive(next, ctx, env)
	} else {
		next(ctx, env)
	}
	returned = true
}

// logLate logs a panic of a task actor that was stopping.
func (g *guard) logLate(a *attempt, p *task.PanicError, message any) {
	ctx := context.Background()
	if a != nil {
		ctx = a.ctx
	}
	g.log.WarnContext(ctx, "task actor panicked while it stopped", "task", g.task,
		"message", fmt.Sprintf("%T", message), "error", p, "stack", string(p.Stack))
}

// receive hands the Execute to the actor. Its name and receiver are looked for
// in a stack dump when it hangs; see stackOf.
//
//go:noinline
func (a *attempt) receive(next actor.ReceiverFunc, ctx actor.ReceiverContext, env *actor.MessageEnvelope) {
	next(ctx, env)
}
