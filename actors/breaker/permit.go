package breaker

import (
	"context"
	"errors"
	"time"
)

// Acquire asks for admission of one call that the caller makes itself. It
// returns an [*OpenError] or [ErrStopped] if the call is not admitted. The permit must be
// settled with Done or Settle; one that is not holds a half-open slot until the
// probe's deadline, at which it is a failure.
func (b *Breaker) Acquire(path string) (Permit, error) {
	return b.acquire(context.Background(), path, false)
}

// AcquireTimed is [Breaker.Acquire] for a holder that sees when the service is
// waited for, as a stream does. Its probe does not fail at probe_timeout by
// itself: the holder settles it. A permit that is never settled gives its slot back
// somewhat later and counts as nothing. ctx is that of the call.
func (b *Breaker) AcquireTimed(ctx context.Context, path string) (Permit, error) {
	return b.acquire(ctx, path, true)
}

func (b *Breaker) acquire(ctx context.Context, path string, timed bool) (Permit, error) {
	v := b.view.Load()
	switch v.kind {
	case viewQuiet:
		return Permit{b: b, path: path, gen: v.gen}, nil
	case viewRefuses:
		return Permit{}, v.refusal
	case viewMarked, viewAsleep:
		b.use(v)
		return b.acquire(ctx, path, timed)
	}
	return b.enter(ctx, v, path, timed, timed)
}

// enter admits a call, by the actor if it needs a slot. A patient one waits for the limit
// of calls.
func (b *Breaker) enter(ctx context.Context, v *view, path string, timed, patient bool) (Permit, error) {
	p := Permit{b: b, path: path, gen: v.gen}
	if v.kind == viewStopped {
		return p, ErrStopped
	}
	d := v.decide(path)
	if d.refusal != nil {
		return p, d.refusal
	}
	if b.limit != nil && !d.forced {
		waited, measured, err := b.limit.enter(ctx, patient)
		switch {
		case err == errFull:
			return p, b.limited(waited)
		case err != nil:
			return p, err
		}
		p.placed, p.sampled = true, measured
		if waited > 0 { // the state may be another now
			v = b.live()
			p.gen = v.gen
			if d = v.decide(path); v.kind == viewStopped || d.refusal != nil {
				p.unlimit()
				if v.kind == viewStopped {
					return p, ErrStopped
				}
				return p, d.refusal
			}
		}
	}
	if d.slot {
		var err error
		if d, err = b.takeSlot(ctx, v, &p, timed); err != nil {
			p.unlimit()
			return p, err
		}
	}
	if d.ramp != nil && !b.paced(ctx) && b.draw() >= d.ramp.share(b.now()) {
		p.unlimit()
		return p, d.ramp.refusal
	}
	p.forced = d.forced
	if v.set.SlowCall > 0 || p.slot != 0 || p.sampled {
		p.begun = max(1, b.now())
	}
	if v.set.HangLimit > 0 && p.slot == 0 && !p.forced {
		p.watch = b.watchHang(p)
	}
	return p, nil
}

// takeSlot asks the actor for a slot of the half-open entries on the path of p.
// It stands apart from enter, which most calls leave without it.
//
//go:noinline
func (b *Breaker) takeSlot(ctx context.Context, v *view, p *Permit, timed bool) (decision, error) {
	a := asks.Get().(*ask)
	a.do, a.path = (*state).admit, p.path
	a.term = b.term(b.patience(ctx, p.path, v.set), v.set, timed)
	err := b.ask(a)
	slot, gen, d := a.slot, a.result.gen, a.dec
	a.free()
	switch {
	case err == errCrashed:
		return d, &OpenError{Service: b.service, State: HalfOpen, of: &b.origin}
	case err != nil:
		return d, err
	case d.refusal != nil:
		return d, d.refusal
	}
	p.slot, p.gen = slot, gen
	return d, nil
}

// Permit is the admission of one call. It is settled once; the zero Permit
// needs no settling.
type Permit struct {
	b       *Breaker
	path    string
	gen     uint64
	slot    uint64
	begun   int64
	forced  bool
	placed  bool // has a place of the limit, to give back
	sampled bool // the limit wants to know how long it takes
	busy    bool // the service refused the call for its load, or did not answer
	watch   *hangWatch
}

// unlimit gives the place of the call back.
func (p *Permit) unlimit() {
	if p.placed {
		p.placed = false
		p.b.limit.leave()
	}
}

// answered notes how long the service took, for the limit. now is on the breaker's clock.
func (p *Permit) answered(now int64) {
	if p.sampled && p.placed {
		p.b.limit.observe(classOf(p.path), time.Duration(now-p.begun), p.busy)
	}
	p.sampled = false
}

// overloaded reports whether an error says that the service is too busy.
func overloaded(err error) bool {
	var later delayer
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &later)
}

// Probe says whether the call is one of the few that a half-open entry lets
// through to find out; it must end within probe_timeout.
func (p *Permit) Probe() bool { return p.slot != 0 }

// Done settles the permit by an error as Do does; nil is a success. ctx is the
// one that the caller of the call gave.
func (p *Permit) Done(ctx context.Context, err error) {
	if p.b != nil {
		p.finish(ctx, err)
	}
}

// Settle settles the permit with a verdict.
func (p *Permit) Settle(v Verdict) { p.settle(v, 0) }

// SettleFor is [Permit.Settle] with the ctx of the call, which [WithWitness] is for.
func (p *Permit) SettleFor(ctx context.Context, v Verdict) {
	if v == Failure && p.b != nil {
		p.b.witness(ctx, p.path)
	}
	p.settle(v, 0)
}

func (p *Permit) finish(ctx context.Context, err error) Verdict {
	b, v := p.b, p.b.judge(ctx, err)
	p.busy = p.placed && v == Failure && overloaded(err)
	if v == Failure {
		b.witness(ctx, p.path)
	}
	if r, ok := p.result(v); ok && !b.countFailure(r) {
		if v == Failure {
			r.hold = holdOf(err)
		}
		b.report(r)
	}
	return v
}

// limit is how long a probe, or a call that bound_calls bounds, may take at most,
// or 0 for as long as it likes.
func (p *Permit) limit(ctx context.Context, s *config) time.Duration {
	w := p.b.patience(ctx, p.path, s)
	if p.slot != 0 && w.source == fromSettings {
		return s.ProbeTimeout
	}
	return w.limit
}

// unwatch ends the watch for hanging of a call that may wait as long as it likes.
func (p *Permit) unwatch() {
	if p.watch != nil && p.watch.end() {
		p.watch = nil
	}
}

func (p *Permit) settle(verdict Verdict, hold time.Duration) {
	b := p.b
	if b == nil {
		return
	}
	if r, ok := p.result(verdict); ok && !b.countFailure(r) {
		if verdict == Failure {
			r.hold = hold
		}
		b.report(r)
	}
}

// result settles the permit and says what must be reported of it, if anything.
func (p *Permit) result(verdict Verdict) (r result, report bool) {
	b := p.b
	if p.placed {
		if p.sampled && (verdict == Success || p.busy) {
			p.answered(b.now())
		}
		p.unlimit()
	}
	p.b = nil
	hung := p.watch != nil && !p.watch.end()
	r = result{path: p.path, gen: p.gen, slot: p.slot, hung: hung, kind: evNeutral}
	switch {
	case p.forced:
		return r, false
	case hung:
		return r, true
	case verdict == Neutral:
		return r, p.slot != 0
	case verdict == Failure:
		r.kind = evFailure
		return r, true
	}
	r.kind = evSuccess
	v := b.view.Load()
	switch {
	case p.begun != 0 && v.set.SlowCall > 0 && b.now()-p.begun >= int64(v.set.SlowCall):
		r.kind = evSlow
		return r, true
	case v.kind == viewQuiet || v.kind == viewStopped:
		return r, false
	case v.interest(p.path, p.gen, p.slot):
		return r, true
	case v.set.Trip == "rate":
		v.countGood(p.path, p.gen, b.now())
	}
	return r, false
}
