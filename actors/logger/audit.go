package logger

import "log/slog"

// Audit returns a logger for records that must not be lost, like the acts of
// operators. No level, output level, sampling or overflow policy keeps a
// record back, and the call returns when the output has taken it, as for an
// ERROR. The record shows its own level. SetLevel has no effect on it.
func (l *Logger) Audit(name string) *slog.Logger {
	h := l.root.clone()
	h.audit = true
	return slog.New(h).With(Name(name))
}
