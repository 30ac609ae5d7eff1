package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/contrib/bridges/otelslog"
)

// hook hands the records of a service's log to the exporter, and ends all exporters
// when the log ends.
type hook struct {
	of     *exports
	to     slog.Handler // nil: logs are off
	closed bool         // the name of its group is redacted: no attribute is passed on
}

func newHook(e *exports, service string) *hook {
	h := &hook{of: e}
	if e.logs != nil {
		h.to = otelslog.NewHandler(service, otelslog.WithLoggerProvider(e.logs))
	}
	return h
}

// Enabled implements slog.Handler.
func (h *hook) Enabled(context.Context, slog.Level) bool { return h.to != nil }

// Handle implements slog.Handler. Records from before the service is made are left out.
func (h *hook) Handle(ctx context.Context, r slog.Record) error {
	log := h.of.log.Load()
	if log == nil {
		return nil
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	if !h.closed {
		r.Attrs(func(a slog.Attr) bool {
			out.AddAttrs(log.Redacted(a))
			return true
		})
	}
	return h.to.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *hook) WithAttrs(attrs []slog.Attr) slog.Handler {
	if h.to == nil || h.closed {
		return h
	}
	kept := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		kept[i] = h.redacted(a)
	}
	return &hook{of: h.of, to: h.to.WithAttrs(kept)}
}

// WithGroup implements slog.Handler.
func (h *hook) WithGroup(name string) slog.Handler {
	switch {
	case h.to == nil || h.closed:
		return h
	case h.redacted(slog.String(name, "")).Value.String() != "":
		return &hook{of: h.of, to: h.to, closed: true}
	}
	return &hook{of: h.of, to: h.to.WithGroup(name)}
}

// redacted returns a as the outputs write it. Before the service is made only the
// chassis itself makes loggers.
func (h *hook) redacted(a slog.Attr) slog.Attr {
	if log := h.of.log.Load(); log != nil {
		return log.Redacted(a)
	}
	return a
}

// Shutdown ends all exporters. The logger calls it after its last record.
func (h *hook) Shutdown(ctx context.Context) error { return h.of.end(ctx) }
