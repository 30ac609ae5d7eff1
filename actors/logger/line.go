package logger

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"
)

// Line is a log line that is written often: its message, its keys and what With has given
// its handler are encoded once, and [Line.Write] adds the values. What is written is what
// [Handle] writes. A Line is safe for several goroutines.
//
//	line := logger.NewLine(log.Handler(), "request", "status", "duration")
//	line.Write(ctx, time.Now(), slog.LevelInfo, slog.IntValue(200), slog.DurationValue(took))
type Line struct {
	h     slog.Handler
	own   *handler // nil: the keys are not encoded
	msg   string
	keys  []string
	heads [][][]byte // of each form, of each value: what stands before it
}

// NewLine returns the line of a handler. The keys are encoded if the handler is that of a
// [Logger] without hooks, no group is open, and each key is plain: it is written once, as it
// is, and its value is not redacted.
func NewLine(h slog.Handler, msg string, keys ...string) *Line {
	l := &Line{h: h, msg: msg, keys: keys}
	own, ok := h.(*handler)
	if !ok || own.hooks != nil {
		return l
	}
	for i, f := range own.l.forms {
		heads := own.parts[i].heads(f, keys)
		if heads == nil {
			return l
		}
		l.heads = append(l.heads, heads)
	}
	l.own = own
	return l
}

// heads returns what stands before the values of keys, or nil if that depends on the record.
func (p *part) heads(f *form, keys []string) [][]byte {
	if p.closed || p.opened > 0 || len(p.pending) > 0 || p.special != nil {
		return nil
	}
	e := newEnc(f)
	defer e.free()
	e.b = append(e.b, ' ') // something for the first field to follow
	e.restore(p)
	heads := make([][]byte, len(keys))
	for i, k := range keys {
		if k == "" || k == badKey || f.mustRedact(k) || e.has(e.name(k)) {
			return nil
		}
		from := len(e.b)
		e.key(e.name(k))
		heads[i] = bytes.Clone(e.b[from:])
		e.b = append(e.b, '0') // its value
	}
	return heads
}

// Write writes the line with a value for each key, in their order. The handler must be
// enabled for the level.
func (l *Line) Write(ctx context.Context, at time.Time, level slog.Level, values ...slog.Value) {
	if l.own != nil && len(values) == len(l.keys) && !slices.ContainsFunc(values, odd) {
		r := slog.Record{Time: at, Level: level, Message: l.msg}
		l.own.writeLine(ctx, &r, l, values)
		return
	}
	attrs := make([]slog.Attr, 0, len(l.keys))
	for i, k := range l.keys {
		if i < len(values) {
			attrs = append(attrs, slog.Attr{Key: k, Value: values[i]})
		}
	}
	_ = Handle(ctx, l.h, at, level, l.msg, attrs...)
}

// odd reports whether a value may decide by itself what is written.
func odd(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
		return true
	}
	return false
}

// encodeLine writes the whole line.
func (h *handler) encodeLine(e *enc, i int, ctx context.Context, r *slog.Record, l *Line, values []slog.Value,
	sampled uint64,
) {
	e.form.head(e, ctx, r, h.name)
	if sampled > 0 {
		e.uintField("sampled", sampled)
	}
	e.b = append(e.b, h.parts[i].pre...)
	e.lost += h.parts[i].lost
	for j := range values {
		e.b = append(e.b, l.heads[i][j]...)
		e.value(values[j], values[j].Kind())
	}
	e.form.tail(e, ctx, r)
	if len(e.b) > e.form.maxLine {
		e.b = cutLine(e.form, e.b, e.lost)
	}
}
