package lifecycle

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
)

// publisher hands events to the subscribers and to the EventStream.
type publisher struct {
	w           *Watch
	subscribers actor.PIDSet
}

// Receive implements [actor.Actor].
func (p *publisher) Receive(c actor.Context) {
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
		c.Respond(&counts)
	case *actor.Terminated:
		p.subscribers.Remove(m.Who)
	default:
		if actors.Refuse(c, "takes Subscribe, Unsubscribe and GetCounts") {
			p.w.log.Warn("the lifecycle actor does not know this message", "type", fmt.Sprintf("%T", c.Message()))
		}
	}
}

func (p *publisher) onReport(c actor.Context, e Event) {
	p.w.queued.Add(-1)
	p.subscribers.ForEach(func(_ int, pid *actor.PID) { c.Send(pid, e) })
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
