package logger

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
)

// drainBurst is how many chunks an output actor writes before it looks at its
// mailbox again.
const drainBurst = 64

// restart restarts an actor of the logger without limit: what it works on is
// outside it, and without an actor every caller would write.
var restart = actor.NewRestartingStrategy()

// loggerActor is the parent of the output actors; it stands for the logger
// among the actors and hands round what concerns all outputs.
type loggerActor struct {
	l        *Logger
	gone     chan struct{}
	children []*actor.PID
	records  *actor.PID

	life  *life.Restarts
	again *life.Respawn // nil unless another actor stops this one
	props *actor.Props
}

// Receive implements [actor.Actor].
func (a *loggerActor) Receive(ctx actor.Context) {
	if actors.Nil(ctx.Message()) {
		actors.Refuse(ctx, hint)
		return
	}
	switch ctx.Message().(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case *Reopen, Reopen:
		a.onReopen(ctx)
	case *Describe, Describe:
		ctx.Respond(a.l.Stats())
	case *Write, Write, *mark:
		ctx.Forward(a.records)
	case *actor.Stopping:
		if !a.l.over.Load() {
			a.again = a.life.Respawn(ctx)
		}
	case *actor.Stopped:
		a.onStopped(ctx)
	default:
		actors.Refuse(ctx, hint)
	}
}

// hint names what the actor takes, for the sender of something else.
const hint = "takes Write, Describe and Reopen"

// onStopped spawns the actor again if another actor stopped it. What is in the rings
// is outside of it.
func (a *loggerActor) onStopped(ctx actor.Context) {
	if a.again != nil && a.again.Spawn(ctx, a.props) == nil {
		log := slog.New(a.l.unawaited("actors/logger"))
		log.Error("another actor stopped the logger: it begins again", "pid", ctx.Self().Id)
		return
	}
	a.l.goDirect(a.gone)
}

func (a *loggerActor) onReopen(ctx actor.Context) {
	a.l.outdate()
	for _, pid := range a.children {
		ctx.Send(pid, &Reopen{})
	}
}

func (a *loggerActor) onStarted(ctx actor.Context) {
	a.records = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return &recordActor{l: a.l} }))
	for _, o := range a.l.outputs {
		props := actor.PropsFromProducer(func() actor.Actor { return &outputActor{o: o} }, a.l.props...)
		a.children = append(a.children, ctx.Spawn(props))
	}
}

// recordActor logs the records that come as messages. It runs what callers
// give, LogValuers and hooks, so nothing else waits for its mailbox.
type recordActor struct{ l *Logger }

// Receive implements [actor.Actor].
func (a *recordActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Write:
		a.onWrite(ctx, m)
	case Write:
		a.onWrite(ctx, &m)
	case *mark:
		close(m.done)
	}
}

func (a *recordActor) onWrite(c actor.Context, m *Write) {
	ctx, r := m.Ctx, m.Record
	if ctx == nil {
		ctx = context.Background()
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	h := a.l.unawaited(m.Logger)
	if h.Enabled(ctx, r.Level) {
		_ = h.Handle(ctx, r) // of hooks: counted
	}
	if c.Sender() != nil {
		c.Respond(&Written{})
	}
}

// outputActor writes to one output. It may block in a write: no other actor waits for
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
		a.o.to.Store(&address{root: actor.NewRootContext(ctx.ActorSystem(), nil), pid: ctx.Self()})
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
		self, root, again := ctx.Self(), a.o.to.Load().root, &retry{tick: a.tick}
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
