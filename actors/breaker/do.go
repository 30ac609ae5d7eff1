package breaker

import (
	"context"
	"sync/atomic"
)

// A call by Do takes the first of these six ways that it meets the precondition of. The
// view is what the actor published last; it is loaded once before the call.
//
//	way      precondition                                        costs                                     must not
//	quiet    every entry is healthy, the settings are plain      a load of the view before and after fn    read a clock, look at ctx, allocate, or ask after a success
//	refused  the service refuses every call                      a load of the view                        call fn, ask the actor, or allocate
//	closed   simple view, every entry on the path is closed,     a walk down the path, one load after fn   read a clock, allocate, or ask after a success
//	         ctx has not ended                                                                             where no failure is counted
//	traced   the breaker has a tracer                            a span and what the asked way costs       put path, query or error text on the span
//	limited  quiet, but for a limit of calls in flight           two atomic additions                      read a clock for most calls, or allocate
//	asked    none: every question is asked                       a walk; in half-open a question to the    call fn without a slot where an entry wants one,
//	                                                             actor, a timer and a ctx                  or after the end of ctx
//
// A failure is reported by every way, and the report is waited for. A path that a
// simple view refuses ends the closed way before fn. [Route.Do] takes the same
// ways, and remembers the walk.

// Do calls fn if all entries on path admit it, and registers how it ended. It
// returns fn's error as it is, or without a call an [*OpenError] or
// [ErrStopped]. A ctx that has ended before is left to fn while every entry is
// healthy; otherwise Do returns the error of ctx without a call.
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

// Execute is [Breaker.Do] for a function with a value.
func Execute[T any](ctx context.Context, b *Breaker, path string, fn func(ctx context.Context) (T, error)) (T, error) {
	var value T
	err := b.Do(ctx, path, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	})
	return value, err
}

// guarded is the function of a call.
type guarded = func(ctx context.Context) error

// doOther handles Do outside the quiet state. It is kept small so that it is inlined.
func (b *Breaker) doOther(ctx context.Context, v *view, path string, fn guarded) error {
	if v.gate == viewRefuses {
		return v.refusal
	}
	return b.doMixed(ctx, v, path, fn)
}

// doMixed handles Do when an entry is not healthy, or the settings want more. It
// has no deferred function, which a refusal would pay for.
func (b *Breaker) doMixed(ctx context.Context, v *view, path string, fn guarded) error {
	switch {
	case v.dormant != nil:
		b.use(v)
		return b.Do(ctx, path, fn)
	case v.gate == viewTraced:
		return b.doTraced(ctx, v, path, fn)
	case v.limited:
		return b.doLimited(ctx, v, path, fn)
	case v.gate == viewMixed && v.simple:
		return b.doMet(ctx, v.meet(path), path, fn)
	}
	return b.doAsked(ctx, v, path, fn, nil)
}

// doMet handles a call under a simple view, by what its path meets.
func (b *Breaker) doMet(ctx context.Context, m met, path string, fn guarded) error {
	switch {
	case m.obstacle != nil && m.obstacle.refuses():
		return m.obstacle.refusal
	case m.obstacle == nil && ctx.Err() == nil:
		return b.doClosed(ctx, m, path, fn)
	}
	return b.doAsked(ctx, m.view, path, fn, nil)
}

func (b *Breaker) doClosed(ctx context.Context, m met, path string, fn guarded) (err error) {
	err = ended{}
	defer func() {
		if err != nil || !m.free || !m.holds(b) {
			b.quietEnd(ctx, m.view.gen, path, err)
		}
	}()
	err = fn(ctx)
	return err
}

// ended stands for the error of a call that did not return.
type ended struct{}

func (ended) Error() string { return "the call ended by a panic or runtime.Goexit" }

// quietEnd settles a call that was admitted when all entries on its path were closed.
//
//go:noinline
func (b *Breaker) quietEnd(ctx context.Context, gen uint64, path string, err error) {
	p := Permit{b: b, path: path, gen: gen}
	if err == (ended{}) {
		b.witness(ctx, path)
		p.settle(Failure, 0)
		return
	}
	p.finish(ctx, err)
}

func (b *Breaker) doTraced(ctx context.Context, v *view, path string, fn guarded) (err error) {
	ctx, span := b.startSpan(ctx, v)
	err = ended{}
	defer func() { span.end(err) }()
	err = b.doAsked(ctx, v, path, fn, span)
	return err
}

// doAsked is Do with every question asked; span is nil for a call without one.
func (b *Breaker) doAsked(ctx context.Context, v *view, path string, fn guarded, span *callSpan) (err error) {
	if v.kind == viewRefuses {
		span.refused(v.refusal)
		return v.refusal
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := b.enter(ctx, v, path, false, true)
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
			b.witness(ctx, path)
			p.settle(Failure, 0)
			span.settled(Failure)
		}
	}()
	err = fn(inner)
	over = true
	span.settled(p.finish(ctx, err))
	return err
}

// Route is one path of a service, for callers that use it often: it looks up the
// entries on its path once for each state of the breaker, not at each call.
// It is safe for use by several goroutines at once.
type Route struct {
	b    *Breaker
	path string
	met  atomic.Pointer[met]
}

// Route returns the route of a path, which is as for [Breaker.Do].
func (b *Breaker) Route(path string) *Route { return &Route{b: b, path: path} }

// Do is [Breaker.Do] with the route's path.
func (r *Route) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	v := r.b.view.Load()
	if v.gate != viewMixed || !v.simple {
		return r.b.Do(ctx, r.path, fn)
	}
	m := r.met.Load()
	if m == nil || m.view != v || atomic.LoadUint32(&v.stamp) != m.stamp {
		m = r.meet(v)
	}
	return r.b.doMet(ctx, *m, r.path, fn)
}

func (r *Route) meet(v *view) *met {
	m := v.meet(r.path)
	r.met.Store(&m)
	return &m
}
