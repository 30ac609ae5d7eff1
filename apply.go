package chassis

import (
	"context"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// Live returns the settings in force of a system that was made with the option of [Load], for a service that looks
// at its own while it runs:
//
//	live := chassis.Live(sys, cfg)
//	...
//	batch := live.Get().Mail.Batch
//
// cfg is what Load has returned. Of a system that was made with [WithSettings], as in a test, the settings are cfg
// and never change. Live panics if the system was loaded with settings of another type.
func Live[T any](s *System, cfg T) *LiveSettings[T] {
	live, err := watch.LiveOf(s.source, cfg)
	if err != nil {
		panic(fmt.Sprintf("chassis: Live: service %q: %v: give New the option of Load", s.name, err))
	}
	return live
}

// Apply puts in force what of next can change while the service runs: the log's levels, the breakers' limits and
// rates, the workers, and the admin server's tokens (the settings tagged live). It returns all that differs from
// what was in force. What is not Live stays as it was, and a warning names it: it needs a restart. Wrong settings
// change nothing and are an error. A level that was set by [logger.Logger.SetLevel], and a breaker's own settings,
// stay unless next changes their setting.
//
// Where the settings were loaded from files, by [New] or by [Load], a system does this whenever one of them
// changes.
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
	if err := errors.Join(next.check(s.name, s.givenQueue), next.Log.Validate()); err != nil {
		return nil, fmt.Errorf("chassis: the new settings of service %q:\n%w", s.name, err)
	}
	old, defaults := s.Settings(), DefaultSettings()
	changes := s.source.Shown(settings.Diff(watch.Fill(old, defaults), watch.Fill(next, defaults)))
	if len(changes) == 0 {
		return nil, nil
	}
	now := settings.Live(old, next)
	s.current.Store(&now) // first: what begins from here on begins with it
	s.source.Set(now)
	s.log.Follow(old.Log, now.Log)
	err := errors.Join(s.breakers.Apply(now.CircuitBreaker), s.tasks.Resize(ctx), s.console.Apply(now.Admin))
	watch.LogChanges(s.Logger("chassis"), changes)
	return changes, err
}

// follow applies what changes in the sources of the settings, until the system stops. The system serves all the
// same if it cannot watch them.
func (s *System) follow() {
	s.unfollow = watch.Keep(s.source, watch.Keeper[Settings]{
		Log: s.Logger("chassis"), Lock: &s.applying, Limit: life.StopTimeout, Apply: s.apply, Quiet: ErrStopped,
		Changed: s.console.Explain,
	})
}
