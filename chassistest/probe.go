package chassistest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Probe stands for an actor in a test: it has an address, keeps what is sent
// there, and answers when the test says so. It works in simulated time and in
// real time, and ends with the test.
//
//	stock := chassistest.NewProbe(t, sys.Actors())
//	shop := sys.Actors().Root.Spawn(newShop(stock.PID()))
//	sys.Actors().Root.Send(shop, &Order{SKU: 7})
//	chassistest.Expect[*Reserve](stock)
//	stock.Reply(&Reserved{})
//	stock.ExpectNone(time.Minute)
//
// Its methods are for the test's own goroutine.
type Probe struct {
	t      testing.TB
	system *actor.ActorSystem
	pid    *actor.PID
	limit  time.Duration
	sender *actor.PID // of the last message that was expected

	mu       sync.Mutex
	inbox    []received
	watchers []*actor.PID
	came     chan struct{} // has room for one
}

type received struct {
	message any
	sender  *actor.PID
}

// ProbeLimit is how long [Expect] waits for a message.
const ProbeLimit = 10 * time.Second

// NewProbe makes a probe in an actor system.
func NewProbe(t testing.TB, system *actor.ActorSystem) *Probe {
	t.Helper()
	p := &Probe{t: t, system: system, limit: ProbeLimit, came: make(chan struct{}, 1)}
	p.pid, _ = system.ProcessRegistry.Add(p, "probe"+system.ProcessRegistry.NextId())
	t.Cleanup(p.end)
	return p
}

// PID returns the probe's address.
func (p *Probe) PID() *actor.PID { return p.pid }

// Send sends a message with the probe as its sender, so that the answer comes
// to the probe.
func (p *Probe) Send(to *actor.PID, message any) {
	p.system.Root.RequestWithCustomSender(to, message, p.pid)
}

// Watch has the probe get an *actor.Terminated when an actor ends.
func (p *Probe) Watch(who *actor.PID) {
	process, _ := p.system.ProcessRegistry.Get(who)
	process.SendSystemMessage(who, &actor.Watch{Watcher: p.pid})
}

// Expect returns the next message, which must be a T. It ends the test when
// another comes first, or none within [ProbeLimit].
func Expect[T any](p *Probe) T {
	p.t.Helper()
	r, ok := p.next(p.limit)
	if !ok {
		var none T
		p.t.Fatalf("chassistest: the probe got no %T within %v", none, p.limit)
		return none
	}
	m, ok := r.message.(T)
	if !ok {
		p.t.Fatalf("chassistest: the probe got a %T, want a %T: %+v", r.message, m, r.message)
	}
	p.sender = r.sender
	return m
}

// ExpectNone fails the test when a message comes within d.
func (p *Probe) ExpectNone(d time.Duration) {
	p.t.Helper()
	if r, ok := p.next(d); ok {
		p.t.Errorf("chassistest: the probe got a %T, want none: %+v", r.message, r.message)
	}
}

// Sender returns who sent the last message that was expected, or nil.
func (p *Probe) Sender() *actor.PID { return p.sender }

// Reply answers the last message that was expected.
func (p *Probe) Reply(message any) {
	p.t.Helper()
	if p.sender == nil {
		p.t.Fatal("chassistest: Reply: the last message that was expected had no sender")
	}
	p.Send(p.sender, message)
}

// next takes the oldest message, waiting for it for at most limit.
func (p *Probe) next(limit time.Duration) (received, bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if len(p.inbox) > 0 {
			r := p.inbox[0]
			p.inbox = p.inbox[1:]
			p.mu.Unlock()
			return r, true
		}
		p.mu.Unlock()
		select {
		case <-p.came:
		case <-timer.C:
			return received{}, false
		}
	}
}

func (p *Probe) put(r received) {
	p.mu.Lock()
	p.inbox = append(p.inbox, r)
	p.mu.Unlock()
	select {
	case p.came <- struct{}{}:
	default:
	}
}

// SendUserMessage implements Proto.Actor's Process.
func (p *Probe) SendUserMessage(_ *actor.PID, message any) {
	_, m, sender := actor.UnwrapEnvelope(message)
	p.put(received{m, sender})
}

// SendSystemMessage implements Proto.Actor's Process: ends of actors are
// messages to the probe, and others may watch it.
func (p *Probe) SendSystemMessage(_ *actor.PID, message any) {
	switch m := message.(type) {
	case *actor.Terminated:
		p.put(received{message: m})
	case *actor.Watch:
		p.mu.Lock()
		p.watchers = append(p.watchers, m.Watcher)
		p.mu.Unlock()
	}
}

// Stop implements Proto.Actor's Process: the probe ends, for those who watch
// it. What it has got can still be expected.
func (p *Probe) Stop(*actor.PID) { p.end() }

func (p *Probe) end() {
	p.system.ProcessRegistry.Remove(p.pid)
	p.mu.Lock()
	watchers := p.watchers
	p.watchers = nil
	p.mu.Unlock()
	for _, w := range watchers {
		process, _ := p.system.ProcessRegistry.Get(w)
		process.SendSystemMessage(w, &actor.Terminated{Who: p.pid})
	}
}

// String names the probe.
func (p *Probe) String() string { return fmt.Sprintf("probe %s", p.pid.Id) }
