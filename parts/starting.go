package parts

import "context"

// Open opens all parts, in the order of adding. It returns the first error, and what
// was wrong with the parts that were added.
func (g *Group) Open(ctx context.Context) error {
	if err := g.settle(); err != nil {
		return err
	}
	for _, e := range g.enter(opening) {
		if err := g.open(ctx, e); err != nil {
			return &Error{e.name, err}
		}
	}
	return nil
}

// StartSupport starts the support parts, in the order of adding.
func (g *Group) StartSupport(ctx context.Context) error { return g.startAll(ctx, supporting, false) }

// StartIntake starts the intake parts, in the order of adding.
func (g *Group) StartIntake(ctx context.Context) error { return g.startAll(ctx, taking, true) }

func (g *Group) startAll(ctx context.Context, p phase, intake bool) error {
	for _, e := range g.enter(p) {
		if e.intake != intake || !g.claim(e) {
			continue
		}
		if err := g.start(ctx, e); err != nil {
			return &Error{e.name, err}
		}
	}
	return nil
}

// claim reports whether the part is to be started by the caller.
func (g *Group) claim(e *entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine := !e.claimed && !e.ending
	e.claimed = e.claimed || mine
	return mine
}

func (g *Group) open(ctx context.Context, e *entry) error {
	return within(ctx, func() error {
		e.turn.Lock()
		defer e.turn.Unlock()
		return e.open(ctx)
	})
}

// open is called under turn.
func (e *entry) open(ctx context.Context) error {
	o, ok := e.part.(Opener)
	if !ok || e.opened {
		return nil
	}
	err := o.Open(ctx)
	e.opened = err == nil
	return err
}

// start opens a part, unless it is open, and starts it.
func (g *Group) start(ctx context.Context, e *entry) error {
	host := &Host{Name: e.name, Logger: g.cfg.Logger("parts/" + e.name), Draining: g.draining,
		Ended: func(err error) { g.ended(e, err) }}
	g.set(e, Running, nil) // before it may report its end
	err := within(ctx, func() error {
		e.turn.Lock()
		defer e.turn.Unlock()
		err := e.open(ctx)
		if err == nil {
			err = e.part.Start(ctx, host)
		}
		e.live = err == nil
		return err
	})
	if err != nil {
		g.set(e, Failed, err)
	}
	return err
}

// ended is [Host.Ended].
func (g *Group) ended(e *entry, err error) {
	if err != nil {
		g.fail(e, err)
		return
	}
	g.set(e, Ended, nil)
	g.log.Info("a part has ended", "part", e.name)
}

// within runs a part's code, which may ignore ctx: then it is left alone.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go call(f, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it says itself what it was doing
		return err
	case <-after(lastWord):
		return context.Cause(ctx)
	}
}
