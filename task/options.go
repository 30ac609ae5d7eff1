package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/trace"
)

// Option changes one message that is sent.
type Option func(*sending)

type sending struct {
	out    Outgoing
	msg    Message
	want   Sealing
	sealer Sealer
	errs   []error

	tenant   string
	tenantOf func(args any) (string, error) // of the definition; nil: none
}

// Delay hides the message for d after it was sent: 0 to 15 minutes, whole
// seconds (an SQS limit). For longer, and on FIFO queues, use [At].
func Delay(d time.Duration) Option {
	return func(s *sending) {
		s.out.Delay = d
		if d < 0 || d > MaxDelay || d%time.Second != 0 {
			s.fail("Delay(%v): SQS takes whole seconds from 0 to %v; use At for longer", d, MaxDelay)
		}
	}
}

// At schedules the task for t, any time, a fraction of a second rounded up. It runs at
// t less the window of its task at the earliest; see [Window].
func At(t time.Time) Option {
	return func(s *sending) {
		t = ceilSecond(t) // the message has whole seconds, and must not run before t
		if t.IsZero() || t.Year() > 9999 {
			s.fail("At(%v): no time to run at; its year must be at most 9999", t)
			return
		}
		s.msg.When = t
	}
}

// ForJob says which job the task belongs to; an empty part is [Unknown].
func ForJob(id, name string) Option {
	return func(s *sending) {
		s.msg.JobID, s.msg.JobName = id, name
		if id == "" {
			s.msg.JobID = Unknown
		}
		if name == "" {
			s.msg.JobName = Unknown
		}
	}
}

// FromContext carries on what ctx belongs to: the job of the running task or of
// [WithOrigin], and the trace. Without them it does nothing. Later options override it.
func FromContext(ctx context.Context) Option {
	origin, _ := OriginOf(ctx)
	span := trace.SpanContextFromContext(ctx)
	if origin == (Origin{}) && !span.IsValid() {
		return nil
	}
	return func(s *sending) {
		if origin != (Origin{}) {
			ForJob(origin.ID, origin.Name)(s)
		}
		s.msg.SetTrace(span)
	}
}

// Pool sends to another pool than the sender's own. To another pool any task
// name goes.
func Pool(name string) Option { return func(s *sending) { s.out.Pool = name } }

// Group is the message group: on a FIFO queue its messages run one after the
// other in their order; on a standard queue it makes the queue fair. See [Tenant], which
// means the latter on either.
func Group(id string) Option { return func(s *sending) { s.out.GroupID = id } }

// Dedup is the deduplication id of a message on a FIFO queue: of those with
// one id SQS takes only the first within five minutes.
func Dedup(id string) Option { return func(s *sending) { s.out.DedupID = id } }

// ExecID sets the id of this execution command, which is otherwise a new UUID.
func ExecID(id string) Option {
	return func(s *sending) {
		s.msg.ExecID = id
		if id == "" || id != clean(id) {
			s.fail("ExecID(%q): must not be empty nor hold characters that SQS does not take", id)
		}
	}
}

// Attribute adds a string attribute of the caller's own. The handler finds it in
// [Info.Extra], and every copy of the message keeps it. SQS takes ten attributes a
// message; five are taken, six with a [Tenant].
func Attribute(name, value string) Option {
	return func(s *sending) {
		if isReserved(name) {
			s.fail("Attribute(%q): the name is reserved", name)
			return
		}
		if name == "" || value == "" {
			s.fail("Attribute(%q, %q): name and value must not be empty", name, value)
			return
		}
		if s.msg.Extra == nil {
			s.msg.Extra = map[string]types.MessageAttributeValue{}
		}
		value = clean(value)
		s.msg.Extra[name] = types.MessageAttributeValue{DataType: &stringType, StringValue: &value}
	}
}

// TraceParent attaches a W3C trace context; empty attaches none.
func TraceParent(value string) Option {
	if value == "" {
		return nil
	}
	return Attribute(AttrTraceParent, value)
}

// PoolOf is the pool that opts name, or "" for the sender's own.
func PoolOf(opts ...Option) string {
	var s sending
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s.out.Pool
}

// NamesOne reports whether opts give a message an id or a key of its own, by [ExecID],
// [Dedup] or [Unique].
// The queue or a log could not distinguish two messages with the same options.
func NamesOne(opts ...Option) bool {
	var s sending
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s.msg.ExecID != "" || s.out.DedupID != "" || s.out.OneOf.Key != ""
}

func (s *sending) fail(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

func (s *sending) validate(now time.Time) error {
	if s.out.Name == "" {
		s.fail("the name is empty")
	}
	if s.out.Name != clean(s.out.Name) {
		s.fail("the name holds characters that SQS does not take")
	}
	if s.msg.When.IsZero() {
		s.msg.When = now
	}
	return errors.Join(s.errs...)
}
