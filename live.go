package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// Apply puts in force what of next can change while the service runs: the
// log's levels, the breakers' limits and rates, the workers, and the admin
// server's tokens (the settings tagged live). It returns all that differs from what was in force; what is
// not Live stays as it was, and a warning names it: it needs a restart. Wrong
// settings change nothing and are an error. A level that was set by
// [logger.Logger.SetLevel], and a breaker's own settings, stay unless next
// changes their setting.
//
// A system that reads its settings itself does this whenever a file changes.
func (s *System) Apply(ctx context.Context, next Settings) ([]settings.Change, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.State() >= Stopping {
		return nil, ErrStopped
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.halted, func() { cancel(ErrStopped) })() // a dispatcher that has stopped answers nobody
	if err := next.check(s.name, s.givenQueue); err != nil {
		return nil, fmt.Errorf("chassis: the new settings of service %q:\n%w", s.name, err)
	}
	if err := next.Log.Validate(); err != nil {
		return nil, fmt.Errorf("chassis: the new settings of service %q:\n%w", s.name, err)
	}
	next.Log.Levels = quiet(next.Log.Levels)
	old := s.Settings()
	changes := settings.Diff(plain(old), plain(next))
	if len(changes) == 0 {
		return nil, nil
	}
	now := old
	now.Log.Level, now.Log.Levels = next.Log.Level, next.Log.Levels
	now.CircuitBreaker = next.CircuitBreaker
	now.Tasks.Workers, now.Tasks.MaxWorkers, now.Tasks.ScaleFactor = next.Tasks.Workers, next.Tasks.MaxWorkers, next.Tasks.ScaleFactor
	now.Tasks.Pools = maps.Clone(old.Tasks.Pools)
	for name, pool := range now.Tasks.Pools {
		if p, stays := next.Tasks.Pools[name]; stays {
			pool.Workers, pool.MaxWorkers, pool.ScaleFactor = p.Workers, p.MaxWorkers, p.ScaleFactor
			now.Tasks.Pools[name] = pool
		}
	}
	now.Admin.Token, now.Admin.Tokens, now.Admin.ShowBodies = next.Admin.Token, next.Admin.Tokens, next.Admin.ShowBodies
	s.current.Store(&now) // before anybody is told: who begins from here on begins with it

	var errs []error
	s.relevel(old.Log, now.Log)
	for _, b := range s.Breakers() {
		errs = append(errs, b.Follow(old.CircuitBreaker.Of(b.Service()), now.CircuitBreaker.Of(b.Service())))
	}
	for _, l := range s.tasks.lanes {
		if r, t := l.actors(), l.now(); r != nil {
			errs = append(errs, r.client.Resize(ctx, t.Workers, t.MaxWorkers, t.ScaleFactor))
		}
	}
	errs = append(errs, s.console.apply(now.Admin))
	if s.console.server.Load() != nil {
		s.console.origins.find()
	}
	for _, c := range changes {
		if c.Live {
			s.Logger("chassis").Info("a setting has changed", "setting", c.Path, "from", c.Old, "to", c.New)
		} else {
			s.Logger("chassis").Warn("a changed setting needs a restart", "setting", c.Path, "in_force", c.Old, "to", c.New)
		}
	}
	return changes, errors.Join(errs...)
}

// relevel sets the levels that differ. Both were judged.
func (s *System) relevel(old, now logger.Settings) {
	set := func(name string, level logger.Level) {
		if l, err := level.Parse(slog.LevelInfo); err == nil {
			s.log.SetLevel(name, l)
		}
	}
	_, own := now.Levels[""]
	if _, was := old.Levels[""]; (was || old.Level != now.Level) && !own {
		set("", now.Level)
	}
	for name := range old.Levels {
		if _, stays := now.Levels[name]; !stays {
			s.log.UnsetLevel(name)
		}
	}
	for name, level := range now.Levels {
		if was, there := old.Levels[name]; !there || was != level {
			set(name, level)
		}
	}
}

// plain writes defaults out, so that a zero is no difference from its default.
func plain(s Settings) Settings {
	fill(reflect.ValueOf(&s).Elem(), reflect.ValueOf(DefaultSettings()))
	return s
}

func fill(v, def reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			fill(f, def.Field(i))
		case f.CanSet() && f.IsZero() && f.Kind() != reflect.Bool:
			f.Set(def.Field(i))
		}
	}
}

// follow applies what changes in the sources that New has read, until the
// system stops. That it cannot be done is no reason not to serve.
func (s *System) follow() {
	if !s.ownSources {
		return
	}
	log := s.Logger("chassis")
	if layout, err := settings.LayoutOf(DefaultSettings()); err == nil {
		s.applying.Lock() // from here on the page explains what the sources say by then
		s.console.origins.loaded = func() ([]settings.Entry, error) { return layout.Explain(append(Sources(), settings.Shared())...) }
		s.applying.Unlock()
	}
	ctx, end := context.WithCancel(context.Background())
	apply := func(next Settings) {
		limit, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if _, err := s.Apply(limit, next); err != nil && !errors.Is(err, ErrStopped) {
			log.Error("changed settings are not applied", "error", err)
		}
	}
	caught := make(chan struct{}) // up: the watcher's first value is in force, and a later one may be
	watcher, err := watch.Start(ctx, DefaultSettings(), func(u watch.Update[Settings]) {
		<-caught
		if u.Err != nil {
			log.Error("the settings have a mistake: those in force stay", "error", u.Err)
			return
		}
		apply(*u.New)
	}, append(slices.Clone(Sources()), settings.Shared())...)
	if err != nil {
		end()
		log.Warn("the settings are not watched: a change needs a restart", "error", err)
		return
	}
	apply(*watcher.Current()) // they may have changed since New
	close(caught)
	s.unfollow = func() { end(); watcher.Wait() }
}
