package parts

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// lastWord is the time that a part has after the end of its ctx to say what did not end.
const lastWord = 1500 * time.Millisecond

// hurry is what a support part gets at least, however late it is.
const hurry = 500 * time.Millisecond

func after(d time.Duration) <-chan time.Time { return time.After(d) }

// Drain says to all parts that the service stops, and waits for the setting
// stop_delay, if there is an intake part, or until ctx ends.
func (g *Group) Drain(ctx context.Context) {
	g.drain()
	delay := g.cfg.Settings().StopDelay
	if delay <= 0 || !g.takes() {
		return
	}
	g.log.Info("readiness says no; requests are still taken", "stop_delay", delay)
	select {
	case <-after(delay):
	case <-ctx.Done():
	}
}

// takes reports whether an intake part was started.
func (g *Group) takes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.entries, func(e *entry) bool { return e.intake && e.claimed })
}

// StopIntake stops the intake parts, all at once. Each gets its time, and not longer
// than until drain ends.
func (g *Group) StopIntake(drain context.Context) error {
	stopping := g.chosen(closing, true)
	errs := make([]error, len(stopping))
	var work sync.WaitGroup
	for i, e := range stopping {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(drain, g.limit(e))
			defer cancel()
			errs[i] = g.stop(ctx, e)
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// StopSupport stops the support parts, the last added first. Each gets its time. Once
// drain has ended each gets half a second.
func (g *Group) StopSupport(drain context.Context) error {
	g.drain()
	var errs []error
	for _, e := range slices.Backward(g.chosen(closingAll, false)) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(drain), g.limit(e))
		uncut := context.AfterFunc(drain, func() {
			select {
			case <-after(hurry):
				cancel()
			case <-ctx.Done():
			}
		})
		errs = append(errs, g.stop(ctx, e))
		uncut()
		cancel()
	}
	return errors.Join(errs...)
}

// chosen returns the parts of one kind, each to be stopped once.
func (g *Group) chosen(p phase, intake bool) (list []*entry) {
	for _, e := range g.enter(p) {
		g.mu.Lock()
		if e.intake == intake && !e.ending {
			e.ending = true
			list = append(list, e)
		}
		g.mu.Unlock()
	}
	return list
}

func (g *Group) limit(e *entry) time.Duration {
	set := g.cfg.Settings()
	limit, otherwise := set.PartTimeout, defaultPartTimeout
	if _, http := e.part.(*Server); http || e.serves {
		limit, otherwise = set.ServerTimeout, defaultServerTimeout
	}
	switch {
	case e.within > 0:
		return e.within
	case limit > 0:
		return limit
	}
	return otherwise
}

// stop stops one part. One that does not end soon after ctx is left alone.
func (g *Group) stop(ctx context.Context, e *entry) error {
	begun := time.Now()
	g.mu.Lock()
	if e.state == Running {
		e.state, e.since = StopBegun, begun
	}
	g.mu.Unlock()
	state, done := Stopped, make(chan error, 1)
	go call(func() error {
		e.turn.Lock()
		defer e.turn.Unlock()
		if !e.opened && !e.live && !e.always {
			return nil
		}
		return e.part.Stop(ctx)
	}, func(err error) { done <- err })
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-after(lastWord):
			err = ctx.Err()
		}
	}
	if err != nil && ctx.Err() != nil {
		state = NotEnded
		if err == ctx.Err() { //nolint:errorlint // the bare one says nothing
			err = &NotEndedError{time.Since(begun)}
		}
	}
	if err != nil {
		err = &Error{e.name, err}
	}
	g.mu.Lock()
	if e.state != Failed {
		e.state, e.since = state, time.Now()
	}
	e.err = errors.Join(e.err, err)
	g.mu.Unlock()
	g.log.Debug("a part was stopped", "part", e.name, "took", time.Since(begun), "error", err)
	return err
}
