package chassis

import (
	"context"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// source is the settings of the service in force, and where they were loaded
// from. It is a [watch.Part] of the service's own settings. Explain and Set are
// called under System.applying.
type source interface {
	Type() string
	Tree() *settings.Tree
	Explain() (said, inForce []settings.Entry)
	Owns(path string) bool
	Set(Settings)
	Follow(func(context.Context, watch.Reload[Settings])) (stop func(context.Context) error, err error)
}

// Live returns the settings in force of a system that was made with the option
// of [Load], for a service that looks at its own while it runs:
//
//	live := chassis.Live(sys, cfg)
//	...
//	batch := live.Get().Mail.Batch
//
// cfg is what Load has returned. Of a system that was made with [WithSettings],
// as in a test, the settings are cfg and never change. Live panics if the system
// was loaded with settings of another type.
func Live[T any](s *System, cfg T) *LiveSettings[T] {
	if s.source.Tree() == nil {
		return watch.NewLive(cfg)
	}
	p, ok := s.source.(*watch.Part[T, Settings])
	if !ok {
		panic(fmt.Sprintf("chassis: Live: the settings of service %q were loaded as %s, not as %T: give the "+
			"option of chassis.Load[%T] to chassis.New", s.name, s.source.Type(), cfg, cfg))
	}
	return &p.Live
}

// Apply puts in force what of next can change while the service runs: the
// log's levels, the breakers' limits and rates, the workers, and the admin
// server's tokens (the settings tagged live). It returns all that differs from
// what was in force. What is not Live stays as it was, and a warning names it: it
// needs a restart. Wrong settings change nothing and are an error. A level that
// was set by [logger.Logger.SetLevel], and a breaker's own settings, stay unless
// next changes their setting.
//
// Where the settings were loaded from files, by [New] or by [Load], a system does
// this whenever one of them changes.
func (s *System) Apply(ctx context.Context, next Settings) ([]settings.Change, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	changes, err := s.apply(ctx, next)
	if len(changes) > 0 {
		s.console.Explain()
	}
	return changes, err
}

// apply is Apply under the lock.
func (s *System) apply(ctx context.Context, next Settings) ([]settings.Change, error) {
	if s.State() >= Stopping {
		return nil, ErrStopped
	}
	ctx, cancel := s.life.UntilHalted(ctx) // a dispatcher that has stopped does not answer
	defer cancel()
	if err := next.check(s.name, s.givenQueue); err != nil {
		return nil, fmt.Errorf("chassis: the new settings of service %q:\n%w", s.name, err)
	}
	if err := next.Log.Validate(); err != nil {
		return nil, fmt.Errorf("chassis: the new settings of service %q:\n%w", s.name, err)
	}
	old, defaults := s.Settings(), DefaultSettings()
	changes := settings.Diff(watch.Fill(old, defaults), watch.Fill(next, defaults))
	if len(changes) == 0 {
		return nil, nil
	}
	now := settings.Live(old, next)
	s.current.Store(&now) // first: what begins from here on begins with it
	s.source.Set(now)

	var errs []error
	s.log.Follow(old.Log, now.Log)
	errs = append(errs, s.breakers.Apply(now.CircuitBreaker), s.tasks.Resize(ctx))
	errs = append(errs, s.console.Apply(now.Admin))
	s.logChanges(changes)
	return changes, errors.Join(errs...)
}

func (s *System) logChanges(changes []settings.Change) {
	for _, c := range changes {
		if c.Live {
			s.Logger("chassis").Info("a setting has changed", "setting", c.Path, "from", c.Old, "to", c.New)
		} else {
			s.Logger("chassis").Warn("a changed setting needs a restart", "setting", c.Path, "in_force", c.Old,
				"to", c.New)
		}
	}
}

// follow applies what changes in the sources of the settings, until the system
// stops. The system serves all the same if it cannot watch them.
func (s *System) follow() {
	stop, err := s.source.Follow(s.reloaded)
	if err != nil {
		s.Logger("chassis").Warn("the settings are not watched: a change needs a restart", "error", err)
		return
	}
	s.unfollow = stop
}

// reloaded applies a reload, or logs why it does not.
func (s *System) reloaded(ctx context.Context, r watch.Reload[Settings]) {
	log := s.Logger("chassis")
	var lost *watch.Lost
	switch {
	case errors.As(r.Err, &lost):
		log.Warn("a settings file is not whole: the settings in force stay", "error", r.Err)
		return
	case r.Err != nil:
		log.Error("the settings have a mistake: those in force stay", "error", r.Err)
		return
	case len(r.Changes) == 0:
		log.Info("the settings can be read again, and have not changed")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, life.StopTimeout)
	defer cancel()
	s.applying.Lock()
	defer s.applying.Unlock()
	changes, err := s.apply(ctx, r.Part)
	if err != nil && !errors.Is(err, ErrStopped) {
		log.Error("changed settings are not applied", "error", err)
	}
	if err != nil && len(changes) == 0 {
		return
	}
	own := r.TakeRest()
	s.console.Explain()
	s.logChanges(own)
}
