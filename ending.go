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
	once sync.Once
	gone chan struct{} // closed when one of them has ended for good
	who  *actor.PID    // which one; set before gone is closed
}

// watchEnd watches actors until one has ended or cancel is called.
func (r *actorSystem) watchEnd(pids ...*actor.PID) *ending {
	e := &ending{r: r, pids: pids, gone: make(chan struct{})}
	e.self, _ = r.system.ProcessRegistry.Add(e, "end"+r.system.ProcessRegistry.NextId())
	for _, pid := range pids {
		r.post(pid, &actor.Watch{Watcher: e.self})
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
// and came back under its address is watched again.
func (e *ending) SendSystemMessage(_ *actor.PID, message any) {
	t, ok := message.(*actor.Terminated)
	if !ok {
		return
	}
	if _, back := e.r.system.ProcessRegistry.GetLocal(t.Who.Id); back {
		e.r.post(t.Who, &actor.Watch{Watcher: e.self})
		return
	}
	e.once.Do(func() {
		e.who = t.Who
		close(e.gone)
	})
}

// SendUserMessage does nothing: nobody knows the address.
func (e *ending) SendUserMessage(*actor.PID, any) {}

// Stop does nothing: it ends with cancel.
func (e *ending) Stop(*actor.PID) {}
