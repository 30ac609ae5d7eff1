package logger

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
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
	forms []lineForm
}

// lineForm is what a Line has encoded for one form.
type lineForm struct {
	heads  [][]byte // of each value: what stands before it
	middle []byte   // JSON: from the message to the key of the job's id; nil in other forms
	job    atomic.Pointer[lineJob]
}

// lineJob is a job's name, and the field that says it.
type lineJob struct {
	name string
	b    []byte
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
	l.forms = make([]lineForm, len(own.l.forms))
	for i, f := range own.l.forms {
		heads := own.parts[i].heads(f, keys)
		if heads == nil {
			return l
		}
		l.forms[i].heads, l.forms[i].middle = heads, f.lineMiddle(own.name, msg)
	}
	l.own = own
	return l
}

// lineMiddle returns what the JSON form writes of a line between its level and its job's id.
func (f *form) lineMiddle(name, msg string) []byte {
	if f.text || f.stackdriver {
		return nil
	}
	e := newEnc(f)
	defer e.free()
	f.jsonNames(e, msg, name)
	e.b = append(e.b, f.servicePart...)
	if e.lost > 0 {
		return nil // each line says how much it has lost
	}
	return append(bytes.Clone(e.b), `,"job_id":`...)
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
	if l.own != nil && len(values) == len(l.keys) && !anyOdd(values) {
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

// anyOdd reports whether one of the values may decide by itself what is written.
func anyOdd(values []slog.Value) bool {
	for i := range values {
		switch values[i].Kind() {
		case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
			return true
		}
	}
	return false
}

// encodeLine writes the whole line.
func (h *handler) encodeLine(e *enc, i int, ctx context.Context, r *slog.Record, l *Line, values []slog.Value,
	sampled uint64,
) {
	own := &l.forms[i]
	if own.middle == nil || !own.jsonHead(e, ctx, r) {
		e.form.head(e, ctx, r, h.name)
	}
	if sampled > 0 {
		e.uintField("sampled", sampled)
	}
	e.b = append(e.b, h.parts[i].pre...)
	e.lost += h.parts[i].lost
	for j := range values {
		e.b = append(e.b, own.heads[j]...)
		e.value(values[j], values[j].Kind())
	}
	e.form.tail(e, ctx, r)
	if len(e.b) > e.form.maxLine {
		e.b = cutLine(e.form, e.b, e.lost)
	}
}

// jsonHead is form.head for the JSON form. It reports false, and has written nothing, if ctx
// has no job of [task.WithOrigin].
func (l *lineForm) jsonHead(e *enc, ctx context.Context, r *slog.Record) bool {
	origin, info := task.OriginOf(ctx)
	if info != nil || origin == (task.Origin{}) || r.Time.IsZero() {
		return false
	}
	e.b = append(e.b, `{"time":"`...)
	e.stamp(r.Time)
	e.b = append(e.b, `","level":"`...)
	e.b = append(e.b, levelName(r.Level)...)
	e.b = append(e.b, l.middle...)
	e.str(origin.ID)
	if job := l.job.Load(); job != nil && job.name == origin.Name {
		e.b = append(e.b, job.b...)
	} else {
		from := len(e.b)
		e.rawField("job_name", origin.Name)
		if job == nil && len(origin.Name) <= clip.Name { // most lines have the name of the first
			l.job.CompareAndSwap(nil, &lineJob{origin.Name, bytes.Clone(e.b[from:])})
		}
	}
	e.trace(ctx)
	return true
}
