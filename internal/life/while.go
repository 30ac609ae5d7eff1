package life

import (
	"context"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Ended is the cause of a ctx of [Guardian.While] after the end of an actor.
type Ended struct{ PID *actor.PID }

// Error names the actor.
func (e *Ended) Error() string { return fmt.Sprintf("the actor %s has ended before", e.PID.Id) }

// While returns a ctx that ends with the first of the actors to end for good, and
// then has the cause [Ended]. The caller cancels it.
func (g *Guardian) While(ctx context.Context, pids ...*actor.PID) (context.Context, context.CancelFunc) {
	w := &watcher{system: g.cfg.System, known: map[string]actor.Process{}}
	w.ctx, w.end = context.WithCancelCause(ctx)
	w.self, _ = w.system.ProcessRegistry.Add(w, "end"+w.system.ProcessRegistry.NextId())
	for _, pid := range pids {
		process, _ := w.system.ProcessRegistry.Get(pid)
		w.mu.Lock()
		w.known[pid.Id] = process
		w.mu.Unlock()
		process.SendSystemMessage(pid, &actor.Watch{Watcher: w.self})
	}
	return w.ctx, func() { w.cancel(pids) }
}

// watcher waits for the end of one of several actors. It is a process of
// Proto.Actor, which costs no mailbox and no goroutine.
type watcher struct {
	system *actor.ActorSystem
	self   *actor.PID
	ctx    context.Context
	end    context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	known map[string]actor.Process
	gone  bool // one of them
}

func (w *watcher) cancel(pids []*actor.PID) {
	w.mu.Lock()
	gone := w.gone
	w.mu.Unlock()
	w.end(nil)
	if !gone {
		for _, pid := range pids {
			process, _ := w.system.ProcessRegistry.Get(pid)
			process.SendSystemMessage(pid, &actor.Unwatch{Watcher: w.self})
		}
	}
	w.system.ProcessRegistry.Remove(w.self)
}

// SendSystemMessage takes note of an end. An actor that was stopped by another
// and came back under its address is watched again. One that is there still
// is stopping: it takes no message any more.
func (w *watcher) SendSystemMessage(_ *actor.PID, message any) {
	t, ok := message.(*actor.Terminated)
	if !ok {
		return
	}
	process, there := w.system.ProcessRegistry.GetLocal(t.Who.Id)
	w.mu.Lock()
	back := there && process != w.known[t.Who.Id]
	if back {
		w.known[t.Who.Id] = process
	} else {
		w.gone = true
	}
	w.mu.Unlock()
	if back {
		process.SendSystemMessage(t.Who, &actor.Watch{Watcher: w.self})
		return
	}
	w.end(&Ended{t.Who})
}

// SendUserMessage does nothing: no actor knows the address.
func (w *watcher) SendUserMessage(*actor.PID, any) {}

// Stop does nothing: the watcher ends with cancel.
func (w *watcher) Stop(*actor.PID) {}
