package logger

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// drainBurst is how many chunks an output actor writes before it looks at its
// mailbox again.
const drainBurst = 64

// restart never gives an actor of the logger up: what it works on is outside
// it, and a logger that is gone would make every caller write.
var restart = actor.NewRestartingStrategy()

// loggerActor is the parent of the output actors; it stands for the logger
// among the actors and hands round what concerns all outputs.
type loggerActor struct {
	l        *Logger
	gone     chan struct{}
	children []*actor.PID
}

// Receive implements [actor.Actor].
func (a *loggerActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *Reopen:
		a.l.outdate()
		for _, pid := range a.children {
			ctx.Send(pid, m)
		}
	case *Describe:
		ctx.Respond(a.l.Stats())
	case *actor.Stopped:
		a.l.goDirect(a.gone)
	}
}

func (a *loggerActor) onStarted(ctx actor.Context) {
	for _, o := range a.l.outputs {
		props := actor.PropsFromProducer(func() actor.Actor { return &outputActor{o: o} }, a.l.props...)
		a.children = append(a.children, ctx.Spawn(props))
	}
}

// outputActor writes to one output. It may block in a write: nobody waits for
// its mailbox.
type outputActor struct {
	o     *output
	timer *time.Timer
	tick  int // of the timer that counts
}

// Receive implements [actor.Actor].
func (a *outputActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		// Also after a restart: the message that woke it may be lost.
		a.o.to.Store(&address{system: ctx.ActorSystem(), pid: ctx.Self()})
		a.drain(ctx)
	case *wake:
		a.drain(ctx)
	case *retry:
		if m.tick == a.tick {
			a.drain(ctx)
		}
	case *Reopen:
		a.onReopen(ctx)
	case *actor.Restarting, *actor.Stopping:
		a.stopTimer()
	}
}

func (a *outputActor) drain(ctx actor.Context) {
	a.stopTimer()
	a.o.writing.Lock()
	wait, more := a.o.drain(drainBurst)
	switch {
	case wait > 0:
		self, root, again := ctx.Self(), ctx.ActorSystem().Root, &retry{tick: a.tick}
		a.timer = time.AfterFunc(wait, func() { root.Send(self, again) })
	case more:
		ctx.Send(ctx.Self(), wakeUp)
	}
}

func (a *outputActor) onReopen(ctx actor.Context) {
	a.o.renew()
	a.drain(ctx)
}

func (a *outputActor) stopTimer() {
	a.tick++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}
