package lifecycle

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/life"
)

// publisher hands events to the subscribers and to the EventStream. It is one value
// for all incarnations: the subscribers outlive a restart, and a stop by another actor.
type publisher struct {
	w           *Watch
	subscribers actor.PIDSet

	life  life.Restarts
	again *life.Respawn
	props *actor.Props
}

// Receive implements [actor.Actor].
func (p *publisher) Receive(c actor.Context) {
	if actors.Nil(c.Message()) {
		p.refuse(c)
		return
	}
	switch m := c.Message().(type) {
	case report:
		p.onReport(c, m.event)
	case *Subscribe:
		p.onSubscribe(c, m.To)
	case Subscribe:
		p.onSubscribe(c, m.To)
	case *Unsubscribe:
		p.onUnsubscribe(c, m.To)
	case Unsubscribe:
		p.onUnsubscribe(c, m.To)
	case *GetCounts, GetCounts:
		counts := p.w.Counts()
		if c.Sender() != nil {
			c.Respond(&counts)
		}
	case *actor.Terminated:
		p.subscribers.Remove(m.Who)
	case *actor.Started:
		p.subscribers.ForEach(func(_ int, pid *actor.PID) { c.Watch(pid) })
	case *actor.Stopping: // nothing of the chassis stops it
		p.again = p.life.Respawn(c)
	case *actor.Stopped:
		p.onStopped(c)
	default:
		p.refuse(c)
	}
}

// onStopped spawns the actor again: another actor stopped it.
func (p *publisher) onStopped(c actor.Context) {
	p.w.log.Error("another actor stopped the lifecycle actor: it begins again", "pid", c.Self().Id)
	if err := p.again.Spawn(c, p.props); err != nil {
		p.w.log.Error("the lifecycle actor cannot begin again: no event is published any more",
			"pid", c.Self().Id, "error", err)
	}
}

// refuse answers a message that the actor does not take.
func (p *publisher) refuse(c actor.Context) {
	if actors.Refuse(c, "takes Subscribe, Unsubscribe and GetCounts") {
		p.w.log.Warn("the lifecycle actor does not know this message", "type", fmt.Sprintf("%T", c.Message()))
	}
}

func (p *publisher) onReport(c actor.Context, e Event) {
	p.w.queued.Add(-1)
	p.subscribers.ForEach(func(_ int, pid *actor.PID) { c.Send(pid, e.own()) })
	defer func() {
		if r := recover(); r != nil {
			p.w.log.Error("a handler of the EventStream panicked", "error", asError(r))
		}
	}()
	c.ActorSystem().EventStream.Publish(e)
}

func (p *publisher) onSubscribe(c actor.Context, to *actor.PID) {
	if to == nil || p.subscribers.Contains(to) {
		return
	}
	p.subscribers.Add(to)
	c.Watch(to)
}

func (p *publisher) onUnsubscribe(c actor.Context, to *actor.PID) {
	if to != nil && p.subscribers.Remove(to) {
		c.Unwatch(to)
	}
}
