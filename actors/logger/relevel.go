package logger

import (
	"log/slog"
	"maps"
)

// Follow sets the levels that differ between old and next, two valid settings. A
// level that [Logger.SetLevel] has set stays unless its setting differs.
func (l *Logger) Follow(old, next Settings) {
	set := func(name string, level Level) {
		if at, err := level.Parse(slog.LevelInfo); err == nil {
			l.SetLevel(name, at)
		}
	}
	_, is := next.Levels[""]
	if _, was := old.Levels[""]; (was || old.Level != next.Level) && !is {
		set("", next.Level)
	}
	for name := range old.Levels {
		if _, stays := next.Levels[name]; !stays {
			l.UnsetLevel(name)
		}
	}
	for name, level := range next.Levels {
		if was, there := old.Levels[name]; !there || was != level {
			set(name, level)
		}
	}
}

// WithLevel returns the settings with a level for the loggers of a name, unless
// they have one.
func (s Settings) WithLevel(name string, level Level) Settings {
	if _, ok := s.Levels[name]; !ok {
		levels := map[string]Level{name: level}
		maps.Copy(levels, s.Levels)
		s.Levels = levels
	}
	return s
}
