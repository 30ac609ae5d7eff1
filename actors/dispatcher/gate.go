package dispatcher

import (
	"errors"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Tasks that wait for a service: their attempts begin as it takes calls, and the pool
// asks for no message that could not run. The rules are in services.go.
//
//	an attempt is to begin   Look at each service that its task is behind: limited, shut
//	one does not admit all   a gate: Listen, and a tick where only time changes it
//	its state changes        as many as there is room for leave their place: lookAgain
//	it admits all            the gate goes
//
// A pool without tasks behind a service does none of this: entry.behind is nil.

// gate is a service that does not admit all calls, while tasks of the pool call it.
type gate struct {
	url     string
	service Service
	outlook Outlook
	inside  int  // attempts under way that began meanwhile
	unused  int  // probes that ended well without a call, in a row
	over    bool // the service admits all calls: the gate is about to go
	since   time.Time
	gen     int
	timer   *time.Timer
	stop    atomic.Pointer[func()] // of Listen; gone: the gate is
}

// pass is the leave of an attempt to begin although a service does not admit all calls.
type pass struct {
	gate  *gate
	reach Reach  // when it began; Refusing: to find out whether the task calls the service
	slots uint64 // of the service then
}

// reached says that a service takes calls in another way, or that it is time to look.
type reached struct {
	unlogged
	gate *gate
	gen  int // of the tick; 0: the service said so
}

// gone is in the place of a gate's stop function once the gate is.
var gone = new(func())

// shut reports whether no attempt of t may begin now, because of a service. news says that
// it would show whether t calls the service.
func (d *dispatcher) shut(t *entry, news bool, now time.Time) bool {
	return t.behind.known() && d.services != nil && d.roomOf(t, news, now) == 0
}

// roomOf returns how many attempts of t may begin now, as far as services go.
func (d *dispatcher) roomOf(t *entry, news bool, now time.Time) int {
	news = news && (d.permits.keeper == nil || t.spec.Concurrency == 0) // a claim takes its time
	room := math.MaxInt
	for _, url := range t.behind.named {
		if g := d.gateOf(url, now); g != nil {
			room = min(room, g.room(d.slots.workers))
		}
	}
	for i := range t.behind.learned {
		l := &t.behind.learned[i]
		if g := d.gateOf(l.url, now); g != nil {
			n := g.room(d.slots.workers)
			if news && g.outlook.State == Refusing && !now.Before(l.trial) && g.inside == 0 {
				n = 1
			}
			room = min(room, n)
		}
	}
	return room
}

func (g *gate) room(workers int) int { return g.outlook.room(g.inside, g.unused, workers) }

// gateOf looks at a service, and returns its gate unless it admits all calls.
func (d *dispatcher) gateOf(url string, now time.Time) *gate {
	g := d.gates[url]
	if g != nil {
		g.outlook = g.service.Look()
		if g.outlook.State != Admitting {
			return g
		}
		if !g.over { // by a message, since a pump may be under way
			g.over = true
			d.root.Send(d.self, &reached{gate: g})
		}
		return nil
	}
	s := d.services.Find(url)
	if s == nil {
		return nil
	}
	o := s.Look()
	if o.State == Admitting {
		return nil
	}
	g = &gate{url: url, service: s, outlook: o, since: now}
	d.gates[url] = g
	d.log.Warn("tasks wait for a service", "url", url, "state", o.State.String(), "after", o.After)
	d.listen(g)
	d.tickGate(g)
	d.showGates()
	return g
}

// listen has the service report its changes. That may wait for the service's guard.
func (d *dispatcher) listen(g *gate) {
	root, self := d.root, d.self
	d.crew.Run(job{f: func() {
		stop, err := g.service.Listen(func() { root.Send(self, &reached{gate: g}) })
		if err != nil {
			return // it has ended: the ticks find that out
		}
		if !g.stop.CompareAndSwap(nil, &stop) {
			stop() // the gate was faster
			return
		}
		root.Send(self, &reached{gate: g}) // what changed before
	}})
}

// endGate ends what a gate has started.
func (d *dispatcher) endGate(g *gate) {
	if g.timer != nil {
		g.timer.Stop()
	}
	if stop := g.stop.Swap(gone); stop != nil && stop != gone {
		d.crew.Run(job{f: *stop})
	}
}

// endGates ends all of them, at the end of the dispatcher.
func (d *dispatcher) endGates() {
	for _, g := range d.gates {
		d.endGate(g)
	}
	clear(d.gates)
}

// The pauses between two looks at a service that says nothing. A slot may get free, and a
// ramp goes on, without a change of state.
const (
	gateTick = time.Second
	rampTick = 100 * time.Millisecond
)

func (d *dispatcher) tickGate(g *gate) {
	wait := gateTick
	if g.outlook.State == Ramping {
		wait = rampTick
	}
	if g.outlook.After > 0 {
		wait = min(wait, g.outlook.After+time.Millisecond)
	}
	g.gen++
	g.timer = d.after(wait, &reached{gate: g, gen: g.gen})
}

func (d *dispatcher) onReached(m *reached) {
	g := m.gate
	if d.gates[g.url] != g || m.gen != 0 && m.gen != g.gen {
		return
	}
	was := g.outlook.State
	g.outlook = g.service.Look()
	g.over = false
	if g.outlook.State != was {
		g.unused = 0
	}
	if g.outlook.State == Admitting {
		d.closeGate(g)
	} else {
		if m.gen != 0 {
			d.tickGate(g)
		}
		d.letIn(time.Now())
	}
	d.pump()
}

// closeGate is called when a service admits all calls again.
func (d *dispatcher) closeGate(g *gate) {
	delete(d.gates, g.url)
	d.endGate(g)
	now := time.Now()
	d.log.Info("tasks wait for a service no longer", "url", g.url, "waited", now.Sub(g.since).Round(time.Millisecond))
	for _, t := range d.registry {
		if t.behind.known() && (slices.Contains(t.behind.named, g.url) || t.behind.find(g.url) != nil) {
			t.outage = false
		}
	}
	d.letIn(now)
	d.showGates()
}

// letIn lets as many of the tasks that wait for a service compete for workers as may
// begin now.
func (d *dispatcher) letIn(now time.Time) {
	for _, name := range d.behindNames {
		t := d.registry[name]
		if len(t.parked) == 0 || t.paused {
			continue
		}
		d.unpark(t, min(d.roomOf(t, false, now), len(t.parked)))
		if i := slices.IndexFunc(t.parked, news); i >= 0 && d.roomOf(t, true, now) > 0 {
			e := t.parked[i]
			t.parked = slices.Delete(t.parked, i, i+1)
			d.parked--
			d.ready.push(e, d.tenant(e))
		}
	}
}

// news reports whether an attempt of e would show if its task always calls the service
// that it waits for: no attempt of e has called it yet.
func news(e *execution) bool { return !e.blames }

// countBehind finds the tasks that are behind a service.
func (d *dispatcher) countBehind() {
	d.behindNames = nil
	for _, name := range slices.Sorted(maps.Keys(d.registry)) {
		if d.registry[name].behind.known() {
			d.behindNames = append(d.behindNames, name)
		}
	}
	d.showGates()
}

// servicesRoom returns how many more messages could run, as far as services go. Only
// where each task of the pool waits for one is that bounded.
func (d *dispatcher) servicesRoom() int {
	if len(d.behindNames) < len(d.registry) || len(d.registry) == 0 {
		return math.MaxInt
	}
	now, room := time.Now(), 0
	for _, name := range d.behindNames {
		n := d.roomOf(d.registry[name], true, now)
		if n == math.MaxInt {
			return n
		}
		room = max(room, n)
	}
	return room
}

// showUseful puts into the monitor how many workers could run something, where services
// have room for so many more attempts.
func (d *dispatcher) showUseful(room int) {
	if d.bounded = room < math.MaxInt; d.bounded {
		d.monitor.useful.Store(int64(min(d.slots.running+room, d.slots.workers)) + 1)
	} else {
		d.monitor.useful.Store(0)
	}
}

// passes notes the gates that e's attempt a begins at.
func (d *dispatcher) passes(e *execution, a *attempt, now time.Time) {
	if len(d.gates) == 0 {
		return
	}
	var paced []string
	take := func(url string, l *learned) {
		g := d.gates[url]
		if g == nil {
			return
		}
		a.passes = append(a.passes, pass{gate: g, reach: g.outlook.State, slots: g.outlook.Slots})
		g.inside++
		if l != nil && g.outlook.State == Refusing {
			l.tried(now)
		}
		if g.outlook.State == Ramping {
			paced = append(paced, url)
		}
	}
	for _, url := range e.entry.behind.named {
		take(url, nil)
	}
	for i := range e.entry.behind.learned {
		take(e.entry.behind.learned[i].url, &e.entry.behind.learned[i])
	}
	if paced != nil {
		a.info.Pace(paced)
	}
}

// noteServices learns from the end of an attempt which services its task calls, and gives
// its places back.
func (d *dispatcher) noteServices(e *execution, a *attempt, out outcome) {
	if d.services == nil || a.passes == nil && out.err == nil {
		return
	}
	now, t := time.Now(), e.entry
	if t.behind != nil {
		t.behind.expire(now)
	}
	for _, p := range a.passes {
		p.gate.inside--
		switch {
		case out.kind == outRefused:
			p.gate.unused = 0
		case out.kind != outDone:
		case p.reach == Refusing:
			t.behind.disprove(now)
		case p.reach == Probing && p.gate.service.Look().Slots == p.slots:
			p.gate.unused = min(p.gate.unused+1, 16)
			if t.behind.find(p.gate.url) != nil {
				t.behind.disprove(now)
			}
		}
	}
	if url := d.blamed(a, out); url != "" {
		if t.behind == nil {
			t.behind = &behind{}
		}
		t.behind.learn(url, now)
		e.blames = true
	}
	d.countBehindIf(t)
	if t.behind != nil && !t.behind.known() && !t.paused {
		t.outage = false
		d.unpark(t, len(t.parked)) // those at its limit are parked again
	}
	if len(d.gates) > 0 {
		d.letIn(now)
	}
}

// countBehindIf counts again if t has begun or ended to be behind a service.
func (d *dispatcher) countBehindIf(t *entry) {
	if t != d.unknownTask && t.behind.known() != slices.Contains(d.behindNames, t.spec.Name) {
		d.countBehind()
	}
}

// blamed returns the URL of the service that refused or failed a call of the attempt, and
// that does not admit all calls now, or "".
func (d *dispatcher) blamed(a *attempt, out outcome) string {
	var refused interface{ RefusedBy() string }
	switch {
	case out.kind == outRefused && errors.As(out.err, &refused):
		return refused.RefusedBy()
	case out.kind == outFailed:
		if o := d.failedAt(a); o.State != Admitting {
			return o.URL
		}
	}
	return ""
}

// failedAt is the outlook of the service that failed the last call of an attempt.
func (d *dispatcher) failedAt(a *attempt) Outlook {
	if url := a.info.FailedCall(); url != "" {
		if s := d.services.Find(url); s != nil {
			return s.Look()
		}
	}
	return Outlook{}
}

// spare makes e spend what the failure of an attempt costs where a call of a service ended
// it. It returns the outcome of an attempt that was failed by a service that is known to
// be down as a refusal, for it spends no more than one; any other as it is.
func (d *dispatcher) spare(e *execution, a *attempt, out outcome, now time.Time) outcome {
	if out.kind != outFailed || d.services == nil || a.abandoned {
		return out
	}
	o := d.failedAt(a)
	switch priceOf(o, e.msg.First, e.msg.When, now) {
	case costsNothing:
		out.kind, out.wait = outRefused, max(out.wait, o.After)
	case costsPresumed:
		if !d.spends(e.entry) {
			e.ledger = e.ledger.confirm()
		}
	}
	return out
}

// waitFor returns how long no attempt of t can begin, because of a service; 0: not known.
func (d *dispatcher) waitFor(t *entry) (wait time.Duration) {
	if !t.behind.known() {
		return 0
	}
	for url, g := range d.gates {
		if g.outlook.State == Refusing && (slices.Contains(t.behind.named, url) || t.behind.find(url) != nil) {
			wait = max(wait, g.outlook.After)
		}
	}
	return wait
}

// showGates puts into the monitor which service each task waits for.
func (d *dispatcher) showGates() {
	for _, t := range d.registry {
		var url *string
		if t.behind.known() {
			for _, named := range slices.Concat(t.behind.named, urls(t.behind.learned)) {
				if g := d.gates[named]; g != nil && url == nil {
					url = &g.url
				}
			}
		}
		t.meter.waitsFor.Store(url)
	}
}

func urls(all []learned) (list []string) {
	for _, l := range all {
		list = append(list, l.url)
	}
	return list
}
