package fleet

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet/internal/register"
)

// Times of the agent.
const (
	fast       = 50 * time.Millisecond  // between two looks while something is under way
	slow       = 500 * time.Millisecond // and while all is well
	claimEvery = 200 * time.Millisecond // between two words that a probe is in flight
	pruneEvery = time.Second
	demandTime = 250 * time.Millisecond
	digestTime = 2 * time.Second
	lookEvery  = 50 * time.Millisecond // between two searches for breakers
)

// agent is the actor that owns what this member knows of the fleet.
type agent struct {
	f     *Fleet
	self  *actor.PID
	root  *actor.RootContext
	timer *time.Timer
	turn  uint64        // of the timer: ticks of another are late
	due   time.Duration // of the timer

	*book
}

// book is what outlives a restart of the agent. It touches nothing else.
type book struct {
	words    *register.Register
	alive    map[string]bool
	peers    map[string]*memberlist.Node
	digests  map[string]latest
	gone     map[string]gone
	number   uint64
	breakers map[string]known
	states   map[register.Key]breaker.State // that are not closed
	probes   map[register.Key]probing
	waiting  map[register.Key]bool // effects for breakers that are not found yet, or (true) busy
	looked   time.Duration
	pruned   time.Duration
	asked    time.Duration // demand was said last
	digested time.Duration
}

// latest is the last digest of a member.
type latest struct {
	Digest
	at time.Duration
}

// probing is how far this member's probes of an entry are.
type probing struct {
	successes int
	said      time.Duration
}

// Messages of the agent.
type (
	tick     struct{ turn uint64 }
	getState struct{} // asks for the bytes of all that is known
	members  struct{} // asks for the list of members
	shown    struct{} // asks for it as the page shows it
	setting  struct{ register.Settings }
)

func (tick) IgnoreDeadLetterLogging()     {}
func (getState) IgnoreDeadLetterLogging() {}
func (members) IgnoreDeadLetterLogging()  {}
func (shown) IgnoreDeadLetterLogging()    {}

func newBook(name string, incarnation int64, s register.Settings) *book {
	return &book{words: register.New(name, incarnation, s), alive: map[string]bool{name: true},
		peers: map[string]*memberlist.Node{}, digests: map[string]latest{}, gone: map[string]gone{}, breakers: map[string]known{},
		states: map[register.Key]breaker.State{}, probes: map[register.Key]probing{}, waiting: map[register.Key]bool{}}
}

// Receive implements actor.Actor.
func (a *agent) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.onStarted(c)
	case *actor.Stopping:
		a.spread("", &message{Digest: a.digest()}) // its state says that it leaves
		a.timer.Stop()
	case *actor.Restarting:
		if a.timer != nil {
			a.timer.Stop()
		}
	case *actor.Stopped:
	case *breaker.Moved:
		a.onMoved(m)
	case heard:
		a.onHeard(m.message)
	case joined:
		a.onJoined(m)
	case left:
		a.onLeft(m)
	case tick:
		if m.turn == a.turn {
			a.onTick()
		}
	case getState:
		c.Respond(a.state())
	case members:
		c.Respond(a.members())
	case shown:
		c.Respond(a.shown())
	case setting:
		a.words.Set(m.Settings)
	default:
		actors.Refuse(c, "takes the messages of package fleet")
	}
}

func (a *agent) onStarted(c actor.Context) {
	a.self, a.root = c.Self(), actor.NewRootContext(c.ActorSystem(), nil)
	for _, b := range a.f.sys.Breakers() { // those that tripped before
		for _, e := range b.Snapshot().Entries {
			if e.State == breaker.Open {
				open := breaker.Transition{Service: b.Service(), Entry: e.Entry, To: breaker.Open, Until: e.Until}
				a.onMoved(&breaker.Moved{Breaker: b, Transition: open})
			}
		}
	}
	a.arm(fast)
}

// arm sets the timer. A tick of the timer before counts no more.
func (a *agent) arm(d time.Duration) {
	a.turn++
	a.due = a.f.now() + d
	turn := tick{a.turn}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer = time.AfterFunc(d, func() { a.root.Send(a.self, turn) })
}

// onMoved takes note of a transition of a breaker here.
func (a *agent) onMoved(m *breaker.Moved) {
	k := register.Key{Service: m.Service, Entry: m.Entry}
	own := a.breakers[m.Service]
	if p := weak.Make(m.Breaker); p != own.Pointer {
		own = known{Pointer: p}
	}
	a.breakers[m.Service] = known{own.Pointer, max(own.seen, m.Seq), false}
	if m.Shadow {
		return
	}
	if m.To == breaker.Closed {
		delete(a.states, k)
	} else {
		a.states[k] = m.To
	}
	now := a.f.now()
	if !strings.HasPrefix(m.Reason, "fleet: ") {
		switch m.To {
		case breaker.Open:
			a.say(a.words.Tripped(k, openFor(m), m.From == breaker.HalfOpen, a.alive, now))
		case breaker.Closed:
			by := register.ByProbes
			if m.From != breaker.HalfOpen || m.Reason == "a reset" {
				by = register.ByOperator
			}
			a.say(a.words.Closed(k, by, now))
		case breaker.HalfOpen:
			delete(a.probes, k)
		default: // an operator holds it: it has no vote
			a.say(a.words.Closed(k, register.ByOperator, now))
		}
	}
	a.apply(k)
	for other := range a.waiting {
		if other.Service == m.Service && other != k {
			delete(a.waiting, other)
			a.apply(other)
		}
	}
	a.hurry()
}

// openFor returns how long a breaker is open from its transition on, by its own clock:
// the wall clock may have been set since the breaker was made.
func openFor(m *breaker.Moved) time.Duration {
	if m.At.IsZero() { // it was open before the agent was there
		return min(max(0, time.Until(m.Until)), m.Breaker.Settings().OpenTimeout)
	}
	return max(0, m.Until.Sub(m.At))
}

// onHeard takes in what another member has sent.
func (a *agent) onHeard(m *message) {
	a.f.net.pending.Add(-1)
	now := a.f.now()
	news := map[register.Key]bool{}
	for _, w := range m.Words {
		fresh, changed := a.words.Hear(w, a.alive[w.Member], now)
		if fresh {
			a.pass(w) // without that some would hear it late
		}
		if changed {
			news[w.Key()] = true
		}
	}
	for k := range news {
		a.apply(k)
	}
	if len(news) > 0 {
		a.hurry()
	}
	if d := m.Demand; d != nil && a.alive[d.Member] && d.Member != a.f.name {
		a.f.rates.hear(d)
	}
	if d := m.Digest; d != nil && a.alive[d.Member] && d.Member != a.f.name && d.Number > a.digests[d.Member].Number {
		a.digests[d.Member] = latest{*d, now}
		if len(a.peers) > maxStraight {
			a.spread("digest "+d.Member, &message{Digest: d})
		}
	}
}

func (a *agent) onJoined(m joined) {
	if m.name == a.f.name {
		return
	}
	if !a.alive[m.name] {
		a.f.log.Info("a member has joined the fleet", "member", m.name, "addr", m.node.Address(),
			"members", len(a.alive)+1)
	}
	a.alive[m.name], a.peers[m.name] = true, m.node
	delete(a.gone, m.name)
	a.changed()
}

func (a *agent) onLeft(m left) {
	if m.name == a.f.name || !a.alive[m.name] {
		return
	}
	a.part(m.name)
	delete(a.alive, m.name)
	delete(a.peers, m.name)
	delete(a.digests, m.name)
	a.f.log.Info("a member has left the fleet", "member", m.name, "members", len(a.alive))
	a.changed()
}

// changed does what follows from other members: votes count, or count no more.
func (a *agent) changed() {
	addrs := make(map[string]bool, len(a.peers))
	for _, p := range a.peers {
		addrs[p.Address()] = true
	}
	a.f.addrs.Store(&addrs)
	a.f.rates.living(a.alive)
	a.f.notices.living(a.peers)
	for _, k := range a.words.Keys() {
		a.apply(k)
	}
}

func (a *agent) onTick() {
	now := a.f.now()
	for _, k := range slices.Collect(maps.Keys(a.waiting)) {
		delete(a.waiting, k)
		if own := a.breakers[k.Service]; own.behind { // what was on its way has not come: it was lost in a crash
			if b := own.Value(); b != nil {
				own.seen, own.behind = b.Snapshot().Seq, false
				a.breakers[k.Service] = own
			}
		}
		a.apply(k)
	}
	agreed := a.words.Agreed(a.alive, now)
	for _, k := range agreed {
		a.claim(k, now)
	}
	if now-a.pruned >= pruneEvery {
		a.prune(now)
	}
	next := slow
	if a.f.rates.any() {
		next = demandTime
		if now-a.asked >= demandTime*9/10 {
			a.asked = now
			d := a.f.rates.tick(a.f.name, now)
			a.spread("", &message{Demand: &d})
		}
	}
	if now-a.digested >= digestTime {
		a.digested = now
		name := ""
		if len(a.peers) > maxStraight {
			name = "digest " + a.f.name
		}
		a.spread(name, &message{Digest: a.digest()})
	}
	if len(agreed) > 0 || slices.Contains(slices.Collect(maps.Values(a.waiting)), true) {
		next = fast
	}
	a.arm(next)
}

// hurry makes the next look a fast one.
func (a *agent) hurry() {
	if a.due > a.f.now()+fast {
		a.arm(fast)
	}
}

// prune drops what has lapsed, and says again what would.
func (a *agent) prune(now time.Duration) {
	a.pruned = now
	for k := range a.states { // a breaker that was forgotten, or stopped, has no vote
		if b := a.find(k.Service); b == nil || b.StateOf(k.Entry) == breaker.Closed {
			delete(a.states, k)
			a.say(a.words.Closed(k, register.ByOperator, now))
		}
	}
	for _, w := range a.words.Again(now) {
		a.say(w, true)
	}
	a.words.Prune(now)
	for service, b := range a.breakers {
		if b.Value() == nil {
			delete(a.breakers, service)
		}
	}
	for k := range a.probes {
		if a.states[k] != breaker.HalfOpen {
			delete(a.probes, k)
		}
	}
	a.forget(now)
}

// claim says that a probe of this member is in flight, or has succeeded just now.
func (a *agent) claim(k register.Key, now time.Duration) {
	if a.states[k] != breaker.HalfOpen {
		return
	}
	b, p := a.find(k.Service), a.probes[k]
	if b == nil || now-p.said < claimEvery {
		return
	}
	for _, e := range b.Snapshot().Entries {
		at := e.Probes > 0 || e.Successes > p.successes || e.Ramp > 0
		if e.Entry != k.Entry || e.State != breaker.HalfOpen || !at {
			continue
		}
		a.probes[k] = probing{e.Successes, now}
		a.say(a.words.Probing(k, a.alive, now))
	}
}

// say sends a word to all.
func (a *agent) say(w register.Word, ok bool) {
	if !ok {
		return
	}
	a.spread(rumorOf(&w), &message{Words: []register.Word{w}})
}

// pass lets a word of another go on.
func (a *agent) pass(w register.Word) {
	if b, err := (&message{Words: []register.Word{w}}).encode(); err == nil {
		a.f.net.gossip(rumorOf(&w), b)
	}
}

func rumorOf(w *register.Word) string { return w.Member + " " + w.Service + w.Entry }

// spread sends a message straight to all, or to some of a large fleet. With a name it
// goes from member to member too.
func (a *agent) spread(name string, m *message) {
	b, err := m.encode()
	if err != nil {
		a.f.log.Error("a word to the fleet is too long: it is not sent", "error", err)
		return
	}
	to := make([]*memberlist.Node, 0, len(a.peers))
	for _, p := range a.peers {
		to = append(to, p)
	}
	if len(to) > maxStraight {
		rand.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
		to = to[:maxStraight]
	}
	if len(to) > 0 {
		a.f.net.straight(to, b)
	}
	if name != "" {
		a.f.net.gossip(name, b)
	}
}

// state returns all that this member knows, as another takes it in.
func (a *agent) state() []byte {
	b, err := json.Marshal(&message{Words: a.words.Words(a.f.now())})
	if err != nil || len(b) > maxState {
		return []byte{}
	}
	return b
}
