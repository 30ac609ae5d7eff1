package logger

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// handler implements [slog.Handler]. It is immutable: With makes a new one.
type handler struct {
	l      *Logger
	name   string
	level  *levelNode
	parts  []part // one a form, in the order of l.forms
	groups int    // groups that were opened by WithGroup
	hooks  []slog.Handler
	system bool // the actor system's own records: never wait
	audit  bool // of Logger.Audit: no level, sample or policy keeps a record back
}

// part is what With has encoded for one form.
type part struct {
	pre     []byte  // fields, each with its comma, and open groups
	fields  []field // of the group that is open, counted from the start of pre
	mask    uint64
	lost    int    // bytes of values that pre has not got
	prefix  []byte // text: the open groups
	opened  int    // groups that are open in pre
	closed  bool   // the last group's name is redacted: nothing more is written
	pending []string
	special *special // never changed: a With copies it
}

// NamesJobs reports whether h is the handler of a [Logger]: its records have the job
// of their ctx, and need no attribute that says it again.
func NamesJobs(h slog.Handler) bool {
	_, ok := h.(*handler)
	return ok
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.audit || level >= h.level.enabled()
}

// Handle implements [slog.Handler]. It returns when the record is in the
// buffer, or for ERROR and above when the output has taken it.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.write(ctx, &r, nil) || h.hooks == nil {
		return nil
	}
	return h.callHooks(ctx, r)
}

// Handle hands a record to h: at, level, message and attributes, without a source.
// It is [slog.Handler.Handle] for callers on a path where each record counts: the
// handler of a [Logger] without hooks takes the attributes as they are, where a
// [slog.Record] is copied at each step. h must be enabled for the level.
func Handle(ctx context.Context, h slog.Handler, at time.Time, level slog.Level, msg string,
	attrs ...slog.Attr,
) error {
	r := slog.Record{Time: at, Level: level, Message: msg}
	if own, ok := h.(*handler); ok && own.hooks == nil {
		own.write(ctx, &r, attrs)
		return nil
	}
	r.AddAttrs(slices.Clone(attrs)...)
	return h.Handle(ctx, r)
}

// write encodes a record, with more attributes after its own, and hands it to the
// outputs. It reports false if the record is left out as a sample.
func (h *handler) write(ctx context.Context, r *slog.Record, more []slog.Attr) bool {
	weight, sampled, keep := h.weigh(r)
	for i, f := range h.l.forms {
		if !keep || weight < f.min {
			continue // no output of this form wants it
		}
		e := newEnc(f)
		h.encode(e, &h.parts[i], ctx, r, more, sampled)
		e.submit(weight, h.system)
	}
	return keep
}

// writeLine is write for a [Line].
func (h *handler) writeLine(ctx context.Context, r *slog.Record, l *Line, values []slog.Value) {
	weight, sampled, keep := h.weigh(r)
	for i, f := range h.l.forms {
		if !keep || weight < f.min {
			continue
		}
		e := newEnc(f)
		h.encodeLine(e, i, ctx, r, l, values, sampled)
		e.submit(weight, h.system)
	}
}

// weigh returns the level that outputs decide by, how many records the record stands for,
// and whether it is kept.
func (h *handler) weigh(r *slog.Record) (weight slog.Level, sampled uint64, keep bool) {
	weight, keep = r.Level, true
	if h.audit {
		weight = LevelEmergency
	}
	if h.l.sampler != nil && weight < slog.LevelError {
		keep, sampled = h.l.sampler.check(r.Time, r.Level, r.Message)
	}
	return weight, sampled, keep
}

// submit hands the line to the outputs of its form.
func (e *enc) submit(weight slog.Level, system bool) {
	for _, o := range e.form.outputs {
		o.submit(e.b, weight, system)
	}
	e.free()
}

// encode writes the whole line.
func (h *handler) encode(e *enc, p *part, ctx context.Context, r *slog.Record, more []slog.Attr, sampled uint64) {
	e.inherit(p.special)
	e.form.head(e, ctx, r, h.name)
	if sampled > 0 {
		e.uintField("sampled", sampled)
	}
	e.restore(p)
	opened, closed := p.opened, p.closed
	if len(p.pending) > 0 && !closed && !(emptyRecord(r) && emptyGroup(more)) {
		var n int
		n, closed = e.begin(p.pending)
		opened += n
	}
	if !closed {
		if r.NumAttrs() > 0 {
			r.Attrs(func(a slog.Attr) bool {
				e.attr(&a)
				return true
			})
		}
		e.attrs(more)
	}
	e.inheritError(p.special)
	if !e.form.text {
		for range opened {
			e.b = append(e.b, '}')
		}
	}
	e.form.tail(e, ctx, r)
	if len(e.b) > e.form.maxLine {
		e.b = cutLine(e.form, e.b, e.lost)
	}
}

// restore goes on after what With has encoded.
func (e *enc) restore(p *part) {
	base := uint32(len(e.b))
	e.b = append(e.b, p.pre...)
	for _, f := range p.fields {
		f.start += base
		f.key += base
		f.end += base
		e.fields = append(e.fields, f)
	}
	e.mask = p.mask
	e.lost += p.lost
	e.prefix = append(e.prefix, p.prefix...)
	e.depth = p.opened
}

// begin opens groups and returns how many. A group with a redacted name is
// written as a redacted value, and closed: nothing belongs into it.
func (e *enc) begin(groups []string) (opened int, closed bool) {
	for i, g := range groups {
		if e.form.mustRedact(g) {
			e.redactedField(g)
			return i, true
		}
		e.open(e.name(g))
	}
	return len(groups), false
}

func emptyRecord(r *slog.Record) bool {
	empty := true
	r.Attrs(func(a slog.Attr) bool {
		empty = emptyAttr(&a)
		return empty
	})
	return empty
}

// WithAttrs implements [slog.Handler]. The attributes are encoded here, once.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	h2 := h.clone()
	for i, hook := range h2.hooks {
		h2.hooks[i] = hook.WithAttrs(attrs)
	}
	if h.groups == 0 {
		attrs = slices.DeleteFunc(slices.Clone(attrs), func(a slog.Attr) bool {
			n, ok := a.Value.Any().(loggerName)
			if ok && a.Key == nameKey {
				h2.name, h2.level = string(n), h.l.levels.node(string(n))
			}
			return ok
		})
	}
	if emptyGroup(attrs) {
		return h2
	}
	for i, f := range h.l.forms {
		h2.parts[i] = h.parts[i].with(f, attrs)
	}
	return h2
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := h.clone()
	h2.groups++
	for i, hook := range h2.hooks {
		h2.hooks[i] = hook.WithGroup(name)
	}
	for i := range h2.parts {
		p := &h2.parts[i]
		p.pending = append(slices.Clip(p.pending), name)
	}
	return h2
}

func (h *handler) clone() *handler {
	h2 := *h
	h2.parts = slices.Clone(h.parts)
	h2.hooks = slices.Clone(h.hooks)
	return &h2
}

// with returns p with attrs encoded after what is there. Nothing of p is
// shared with the result, so siblings never write into one another's tail.
func (p part) with(f *form, attrs []slog.Attr) part {
	if p.closed {
		return p
	}
	e := newEnc(f)
	defer e.free()
	const base = 1
	e.b = append(e.b, ' ') // something for the first field to follow
	e.restore(&p)
	e.inherit(p.special)
	opened, closed := e.begin(p.pending)
	if !closed {
		e.attrs(attrs)
	}
	out := part{
		pre:     slices.Clone(e.b[base:]),
		fields:  slices.Clone(e.fields[e.level:]),
		mask:    e.mask,
		lost:    e.lost,
		prefix:  slices.Clone(e.prefix),
		opened:  p.opened + opened,
		closed:  closed,
		special: e.special,
	}
	e.inheritError(p.special)
	if out.special != nil {
		out.special.labels = maps.Clone(out.special.labels) // the caller's map may change
	}
	for i := range out.fields {
		out.fields[i].start -= base
		out.fields[i].key -= base
		out.fields[i].end -= base
	}
	return out
}
