package breaker

import (
	"context"
	"sync/atomic"
)

// Route is one path of a service, for those who call it often: it looks up the
// entries on its path once for each state of the breaker, not at each call.
// It is safe for use by several goroutines at once.
type Route struct {
	b    *Breaker
	path string
	met  atomic.Pointer[met]
}

// met is what a call to a route meets in one view.
type met struct {
	view     *view
	obstacle *node
	free     bool
}

// Route returns the route of a path, which is as for [Breaker.Do].
func (b *Breaker) Route(path string) *Route { return &Route{b: b, path: path} }

// Do is [Breaker.Do] with the route's path.
func (r *Route) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	v := r.b.view.Load()
	if !v.simple || v.gate != viewMixed {
		return r.b.Do(ctx, r.path, fn)
	}
	m := r.met.Load()
	if m == nil || m.view != v {
		m = r.meet(v)
	}
	if m.obstacle != nil && m.obstacle.refuses() {
		return m.obstacle.refusal
	}
	if m.obstacle == nil && ctx.Err() == nil {
		return r.b.doClosed(ctx, v, r.path, m.free, fn)
	}
	return r.b.doSlow(ctx, v, r.path, fn)
}

func (r *Route) meet(v *view) *met {
	m := &met{view: v}
	m.obstacle, m.free = v.meet(r.path)
	r.met.Store(m)
	return m
}
