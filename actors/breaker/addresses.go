package breaker

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// addresses are those of a service that its clients with [EjectOutliers] use. All clients
// of a breaker share what is known of an address.
type addresses struct {
	changes atomic.Uint64 // of states of addresses
	probing atomic.Int32  // addresses that are HalfOpen

	mu        sync.Mutex // guards what follows
	by        map[netip.AddrPort]*address
	balancers []*balancer
}

// address is one of a service. Its outlier is the actor's; the rest is counted by callers.
type address struct {
	at    netip.AddrPort
	entry string // "@" and at
	set   *OutlierPolicy
	o     outlier // the actor's own; published by state, until and since

	state    atomic.Uint32 // a State
	until    atomic.Int64  // ns
	since    atomic.Int64  // ns
	times    atomic.Int32
	inFlight atomic.Int32
	probe    atomic.Int64 // when the probe under way began, ns; 0: none
	downs    atomic.Int32 // connections in a row that could not be made
	down     atomic.Int64 // until when it is the last choice because of these, ns

	mu     sync.Mutex // guards what follows
	seen   int64      // when a lookup named it last, ns
	row    int        // failures in a row
	known  bool       // it has a result
	window [2]windowCount
}

// windowCount counts the calls of one half of the window.
type windowCount struct {
	epoch      int64
	calls, bad int
}

const (
	addressWindow = 10 * time.Second
	addressKept   = time.Minute // after the last lookup that named it: some answers name a few of many
	mostAddresses = 100         // that one client uses of a name
	mostKept      = 4 * mostAddresses
	mostBalancers = 8 // that clients of the same base share
)

// addressed returns the addresses of b's service.
func (b *Breaker) addressed() *addresses {
	at := &b.counted().addresses
	for {
		if a := at.Load(); a != nil {
			return a
		}
		at.CompareAndSwap(nil, &addresses{by: map[netip.AddrPort]*address{}})
	}
}

// knownAddresses returns the addresses of b's service, or nil if no client spreads its requests.
func (b *Breaker) knownAddresses() *addresses {
	if c := b.httpCalls.Load(); c != nil {
		return c.addresses.Load()
	}
	return nil
}

// all returns the addresses in order.
func (a *addresses) all() []*address {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	list := make([]*address, 0, len(a.by))
	for _, one := range a.by {
		list = append(list, one)
	}
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y *address) int { return x.at.Compare(y.at) })
	return list
}

// named notes that a lookup has named addresses at now, and returns them and those that
// no lookup has named for long, which it forgets.
func (a *addresses) named(at []netip.AddrPort, set *OutlierPolicy, now int64) (have, gone []*address) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ap := range at {
		one := a.by[ap]
		if one == nil {
			one = &address{at: ap, entry: "@" + ap.String(), set: set}
			a.by[ap] = one
		}
		one.mu.Lock()
		one.seen = now
		one.mu.Unlock()
		have = append(have, one)
	}
	for ap, one := range a.by {
		one.mu.Lock()
		age := now - one.seen
		one.mu.Unlock()
		if age > int64(addressKept) || age > 0 && len(a.by) > mostKept {
			delete(a.by, ap)
			gone = append(gone, one)
		}
	}
	return have, gone
}

// is returns the published state.
func (a *address) is() State { return State(a.state.Load()) }

// count adds a result at now. It reports whether the actor may have to decide about the address.
func (a *address) count(v Verdict, now int64) (odd bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	epoch := now / int64(addressWindow/2)
	w := &a.window[epoch&1]
	if w.epoch != epoch {
		*w = windowCount{epoch: epoch}
	}
	w.calls++
	a.known = true
	if v != Failure {
		a.row = 0
		return false
	}
	w.bad++
	a.row++
	calls, bad := a.counts(now)
	return a.row >= a.set.Failures || calls >= outlierCalls && float64(bad) >= outlierShare*float64(calls)
}

// counts returns the calls and failures within the window. Under the mutex.
func (a *address) counts(now int64) (calls, bad int) {
	epoch := now / int64(addressWindow/2)
	for _, w := range a.window {
		if w.calls > 0 && epoch-w.epoch <= 1 {
			calls, bad = calls+w.calls, bad+w.bad
		}
	}
	return calls, bad
}

// takeProbe takes the one slot of a HalfOpen address for a request, and returns its mark. A
// probe that has not ended for hold has lost it.
func (a *address) takeProbe(now int64, hold time.Duration) (mark int64, ok bool) {
	had := a.probe.Load()
	if had != 0 && now-had < int64(hold) {
		return 0, false
	}
	now = max(now, had+1, 1)
	return now, a.probe.CompareAndSwap(had, now)
}

// result registers how a request to an address ended, with the mark of its probe or 0.
func (b *Breaker) result(a *address, v Verdict, mark int64) {
	probe := mark != 0 && a.probe.Load() == mark
	if v == Neutral || v > Neutral {
		if probe {
			a.probe.CompareAndSwap(mark, 0)
		}
		return
	}
	odd := a.count(v, b.now())
	if !probe && (!odd || a.is() != Closed) {
		return
	}
	kind := evSuccess
	if v == Failure {
		kind = evFailure
	}
	_ = b.order(func(s *state) error {
		e := s.begin()
		if s.stepAddress(e, a, kind); len(e.changes) == 0 {
			e.free()
			return nil
		}
		s.commit(e)
		return nil
	})
	if probe {
		a.probe.CompareAndSwap(mark, 0)
	}
}

// stepAddress moves an address on. The caller commits e.
func (s *state) stepAddress(e *edit, a *address, kind eventKind) {
	book := s.b.addressed()
	ev := outlierEvent{kind: kind, now: e.now, rnd: e.rnd}
	if kind == evFailure && a.o.state == Closed {
		ev.peers = book.peersOf(a, e.now)
	}
	var reason string
	before := a.o
	a.o, reason = a.o.step(a.set, ev)
	s.published(e, book, a, before.state, reason)
}

// published notes a change of an address, for callers and in the log.
func (s *state) published(e *edit, book *addresses, a *address, before State, reason string) {
	if a.o.state == before {
		return
	}
	a.mu.Lock()
	a.row, a.window = 0, [2]windowCount{} // what was before says nothing of the new state
	a.mu.Unlock()
	a.until.Store(a.o.until)
	a.since.Store(a.o.since)
	a.times.Store(int32(a.o.times))
	a.probe.Store(0)
	a.state.Store(uint32(a.o.state))
	switch HalfOpen {
	case before:
		book.probing.Add(-1)
	case a.o.state:
		book.probing.Add(1)
	}
	book.changes.Add(1)
	e.seq++
	c := change{seq: e.seq, path: a.entry, from: before, to: a.o.state, reason: reason}
	if a.o.state == Open {
		c.until = a.o.until
		e.dues = append(e.dues, due{a.o.until, a.entry})
	}
	e.changes = append(e.changes, c)
}

// peersOf returns what is known of an address and of the others that are in use.
func (a *addresses) peersOf(of *address, now int64) (p peers) {
	for _, one := range a.all() {
		one.mu.Lock()
		row, known, seen := one.row, one.known, one.seen
		calls, bad := one.counts(now)
		one.mu.Unlock()
		if one == of {
			p.row, p.calls, p.bad = row, calls, bad
		}
		if now-seen > int64(2*one.set.Refresh)+int64(lookupTime) {
			continue // no lookup has named it of late
		}
		p.known++
		switch state := one.is(); {
		case one == of:
		case state != Closed:
			p.out++
		default:
			p.oCalls, p.oBad = p.oCalls+calls, p.oBad+bad
			switch {
			case !known:
			case row == 0:
				p.good++
			default:
				p.sick++
			}
		}
	}
	return p
}

// isAddress reports whether the path of an entry is an address of [EjectOutliers].
func isAddress(entry string) bool { return strings.HasPrefix(entry, "@") }

// find returns the address of an entry, or nil.
func (a *addresses) find(entry string) *address {
	for _, one := range a.all() {
		if one.entry == entry {
			return one
		}
	}
	return nil
}

// onAddressDue does what is due for an address.
func (s *state) onAddressDue(e *edit, entry string) {
	if a := s.b.knownAddresses().find(entry); a != nil {
		s.stepAddress(e, a, evTime)
	}
}

// addressDues returns the dues of the addresses that are left out.
func (s *state) addressDues() (all []due) {
	for _, a := range s.b.knownAddresses().all() {
		if a.o.state == Open {
			all = append(all, due{a.o.until, a.entry})
		}
	}
	return all
}

// leftOut reports whether an address waits for the end of its time.
func (a *addresses) leftOut() bool {
	return slices.ContainsFunc(a.all(), func(one *address) bool { return one.is() == Open })
}

// resetAddresses brings an address back, or with "" all.
func (s *state) resetAddresses(e *edit, entry string) {
	for _, a := range s.b.knownAddresses().all() {
		if entry == "" || a.entry == entry {
			s.stepAddress(e, a, evReset)
		}
	}
}

// forget ends the entries of addresses that the name has no more.
func (b *Breaker) forget(gone []*address) {
	gone = slices.DeleteFunc(gone, func(a *address) bool { return a.is() == Closed })
	if len(gone) == 0 {
		return
	}
	_ = b.order(func(s *state) error {
		e := s.begin()
		for _, a := range gone {
			before := a.o.state
			a.o = outlier{since: e.now}
			s.published(e, b.addressed(), a, before, "the name has this address no more")
		}
		if len(e.changes) == 0 {
			e.free()
			return nil
		}
		s.commit(e)
		return nil
	})
}
