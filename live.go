package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/settings"
)

// Apply puts in force what of next can change while the service runs: the
// log's levels, the breakers' limits and rates, the workers, and the admin
// server's tokens (the settings tagged live). It returns all that differs from what was in force; what is
// not Live stays as it was, and a warning names it: it needs a restart. Wrong
// settings change nothing and are an error. A level that was set by
// [logger.Logger.SetLevel], and a breaker's own settings, stay unless next
// changes their setting.
//
// Where the settings were loaded from files, by [New] or by [Load], a system does
// this whenever one of them changes.
func (s *System) Apply(ctx context.Context, next Settings) ([]settings.Change, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	changes, err := s.apply(ctx, next)
	if len(changes) > 0 {
		s.explainAgain()
	}
	return changes, err
}

// apply is Apply under the lock.
func (s *System) apply(ctx context.Context, next Settings) ([]settings.Change, error) {
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
	now := settings.Live(old, next)
	s.current.Store(&now) // first: what begins from here on begins with it
	s.source.took(now)

	var errs []error
	s.relevel(old.Log, now.Log)
	errs = append(errs, s.breakers.Apply(now.CircuitBreaker))
	for _, l := range s.tasks.lanes {
		if r, t := l.actors(), l.now(); r != nil {
			errs = append(errs, r.client.Resize(ctx, t.Workers, t.MaxWorkers, t.ScaleFactor))
		}
	}
	errs = append(errs, s.console.apply(now.Admin))
	s.logChanges(changes)
	return changes, errors.Join(errs...)
}

func (s *System) logChanges(changes []settings.Change) {
	for _, c := range changes {
		if c.Live {
			s.Logger("chassis").Info("a setting has changed", "setting", c.Path, "from", c.Old, "to", c.New)
		} else {
			s.Logger("chassis").Warn("a changed setting needs a restart", "setting", c.Path, "in_force", c.Old, "to", c.New)
		}
	}
}

// explainAgain has the live page say where the settings in force come from.
func (s *System) explainAgain() {
	if s.console.server.Load() != nil {
		s.console.origins.find()
	}
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
