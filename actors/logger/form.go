package logger

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"unsafe"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/task"
)

// form is how records look in one or more outputs. It is made once and never
// changed. Outputs with the same form share one encoding of a record.
type form struct {
	format      Format
	text        bool
	stackdriver bool
	colours     palette

	service  string
	project  string // of Google Cloud, for the names of traces
	maxLine  int
	source   bool
	insertID *idSource
	outputs  []*output
	min      slog.Level // the lowest that an output of this form takes

	redact      map[string]struct{} // lower-case keys; nil for none
	redactTypes map[reflect.Type]bool

	servicePart []byte // encoded: the service
	jobs        jobCache
	idlePart    []byte // encoded: the service, and the job of a call outside any task
}

func (f *form) init() {
	f.text = f.format == FormatText
	f.stackdriver = f.format == FormatStackdriver
	e := newEnc(f)
	defer e.free()
	e.b = append(e.b, ' ') // something for the first field to follow
	e.rawField("service", f.service)
	f.servicePart = append([]byte(nil), e.b[1:]...)
	e.job("", "")
	f.idlePart = append([]byte(nil), e.b[1:]...)
}

// rawField writes a field of the head: a reserved name, a string.
func (e *enc) rawField(name, value string) {
	if e.form.text {
		e.b = append(e.b, ' ')
		e.b = append(e.b, e.form.colours.dim...)
		e.b = append(e.b, name...)
		e.b = append(e.b, '=')
		e.b = append(e.b, e.form.colours.off...)
		e.b = appendTextValue(e.b, value)
		return
	}
	e.b = append(e.b, ',', '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
	e.str(value)
}

// identity writes the service, the job and the attempt of a record.
func (e *enc) identity(ctx context.Context) {
	origin, info := task.OriginOf(ctx)
	switch {
	case origin == (task.Origin{}):
		e.b = append(e.b, e.form.idlePart...)
	case info != nil && sameJob(origin, info):
		e.b = append(e.b, e.form.jobs.part(e.form, info)...)
	default:
		e.b = append(e.b, e.form.servicePart...)
		e.job(origin.ID, origin.Name)
		if info != nil {
			e.attempt(info)
		}
	}
}

// sameJob reports whether origin is the job of the task itself, not one that was set
// inside the task.
func sameJob(origin task.Origin, info *task.Info) bool {
	return origin.ID == cmp.Or(info.JobID, task.Unknown) && origin.Name == cmp.Or(info.JobName, task.Unknown)
}

// job writes a job's id and name. The text form is for people: it leaves out what is
// unknown. The others always have both, by contract with the Python chassis.
func (e *enc) job(id, name string) {
	if id = cmp.Or(id, task.Unknown); id != task.Unknown || !e.form.text {
		e.rawField("job_id", id)
	}
	if name = cmp.Or(name, task.Unknown); name != task.Unknown || !e.form.text {
		e.rawField("job_name", name)
	}
}

// attempt writes what names an attempt of a task.
func (e *enc) attempt(info *task.Info) {
	if info.ExecID != "" {
		e.rawField("exec_id", info.ExecID)
	}
	if info.Task != "" {
		e.rawField("task", info.Task)
	}
	if info.Attempt > 0 {
		e.uintField("attempt", uint64(info.Attempt))
	}
}

// jobCache holds the encoded identities of attempts that have logged of late.
// An Info is never changed, and the one in a slot cannot be collected and its
// address not be given to another, so the address says which it is.
type jobCache [256]atomic.Pointer[jobPart]

type jobPart struct {
	info *task.Info
	b    []byte
}

func (c *jobCache) part(f *form, info *task.Info) []byte {
	slot := &c[uintptr(unsafe.Pointer(info))>>6%uintptr(len(c))]
	if p := slot.Load(); p != nil && p.info == info {
		return p.b
	}
	e := newEnc(f)
	defer e.free()
	e.b = append(e.b, f.servicePart...)
	e.job(info.JobID, info.JobName)
	e.attempt(info)
	p := &jobPart{info: info, b: slices.Clone(e.b)}
	slot.Store(p)
	return p.b
}

// trace writes the trace that ctx belongs to, under the names of
// OpenTelemetry's "Trace Context in non-OTLP Log Formats", or Cloud Logging's.
func (e *enc) trace(ctx context.Context) {
	if ctx == nil {
		return
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return
	}
	tid, sid := sc.TraceID(), sc.SpanID()
	switch {
	case e.form.text:
		e.b = append(e.b, " trace_id="...)
		e.b = appendHex(e.b, tid[:])
		e.b = append(e.b, " span_id="...)
		e.b = appendHex(e.b, sid[:])
	case e.form.stackdriver:
		e.b = append(e.b, `,"logging.googleapis.com/trace":"`...)
		if e.form.project != "" {
			e.b = append(e.b, "projects/"...)
			e.b = appendEscaped(e.b, e.form.project)
			e.b = append(e.b, "/traces/"...)
		}
		e.b = appendHex(e.b, tid[:])
		e.b = append(e.b, `","logging.googleapis.com/spanId":"`...)
		e.b = appendHex(e.b, sid[:])
		e.b = append(e.b, `","logging.googleapis.com/trace_sampled":`...)
		e.b = strconv.AppendBool(e.b, sc.IsSampled())
	default:
		e.b = append(e.b, `,"trace_id":"`...)
		e.b = appendHex(e.b, tid[:])
		e.b = append(e.b, `","span_id":"`...)
		e.b = appendHex(e.b, sid[:])
		e.b = append(e.b, `","trace_flags":"`...)
		e.b = appendHex(e.b, []byte{byte(sc.TraceFlags())})
		e.b = append(e.b, '"')
	}
}

// reserved reports whether the form writes k itself, or its reader gives k a
// meaning of its own.
func (f *form) reserved(k string) bool {
	switch k {
	case "service", "job_id", "job_name", "exec_id", "task", "attempt", "sampled", "truncated":
		return true
	}
	if f.stackdriver {
		switch k {
		case "message", "timestamp", "severity", "module", "file", "line", "exception",
			"stack", "stack_trace", "serviceContext", "context", "httpRequest", "@type",
			// read as the time by Google's agents when they find them
			"time", "timestampSeconds", "timestampNanos":
			return true
		}
		const google = "logging.googleapis.com/"
		return len(k) > len(google) && k[:len(google)] == google
	}
	switch k {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "logger",
		"trace_id", "span_id", "trace_flags":
		return true
	}
	return false
}

// head writes what stands before the attributes.
func (f *form) head(e *enc, ctx context.Context, r *slog.Record, name string) {
	switch {
	case f.text:
		f.textHead(e, r, name)
		return
	case f.stackdriver:
		f.stackdriverHead(e, r, name)
	default:
		f.jsonHead(e, r, name)
	}
	e.identity(ctx)
	e.trace(ctx)
}

// tail writes what stands after them, and ends the line.
func (f *form) tail(e *enc, ctx context.Context, r *slog.Record) {
	switch {
	case f.text:
		f.textTail(e, ctx, r)
		return
	case f.stackdriver:
		f.stackdriverTail(e, r)
	}
	e.b = append(e.b, '}', '\n')
}

func (f *form) jsonHead(e *enc, r *slog.Record, name string) {
	if r.Time.IsZero() {
		e.b = append(e.b, `{"level":"`...)
	} else {
		e.b = append(e.b, `{"time":"`...)
		e.stamp(r.Time)
		e.b = append(e.b, `","level":"`...)
	}
	e.b = append(e.b, levelName(r.Level)...)
	f.jsonNames(e, r.Message, name)
	if f.source && r.PC != 0 {
		e.b = append(e.b, sourceOf(r.PC).json...)
	}
}

// jsonNames writes the message and the name of the logger.
func (f *form) jsonNames(e *enc, msg, name string) {
	e.b = append(e.b, `","msg":`...)
	e.str(msg)
	if name != "" {
		e.rawField("logger", name)
	}
}
