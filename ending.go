package chassis

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// ending waits for the end of one of several actors. It is a process of
// Proto.Actor, which costs no mailbox and no goroutine.
type ending struct {
	r    *actorSystem
	self *actor.PID
	pids []*actor.PID
	gone chan struct{} // closed when one of them has ended for good
	who  *actor.PID    // which one; set before gone is closed

	mu    sync.Mutex // guards what follows, and the close of gone
	known map[string]actor.Process
}

// watchEnd watches actors until one has ended or cancel is called.
func (r *actorSystem) watchEnd(pids ...*actor.PID) *ending {
	e := &ending{r: r, pids: pids, gone: make(chan struct{}), known: map[string]actor.Process{}}
	e.self, _ = r.system.ProcessRegistry.Add(e, "end"+r.system.ProcessRegistry.NextId())
	for _, pid := range pids {
		process, _ := r.system.ProcessRegistry.Get(pid)
		e.mu.Lock()
		e.known[pid.Id] = process
		e.mu.Unlock()
		process.SendSystemMessage(pid, &actor.Watch{Watcher: e.self})
	}
	return e
}

// post sends a system message.
func (r *actorSystem) post(pid *actor.PID, message any) {
	process, _ := r.system.ProcessRegistry.Get(pid)
	process.SendSystemMessage(pid, message)
}

func (e *ending) cancel() {
	select {
	case <-e.gone:
	default:
		for _, pid := range e.pids {
			e.r.post(pid, &actor.Unwatch{Watcher: e.self})
		}
	}
	e.r.system.ProcessRegistry.Remove(e.self)
}

// SendSystemMessage takes word of an end. An actor that was stopped by another
// and came back under its address is watched again. One that is there still
// is stopping: it takes no message any more.
func (e *ending) SendSystemMessage(_ *actor.PID, message any) {
	t, ok := message.(*actor.Terminated)
	if !ok {
		return
	}
	process, there := e.r.system.ProcessRegistry.GetLocal(t.Who.Id)
	e.mu.Lock()
	back := there && process != e.known[t.Who.Id]
	if back {
		e.known[t.Who.Id] = process
	} else if e.who == nil {
		e.who = t.Who
		close(e.gone)
	}
	e.mu.Unlock()
	if back {
		process.SendSystemMessage(t.Who, &actor.Watch{Watcher: e.self})
	}
}

// SendUserMessage does nothing: the address is known to no actor.
func (e *ending) SendUserMessage(*actor.PID, any) {}

// Stop does nothing: it ends with cancel.
func (e *ending) Stop(*actor.PID) {}
