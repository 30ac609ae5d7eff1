package supervision

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// Respawn is an actor on its way from one process to the next, after a stranger
// has stopped it. No message to it is lost meanwhile.
type Respawn struct {
	life   *Life
	system *actor.ActorSystem
	self   *actor.PID
	old    *mailbox
	sub    *eventstream.Subscription

	mu    sync.Mutex // guards what follows
	heir  *mailbox
	early []any // sent between the two processes, in envelopes
}

// Respawn begins a respawn. Call it in Stopping; [Respawn.Spawn] in Stopped ends it.
func (l *Life) Respawn(c actor.Context) *Respawn {
	r := &Respawn{life: l, system: c.ActorSystem(), self: c.Self(), old: l.latest()}
	// Not with a predicate: Proto.Actor sets that on a subscription which others
	// read already, a data race.
	r.sub = r.system.EventStream.Subscribe(r.onEvent)
	return r
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
	heir := r.heir
	if heir == nil {
		r.early = append(r.early, m)
	}
	r.mu.Unlock()
	if heir != nil {
		heir.PostUserMessage(m)
	}
}

// Spawn spawns the actor again, under its id and the supervisor of c.
func (r *Respawn) Spawn(c actor.Context, props *actor.Props) error {
	_, err := Under(r.system, c.Parent()).SpawnAs(r.self.Id, props)
	r.system.EventStream.Unsubscribe(r.sub)
	if err != nil {
		return err
	}
	heir := r.life.latest()
	r.mu.Lock()
	r.heir = heir
	early := r.early
	r.early = nil
	r.mu.Unlock()
	r.old.heir.Store(heir)
	for _, m := range early {
		heir.PostUserMessage(m)
	}
	return nil
}
