package breaker

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// owned is what the actor owns and what must outlive its restarts. Only the
// actor touches it, save where a field says otherwise.
type owned struct {
	log      []record                  // elements are never changed once appended
	ending   sync.WaitGroup            // the actor itself, and the goroutines of listeners and calls
	watched  atomic.Pointer[hangWatch] // callers push, newest first
	sweeping atomic.Bool               // a sweep of the watches is due
	restarts atomic.Int32              // read by all
	pinned   atomic.Bool               // the PID was given away: the actor stays; set by all
	waking   sync.Mutex                // held while a stopped or sleeping actor is replaced or stopped
	rest     *rest
}

// rest is what most breakers never need.
type rest struct {
	listeners []*listener
	watchers  []*actor.PID
	watches   []*hangWatch // taken from watched
	health    HealthCheck
	calls     context.Context // of the calls that messages asked for; nil before the first
	cancel    context.CancelFunc
	tracing   *tracing // nil: calls are no spans; never changed after Spawn
	announced uint64   // Seq of the last transition that was sent to FleetAgent
}

func (o *owned) more() *rest {
	if o.rest == nil {
		o.rest = &rest{}
	}
	return o.rest
}

// record is a transition as it is kept: without what all have in common.
type record struct {
	change
	at int64
}

// state is one incarnation of the actor: a restart makes a new one.
type state struct {
	b       *Breaker
	mailbox *mailbox
	ctx     actor.Context
	dues    dueHeap
	timer   *time.Timer
	armed   int64 // when timer fires, 0 if it does not

	prober       *actor.PID // makes health calls while open
	cancelProber context.CancelFunc
}

// tick says that the time of the earliest due has come. A tick too many is harmless.
type tick struct{}

// guardian restarts a breaker that panicked, as often as it takes. A strategy
// has an actor of the library's own for each value, hence one for all.
var guardian = actor.NewRestartingStrategy()

// spawn makes the actor, as a root actor or, if parent is not nil, as its child:
// then every stop is the parent's to order.
func (b *Breaker) spawn(parent actor.Context, name string) (err error) {
	m := newMailbox()
	b.own.ending.Add(1)
	props := actor.PropsFromProducer(func() actor.Actor { return &state{b: b, mailbox: m} },
		actor.WithMailbox(func() actor.Mailbox { return m }))
	var pid *actor.PID
	if parent != nil {
		pid, err = parent.SpawnNamed(props, name)
	} else {
		m.Stays = func() bool { return !b.stopping.Load() && b.view.Load().kind != viewAsleep }
		pid, err = actor.NewRootContext(b.system, nil).SpawnNamed(props.Configure(actor.WithGuardian(guardian)), name)
	}
	if err != nil {
		b.own.ending.Done()
		return err
	}
	if b.pid == nil { // one that wakes has the address that it had
		b.pid = pid
	}
	return nil
}

// Receive implements actor.Actor.
func (s *state) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *ask:
		m.do(s, m)
		m.mailbox.open = nil
		m.answer()
	case tick:
		s.onTick()
	case *probed:
		s.onProbed(m)
	case *actor.Started:
		s.onStarted(c)
	case *actor.Restarting:
		s.disarm()
		s.relieve()
		s.b.own.restarts.Add(1)
	case *actor.Stopping:
		s.disarm()
		s.relieve()
	case *actor.Stopped:
		s.onStopped()
	default:
		s.onMessage(c, m)
	}
}

// onStarted goes on from the state that was published last: every change is
// published whole or not at all, so nothing but the failing message is lost.
func (s *state) onStarted(c actor.Context) {
	s.ctx = c
	// Published by the actor itself, and before anything can stop it: who spawned
	// it may come late, when it is stopped and replaced already.
	s.b.mailbox.Store(s.mailbox)
	v := s.b.view.Load()
	if v.kind == viewAsleep && s.b.view.CompareAndSwap(v, v.dormant.awake) {
		v = v.dormant.awake
	}
	e := begin(&v.tree, s.b.clock.look(), 0)
	v.root.walk(func(n *node) {
		if d := n.due(); d != 0 {
			e.dues = append(e.dues, due{d, n.path})
		}
		if n.overEnd != 0 {
			e.dues = append(e.dues, due{n.overEnd, n.path})
		}
		if n.path != "" && n.state == Closed {
			e.dues = append(e.dues, due{e.lapse(n), n.path})
		}
	})
	s.dues = append(slices.Clone(e.dues), s.addressDues()...)
	heap.Init(&s.dues)
	s.arm(e.now)
	e.free()
	s.tend(v)
}

// onStopped publishes the end, unless the breaker only sleeps.
func (s *state) onStopped() {
	b := s.b
	s.mailbox.Close() // what still waits is answered, not kept
	if v := b.view.Load(); v.kind == viewAsleep {
		b.own.ending.Done()
		close(v.dormant.ending)
		return
	}
	if cancel := b.own.more().cancel; cancel != nil {
		cancel()
	}
	b.publishStopped()
	b.own.ending.Done()
}

func (b *Breaker) publishStopped() {
	v := *b.view.Load()
	v.kind, v.gate, v.refusal, v.dormant = viewStopped, viewStopped, nil, nil
	v.limited, v.simple = false, false // a stopped breaker admits no call by another way
	b.traced(&v)
	b.view.Store(&v)
	if b.limit != nil {
		b.limit.stop()
	}
}

func (s *state) begin() *edit {
	return begin(&s.b.view.Load().tree, s.b.clock.look(), s.b.draw())
}

// commit publishes an edit and does what follows from it.
func (s *state) commit(e *edit) {
	defer e.free()
	b := s.b
	v := e.tree.view()
	b.traced(v)
	for _, c := range e.changes {
		b.own.log = append(b.own.log, record{c, e.now})
	}
	if size := v.set.LogSize; len(b.own.log) > size+size/4+1 {
		b.own.log = append(make([]record, 0, size+size/4+2), b.own.log[len(b.own.log)-size:]...)
	}
	b.view.Store(v)
	for _, d := range e.dues {
		heap.Push(&s.dues, d)
	}
	if len(e.dues) > 0 {
		s.arm(e.now)
	}
	if len(e.changes) > 0 {
		s.tend(v)
		s.announce(e.changes, e.now)
	}
}

func (s *state) onTick() {
	s.armed = 0
	e := s.begin()
	if !s.b.own.sweeping.Load() && (len(s.dues) == 0 || s.dues[0].at > e.now) { // a look at the clock
		s.arm(e.now)
		e.free()
		return
	}
	for len(s.dues) > 0 && s.dues[0].at <= e.now {
		if d := heap.Pop(&s.dues).(due); isAddress(d.path) {
			s.onAddressDue(e, d.path)
		} else {
			e.expire(d.path)
		}
	}
	s.sweep(e)
	now := e.now
	s.commit(e)
	s.arm(now)
}

// arm sets the timer to the earliest due, unless it is set to it already.
func (s *state) arm(now int64) {
	if len(s.dues) == 0 {
		return
	}
	at := s.dues[0].at
	if s.armed != 0 && s.armed <= at {
		return
	}
	s.armed = at
	wait := untilLook(time.Duration(max(0, at-now)))
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.fire)
		return
	}
	s.timer.Reset(wait)
}

func (s *state) fire() { s.b.mailbox.Load().PostUserMessage(tick{}) }

func (s *state) disarm() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// dueHeap is a heap by time.
type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (s *state) String() string { return fmt.Sprintf("breaker of %s", s.b.service) }
