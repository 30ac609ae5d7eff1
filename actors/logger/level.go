package logger

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// Levels between and above slog's four, spaced as slog spaces its own. Their
// names are those of Cloud Logging's LogSeverity.
const (
	LevelNotice    = slog.LevelInfo + 2
	LevelCritical  = slog.LevelError + 4
	LevelAlert     = slog.LevelError + 8
	LevelEmergency = slog.LevelError + 12
)

// names are the levels from the lowest on: the name that Cloud Logging has for each, in the JSON and text forms that
// of slog where it has one, and other names in settings.
var names = []struct {
	level          slog.Level
	severity, name string
	others         []string
}{
	{slog.LevelDebug, "DEBUG", "DEBUG", []string{"trace"}},
	{slog.LevelInfo, "INFO", "INFO", []string{"default"}},
	{LevelNotice, "NOTICE", "NOTICE", nil},
	{slog.LevelWarn, "WARNING", "WARN", nil},
	{slog.LevelError, "ERROR", "ERROR", nil},
	{LevelCritical, "CRITICAL", "CRITICAL", []string{"fatal"}},
	{LevelAlert, "ALERT", "ALERT", nil},
	{LevelEmergency, "EMERGENCY", "EMERGENCY", nil},
}

// Level is a level as a settings file names it: debug, info, notice, warning
// (or warn), error, critical, alert, emergency, in any case, or a slog form
// like "INFO+1", or a number of slog's scale. The empty Level means the
// default of the setting that holds it.
type Level string

// LevelOf returns the settings form of a slog level.
func LevelOf(l slog.Level) Level { return Level(strings.ToLower(severity(l))) }

// Parse returns the slog level, or def for the empty Level.
func (l Level) Parse(def slog.Level) (slog.Level, error) {
	s := strings.TrimSpace(string(l))
	if s == "" {
		return def, nil
	}
	for _, n := range names {
		if slices.ContainsFunc(append(n.others, n.severity, n.name), func(name string) bool {
			return strings.EqualFold(name, s)
		}) {
			return n.level, nil
		}
	}
	if n, err := strconv.Atoi(s); err == nil {
		return slog.Level(n), nil
	}
	var sl slog.Level
	if err := sl.UnmarshalText([]byte(s)); err != nil {
		return def, fmt.Errorf("level %q is not known: use debug, info, notice, warning, error, critical, alert, "+
			"emergency, or a form like INFO+1", s)
	}
	return sl, nil
}

// UnmarshalText accepts what [Level.Parse] accepts.
func (l *Level) UnmarshalText(text []byte) error {
	if _, err := Level(text).Parse(0); err != nil {
		return err
	}
	*l = Level(strings.TrimSpace(string(text)))
	return nil
}

// severity gives the Cloud Logging name of a level: the highest one that is
// not above it. Below INFO all is DEBUG.
func severity(l slog.Level) string {
	for i := len(names) - 1; i > 0; i-- {
		if l >= names[i].level {
			return names[i].severity
		}
	}
	return names[0].severity
}

// levelName gives the name in the JSON and text forms: slog's own, and the
// names of the levels above.
func levelName(l slog.Level) string {
	for i := range names {
		if l == names[i].level {
			return names[i].name
		}
	}
	return l.String()
}
