package logger

import (
	"fmt"
	"log/slog"
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
	switch strings.ToLower(s) {
	case "":
		return def, nil
	case "debug", "trace":
		return slog.LevelDebug, nil
	case "info", "default":
		return slog.LevelInfo, nil
	case "notice":
		return LevelNotice, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "critical", "fatal":
		return LevelCritical, nil
	case "alert":
		return LevelAlert, nil
	case "emergency":
		return LevelEmergency, nil
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
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < LevelNotice:
		return "INFO"
	case l < slog.LevelWarn:
		return "NOTICE"
	case l < slog.LevelError:
		return "WARNING"
	case l < LevelCritical:
		return "ERROR"
	case l < LevelAlert:
		return "CRITICAL"
	case l < LevelEmergency:
		return "ALERT"
	}
	return "EMERGENCY"
}

// levelName gives the name in the JSON and text forms: slog's own, and the
// names of the levels above.
func levelName(l slog.Level) string {
	switch l {
	case slog.LevelDebug:
		return "DEBUG"
	case slog.LevelInfo:
		return "INFO"
	case slog.LevelWarn:
		return "WARN"
	case slog.LevelError:
		return "ERROR"
	case LevelNotice:
		return "NOTICE"
	case LevelCritical:
		return "CRITICAL"
	case LevelAlert:
		return "ALERT"
	case LevelEmergency:
		return "EMERGENCY"
	}
	return l.String()
}
