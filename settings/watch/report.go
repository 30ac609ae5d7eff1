package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sambatech/chassis/settings"
)

// Apply passes the part of a reload to apply, and then puts the rest in force. It
// reports whether any setting has changed. It logs what has changed, or why the
// settings in force stay; the error quiet is not logged.
func (r Reload[P]) Apply(log *slog.Logger, apply func(P) ([]settings.Change, error), quiet error) bool {
	var lost *Lost
	var away *Away
	switch {
	case errors.As(r.Err, &away):
		log.Warn("a store of settings cannot be read: the settings in force stay", "error", away.Err)
		return false
	case errors.As(r.Err, &lost):
		log.Warn("a settings file is not whole: the settings in force stay", "error", r.Err)
		return false
	case r.Err != nil:
		log.Error("the settings have a mistake: those in force stay", "error", r.Err)
		return false
	case len(r.Changes) == 0:
		log.Info("the settings can be read again, and have not changed")
		return false
	}
	changes, err := apply(r.Part)
	if err != nil && !errors.Is(err, quiet) {
		log.Error("changed settings are not applied", "error", err)
	}
	if err != nil && len(changes) == 0 {
		return false
	}
	LogChanges(log, r.TakeRest())
	return true
}

// Keeper is how the changes of a [Source] are put in force.
type Keeper[P any] struct {
	Log     *slog.Logger
	Lock    sync.Locker // held while a change is applied
	Limit   time.Duration
	Apply   func(context.Context, P) ([]settings.Change, error)
	Quiet   error  // an error of Apply that is not logged
	Changed func() // is called after a change, under Lock
}

// Keep applies what changes in the sources until stop is called. Where they cannot be
// watched it logs that, and stop is nil.
func Keep[P any](source Source[P], k Keeper[P]) (stop func(context.Context) error) {
	stop, err := source.Follow(func(ctx context.Context, r Reload[P]) {
		ctx, cancel := context.WithTimeout(ctx, k.Limit)
		defer cancel()
		k.Lock.Lock()
		defer k.Lock.Unlock()
		if r.Apply(k.Log, func(next P) ([]settings.Change, error) { return k.Apply(ctx, next) }, k.Quiet) {
			k.Changed()
		}
	})
	if err != nil {
		k.Log.Warn("the settings are not watched: a change needs a restart", "error", err)
	}
	return stop
}

// LogChanges logs each change: those in force at INFO, those that need a restart at WARNING.
func LogChanges(log *slog.Logger, changes []settings.Change) {
	for _, c := range changes {
		if c.Live {
			log.Info("a setting has changed", "setting", c.Path, "from", c.Old, "to", c.New)
		} else {
			log.Warn("a changed setting needs a restart", "setting", c.Path, "in_force", c.Old, "to", c.New)
		}
	}
}
