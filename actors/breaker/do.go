package breaker

import (
	"context"
	"math/rand/v2"
	"time"
)

// Do calls fn if all entries on path admit it, and registers how it ended. It
// returns fn's error as it is, or without a call an [*OpenError] or
// [ErrStopped]; a ctx that was over before is for fn to notice, and only where
// an entry is not healthy Do returns its error without a call.
//
// The path is that of a URL: empty segments are dropped, and what follows a ?
// or # is ignored; "" is the service as a whole. An error of fn is a failure,
// unless ctx was cancelled or the error is marked by [Ignore] or [Succeed]; see
// also [WithClassifier] and [After]. A panic and a runtime.Goexit of fn are
// failures, and go on.
//
// fn gets ctx itself; only in half-open (or with bound_calls) it gets one that
// ends with the cause [ErrTimeout] at the probe's deadline.
func (b *Breaker) Do(ctx context.Context, path string, fn func(ctx context.Context) error) (err error) {
	v := b.view.Load()
	if v.gate != viewQuiet {
		return b.doOther(ctx, v, path, fn)
	}
	err = ended{}
	defer func() {
		if err != nil || b.view.Load() != v {
			b.quietEnd(ctx, v.gen, path, err)
		}
	}()
	err = fn(ctx)
	return err
}

// doOther is Do when not all is well. It is small enough to be a part of it.
func (b *Breaker) doOther(ctx context.Context, v *view, path string, fn func(ctx context.Context) error) error {
	if v.gate == viewRefuses {
		return v.refusal
	}
	return b.doUnquiet(ctx, v, path, fn)
}

// doUnquiet is Do when something is amiss on the call's own path, or next to it.
// It is apart from what it calls so that a refusal needs no frame for their
// deferred functions.
func (b *Breaker) doUnquiet(ctx context.Context, v *view, path string, fn func(ctx context.Context) error) error {
	if v.simple && v.gate == viewMixed {
		obstacle, free := v.meet(path)
		if obstacle != nil && obstacle.refuses() {
			return obstacle.refusal
		}
		if obstacle == nil && ctx.Err() == nil {
			return b.doClosed(ctx, v, path, free, fn)
		}
	}
	return b.doSlow(ctx, v, path, fn)
}

// doClosed is Do when all entries on the path are closed. If it is free, a
// success changes nothing.
func (b *Breaker) doClosed(ctx context.Context, v *view, path string, free bool, fn func(ctx context.Context) error) (err error) {
	err = ended{}
	defer func() {
		if err != nil || !free || b.view.Load() != v {
			b.quietEnd(ctx, v.gen, path, err)
		}
	}()
	err = fn(ctx)
	return err
}

// ended stands for the error of a call that did not return.
type ended struct{}

func (ended) Error() string { return "the call ended by a panic or runtime.Goexit" }

// quietEnd settles a call that was admitted when all was well on its path.
//
//go:noinline
func (b *Breaker) quietEnd(ctx context.Context, gen uint64, path string, err error) {
	p := Permit{b: b, path: path, gen: gen}
	if err == (ended{}) {
		p.settle(Failure, 0)
		return
	}
	p.finish(ctx, err)
}

// Execute is [Breaker.Do] for a function with a value.
func Execute[T any](ctx context.Context, b *Breaker, path string, fn func(ctx context.Context) (T, error)) (T, error) {
	var value T
	err := b.Do(ctx, path, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	})
	return value, err
}

func (b *Breaker) doSlow(ctx context.Context, v *view, path string, fn func(context.Context) error) (err error) {
	if v.gate != viewTraced {
		return b.doAsked(ctx, v, path, fn, nil)
	}
	ctx, span := b.startSpan(ctx, v)
	err = ended{}
	defer func() { span.end(err) }()
	err = b.doAsked(ctx, v, path, fn, span)
	return err
}

// doAsked is Do with every question asked; span is nil for a call that is none.
func (b *Breaker) doAsked(ctx context.Context, v *view, path string, fn func(context.Context) error, span *callSpan) (err error) {
	if v.kind == viewRefuses {
		span.refused(v.refusal)
		return v.refusal
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := b.enter(ctx, v, path, false)
	if err != nil {
		span.refused(err)
		return err
	}
	span.admitted(&p)
	inner := ctx
	if p.slot != 0 || v.set.BoundCalls {
		if d := p.limit(ctx, v.set); d > 0 {
			var cancel context.CancelFunc
			inner, cancel = context.WithTimeoutCause(ctx, d, ErrTimeout)
			defer cancel()
		}
	}
	over := false
	defer func() {
		if !over {
			p.settle(Failure, 0)
			span.settled(Failure)
		}
	}()
	err = fn(inner)
	over = true
	span.settled(p.finish(ctx, err))
	return err
}

// Acquire asks for admission of one call that the caller makes itself. It
// returns an [*OpenError] or [ErrStopped] if there is none. The permit must be
// settled with Done or Settle; one that is not holds a half-open slot until the
// probe's deadline, at which it is a failure.
func (b *Breaker) Acquire(path string) (Permit, error) {
	v := b.view.Load()
	switch v.kind {
	case viewQuiet:
		return Permit{b: b, path: path, gen: v.gen}, nil
	case viewRefuses:
		return Permit{}, v.refusal
	}
	return b.enter(context.Background(), v, path, false)
}

// AcquireTimed is [Breaker.Acquire] for a holder that sees when the service is
// waited for, as a stream does. Its probe does not fail at probe_timeout by
// itself: the holder settles it. A permit that is never settled gives its slot back
// somewhat later and counts as nothing. ctx is that of the call.
func (b *Breaker) AcquireTimed(ctx context.Context, path string) (Permit, error) {
	v := b.view.Load()
	switch v.kind {
	case viewQuiet:
		return Permit{b: b, path: path, gen: v.gen}, nil
	case viewRefuses:
		return Permit{}, v.refusal
	}
	return b.enter(ctx, v, path, true)
}

// enter admits a call, by the actor if it needs a slot.
func (b *Breaker) enter(ctx context.Context, v *view, path string, timed bool) (Permit, error) {
	p := Permit{b: b, path: path, gen: v.gen}
	if v.kind == viewStopped {
		return p, ErrStopped
	}
	d := v.decide(path)
	if d.refusal != nil {
		return p, d.refusal
	}
	if d.slot {
		var err error
		if d, err = b.takeSlot(ctx, v, &p, timed); err != nil {
			return p, err
		}
	}
	if d.ramp != nil && rand.Float64() >= d.ramp.share(b.now()) {
		return p, d.ramp.refusal
	}
	p.forced = d.forced
	if v.set.SlowCall > 0 || p.slot != 0 {
		p.begun = max(1, b.now())
	}
	if v.set.HangLimit > 0 && p.slot == 0 && !p.forced {
		p.flight = b.takeOff(p)
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
	b      *Breaker
	path   string
	gen    uint64
	slot   uint64
	begun  int64
	forced bool
	flight *flight
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

func (p *Permit) finish(ctx context.Context, err error) Verdict {
	v := p.b.judge(ctx, err)
	hold := time.Duration(0)
	if v == Failure {
		hold = holdOf(err)
	}
	p.settle(v, hold)
	return v
}

// limit is how long a probe, or a call that bound_calls bounds, may take at most,
// or 0 for as long as it likes.
func (p *Permit) limit(ctx context.Context, s *config) time.Duration {
	w := p.b.patience(ctx, p.path, s)
	if p.slot != 0 && !w.asked {
		return s.ProbeTimeout
	}
	return w.limit
}

// ground ends the watch for hanging of a call that may wait as long as it likes.
func (p *Permit) ground() {
	if p.flight != nil && p.flight.land() {
		p.flight = nil
	}
}

func (p *Permit) settle(verdict Verdict, hold time.Duration) {
	b := p.b
	if b == nil {
		return
	}
	if r, ok := p.result(verdict, hold); ok {
		b.report(r)
	}
}

// result settles the permit and says what must be reported of it, if anything.
func (p *Permit) result(verdict Verdict, hold time.Duration) (r result, report bool) {
	b := p.b
	p.b = nil
	hung := p.flight != nil && !p.flight.land()
	r = result{path: p.path, gen: p.gen, slot: p.slot, hung: hung, kind: evNeutral}
	switch {
	case p.forced:
		return r, false
	case hung:
		return r, true
	case verdict == Neutral:
		return r, p.slot != 0
	case verdict == Failure:
		r.kind, r.hold = evFailure, int64(hold)
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

// report tells the actor how a call ended, and waits until it has published
// what follows from that. A stopped breaker wants no reports; one whose actor
// crashes over a report has lost it.
func (b *Breaker) report(r result) {
	a := asks.Get().(*ask)
	a.do, a.result = (*state).report, r
	_ = b.ask(a)
	a.free()
}
