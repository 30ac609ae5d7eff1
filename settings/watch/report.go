package watch

import (
	"errors"
	"log/slog"

	"github.com/sambatech/chassis/settings"
)

// Apply passes the part of a reload to apply, and then puts the rest in force. It
// reports whether any setting has changed. It logs what has changed, or why the
// settings in force stay; the error quiet is not logged.
func (r Reload[P]) Apply(log *slog.Logger, apply func(P) ([]settings.Change, error), quiet error) bool {
	var lost *Lost
	switch {
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
