package breaker

import (
	"fmt"
	"log/slog"
	"slices"
)

// A breaker without calls can sleep: its actor ends, and its handle keeps the
// state. Then only callers hold the handle, so the garbage collector takes a
// breaker that no caller holds, and a [Group] forgets it. Whatever needs the actor
// wakes it, under the same address, with the state that it had.
//
// A healthy call writes nothing, so a mark finds out whether there are calls: it
// replaces the published view by one that says viewMarked, and the first call
// after that puts the old view back. If the mark is still there after a time, there
// was no call in that time.
//
//	awake ── mark ──► marked ── sleep ──► asleep
//	  ▲                 │ a call            │ a call, an order, PID
//	  └─────────────────┴───────────────────┘

// dormant is what a view of a marked or sleeping breaker knows in addition.
type dormant struct {
	awake  *view         // takes the place of the view with the next call
	since  int64         // when it was marked, on the breaker's clock
	ending chan struct{} // asleep: closed once the actor has ended; nil for a marked one
}

// idle returns since when the breaker is marked, or marks it if it is not.
// healthy is false for one that knows more than a new one, or may not sleep.
func (b *Breaker) idle() (since int64, healthy bool) {
	v, now := b.view.Load(), b.now()
	healthy = v.healthy(now)
	switch {
	case !healthy && !v.passes():
		return now, false
	case v.kind == viewMarked:
		return v.dormant.since, healthy
	case v.kind == viewAsleep || v.kind == viewStopped:
		return now, false
	}
	marked := &view{tree: v.tree, kind: viewMarked, gate: viewMarked, dormant: &dormant{awake: v, since: now}}
	return now, b.view.CompareAndSwap(v, marked) && healthy
}

// healthy reports whether a new breaker would know as much: every entry is closed,
// no operator holds one, and the last failure was counted more than forget_after ago.
func (v *view) healthy(now int64) bool {
	r := v.root
	return v.entries == 0 && v.forced == 0 && r.over == Closed &&
		r.state == Closed && r.hung == 0 && len(r.probes) == 0 &&
		(r.failures() == 0 || now-r.counted() > int64(v.set.ForgetAfter))
}

// passes reports whether no entry is open or held by an operator, and no call is
// under way that an entry waits for. Some entries may be half-open, or count failures.
func (v *view) passes() bool {
	ok := v.forced == 0
	v.root.walk(func(n *node) {
		ok = ok && n.over == Closed && n.state != Open && n.hung == 0 && len(n.probes) == 0
	})
	return ok
}

// sleep ends the actor of a breaker that is still marked, and waits for its end.
// It reports whether the breaker sleeps. One with a listener or a subscriber, with
// a crash in its past, or with its PID given away stays awake.
func (b *Breaker) sleep() bool {
	asleep, err := query(b, func(s *state) (*view, error) { return s.sleep(), nil })
	if err != nil || asleep == nil {
		return false
	}
	<-asleep.dormant.ending
	return b.view.Load() == asleep
}

// sleep publishes that the breaker sleeps and stops the actor, or returns nil.
func (s *state) sleep() *view {
	b, v := s.b, s.b.view.Load()
	if v.kind != viewMarked || s.needed() {
		return nil
	}
	asleep := &view{tree: v.tree, kind: viewAsleep, gate: viewAsleep,
		dormant: &dormant{awake: v.dormant.awake, since: v.dormant.since, ending: make(chan struct{})}}
	if !b.view.CompareAndSwap(v, asleep) {
		return nil // a call came
	}
	// PID and Stop set these before they look at the view: one of us sees the other.
	if b.own.pinned.Load() || b.stopping.Load() {
		b.view.CompareAndSwap(asleep, v.dormant.awake)
		close(asleep.dormant.ending)
		return nil
	}
	s.ctx.Stop(s.ctx.Self())
	return asleep
}

// needed reports whether something besides calls relies on the actor.
func (s *state) needed() bool {
	o := &s.b.own
	if o.pinned.Load() || o.sweeping.Load() || o.watched.Load() != nil || o.restarts.Load() > 0 || s.prober != nil {
		return true
	}
	if s.b.knownAddresses().leftOut() {
		return true
	}
	r := o.rest
	return r != nil && (len(r.watchers) > 0 || len(r.watches) > 0 || r.calls != nil ||
		slices.ContainsFunc(r.listeners, func(l *listener) bool { return !l.ours || l.busy.Load() }))
}

// use returns the view that a call goes by: it takes a mark off, and wakes a
// breaker that sleeps.
//
//go:noinline
func (b *Breaker) use(v *view) *view {
	for {
		switch v.kind {
		case viewMarked:
			b.view.CompareAndSwap(v, v.dormant.awake)
		case viewAsleep:
			b.wake(v)
		default:
			return v
		}
		v = b.view.Load()
	}
}

// live returns the published view, of a breaker that is awake.
func (b *Breaker) live() *view {
	v := b.view.Load()
	if v.dormant != nil {
		v = b.use(v)
	}
	return v
}

// wake spawns the actor of a breaker again, unless another goroutine has done so.
// The actor itself publishes that it is awake.
func (b *Breaker) wake(v *view) {
	<-v.dormant.ending
	b.own.waking.Lock()
	defer b.own.waking.Unlock()
	if b.view.Load() != v {
		return
	}
	err := b.spawn(nil, b.pid.Id)
	if err == nil {
		return
	}
	b.publishStopped()
	if b.logger != nil {
		b.logger.Error("a circuit breaker that had no calls for long could not start again: its calls are refused",
			slog.String("service", b.service), slog.Any("error", fmt.Errorf("spawn %s: %w", b.pid.Id, err)))
	}
}

// pin keeps the actor for good, because its address is given away.
func (b *Breaker) pin() {
	b.own.pinned.Store(true)
	b.live()
}
