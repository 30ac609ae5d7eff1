package chassistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// Register registers a task actor, as chassis.System.Register does. Its attempts stand at
// the gate of the storm as those of functions do: when the actor gets its Execute, and when
// the Execute is answered. The ctx of the Execute is that of its effects. What the actor
// and others say to one another is no step: their order must not decide what they do.
func (p *Process) Register(name string, props *actor.Props, policies ...task.Policy) {
	if props != nil {
		props = props.Clone(actor.WithReceiverMiddleware(p.attends))
	}
	p.System.Register(name, props, policies...)
}

// attended is the attempt of a task actor. It is kept with the context of the actor, which
// has one attempt.
type attended struct {
	*run
	answer *actor.PID // where the dispatcher waits for it
	sender *actor.PID // where the actor answers
	ended  atomic.Bool
}

var attendedID = ctxext.NextContextExtensionID()

// ExtensionID implements ctxext.ContextExtension.
func (*attended) ExtensionID() ctxext.ContextExtensionID { return attendedID }

// attends is the middleware of task actors.
func (p *Process) attends(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		a, _ := c.Get(attendedID).(*attended)
		switch m := envelope.Message.(type) {
		case *dispatcher.Execute:
			if a, envelope = p.attend(c, envelope, m); a == nil {
				return
			}
		case *actor.Stopping:
			if a != nil {
				defer a.ends(dispatcher.ErrNoAnswer)
			}
		}
		if a != nil {
			defer func() {
				if v := recover(); v != nil {
					a.ends(&task.PanicError{Value: v})
					panic(v)
				}
			}()
		}
		next(c, envelope)
	}
}

// attend takes an attempt through the gate. The Execute that it returns has the ctx and the
// sender of the storm. It returns nil if the attempt does not begin.
func (p *Process) attend(c actor.ReceiverContext, envelope *actor.MessageEnvelope,
	m *dispatcher.Execute) (*attended, *actor.MessageEnvelope) {
	a := &attended{run: &run{p: p, info: m.Info}, answer: envelope.Sender}
	a.ctx, a.cancel = context.WithCancelCause(context.WithValue(m.Ctx, runKey{}, a.run))
	if o, err := p.world.gate.wait(m.Ctx, &arrival{p: p, step: OnStart, run: a.run}); o == dead || err != nil {
		a.cancel(errGone)
		return nil, nil
	}
	c.Set(a)
	registry := c.ActorSystem().ProcessRegistry
	a.sender, _ = registry.Add(attendant{a, registry}, c.Self().Id+"/gate")
	execute := *m
	execute.Ctx = a.ctx
	return a, &actor.MessageEnvelope{Header: envelope.Header, Message: &execute, Sender: a.sender}
}

// ends takes the end of the attempt through the gate, once. It reports whether the answer
// is heard.
func (a *attended) ends(err error) bool {
	if !a.ended.CompareAndSwap(false, true) {
		return true
	}
	a.err, a.cut = err, a.ctx.Err() != nil
	o, _ := a.p.world.gate.wait(context.WithoutCancel(a.ctx), &arrival{p: a.p, step: OnEnd, run: a.run})
	a.cancel(nil)
	return o == pass
}

// errFailed is a failure without an error.
var errFailed = errors.New("the task actor answered Failed")

// attendant is the process that an Execute is answered to.
type attendant struct {
	a        *attended
	registry *actor.ProcessRegistryValue
}

// SendUserMessage implements actor.Process. It waits at the gate, on the goroutine of the one that
// answers.
func (s attendant) SendUserMessage(_ *actor.PID, message any) {
	var err error
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case dispatcher.Done, *dispatcher.Done:
	case dispatcher.Failed:
		err = cmp.Or(m.Err, errFailed)
	case *dispatcher.Failed:
		err = cmp.Or(m.Err, errFailed)
	case error:
		err = m
	default:
		err = fmt.Errorf("the task actor answered with a %T", m)
	}
	if !s.a.ends(err) {
		return
	}
	s.registry.Remove(s.a.sender)
	if to, ok := s.registry.Get(s.a.answer); ok {
		to.SendUserMessage(s.a.answer, message)
	}
}

// SendSystemMessage implements actor.Process.
func (attendant) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (attendant) Stop(*actor.PID) {}
