package life

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// Respawn takes an actor from one process to the next, after code that is not the
// chassis' has stopped it. No message to it is lost meanwhile.
type Respawn struct {
	restarts *Restarts
	system   *actor.ActorSystem
	self     *actor.PID
	old      *mailbox
	sub      *eventstream.Subscription

	mu        sync.Mutex // guards what follows
	successor *mailbox
	early     []any // sent between the two processes, in envelopes
}

// Respawn begins a respawn. Call it in Stopping; [Respawn.Spawn] in Stopped ends it.
func (r *Restarts) Respawn(c actor.Context) *Respawn {
	again := &Respawn{restarts: r, system: c.ActorSystem(), self: c.Self(), old: r.latest()}
	// Not with a predicate: Proto.Actor sets that on a subscription which others
	// read already, a data race.
	again.sub = again.system.EventStream.Subscribe(again.onEvent)
	return again
}

// onEvent keeps a message that found no process, or sends it on.
func (r *Respawn) onEvent(event any) {
	d, ok := event.(*actor.DeadLetterEvent)
	if !ok || d.PID == nil || d.PID.Id != r.self.Id {
		return
	}
	if _, system := d.Message.(actor.SystemMessage); system {
		return
	}
	m := &actor.MessageEnvelope{Message: d.Message, Sender: d.Sender}
	r.mu.Lock()
	successor := r.successor
	if successor == nil {
		r.early = append(r.early, m)
	}
	r.mu.Unlock()
	if successor != nil {
		successor.PostUserMessage(m)
	}
}

// Spawn spawns the actor again, under its id and the supervisor of c.
func (r *Respawn) Spawn(c actor.Context, props *actor.Props) error {
	_, err := Under(r.system, c.Parent()).SpawnAs(r.self.Id, props)
	r.system.EventStream.Unsubscribe(r.sub)
	if err != nil {
		return err
	}
	successor := r.restarts.latest()
	r.mu.Lock()
	r.successor = successor
	early := r.early
	r.early = nil
	r.mu.Unlock()
	r.old.successor.Store(successor)
	for _, m := range early {
		successor.PostUserMessage(m)
	}
	return nil
}
