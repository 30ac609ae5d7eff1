package task

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
)

// Encode makes the message that runs the task name with args. The body is args as
// JSON, written as Python's json.dumps writes it. now is the when of a message that
// is not scheduled.
func Encode(name string, args any, now time.Time, opts ...Option) (*Outgoing, error) {
	return EncodeContext(context.Background(), name, args, now, opts...)
}

// EncodeContext is [Encode] with a ctx for what an envelope has to ask, a key service or a
// store: see [SealedBy]. Without an envelope it does not block.
func EncodeContext(ctx context.Context, name string, args any, now time.Time, opts ...Option) (*Outgoing, error) {
	s := sending{out: Outgoing{Name: name, Room: Room},
		msg: Message{Name: name, JobID: Unknown, JobName: Unknown, When: now}}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	if err := s.validate(now); err != nil {
		return nil, fmt.Errorf("send task %q: %w", name, err)
	}
	body, err := encodeBody(args)
	if err != nil {
		return nil, fmt.Errorf("send task %q: its arguments of type %T cannot be JSON: %w", name, args, err)
	}
	if s.msg.ExecID == "" {
		s.msg.ExecID = uuid.NewString()
	}
	if err := s.withTenant(args); err != nil {
		return nil, fmt.Errorf("send task %q: %w", name, err)
	}
	s.msg.Body = body
	if err := s.seal(ctx); err != nil {
		return nil, fmt.Errorf("send task %q: %w", name, err)
	}
	s.out.Body, s.out.ExecID, s.out.When = s.msg.Body, s.msg.ExecID, s.msg.When
	s.out.Attributes = s.msg.Attributes()
	if s.msg.TraceParent() != "" {
		s.out.TraceHeader = AWSTraceHeader(s.msg.Trace(""))
	}
	if n := Size(s.out.Body, s.out.Attributes); n > MaxSize-Room {
		return nil, fmt.Errorf("send task %q: the message has %d bytes, it may have %d (SQS takes %d, and some "+
			"stay free for a dead letter's reason): put the data elsewhere and send where "+
			"it is", name, n, MaxSize-Room, MaxSize)
	}
	return &s.out, nil
}

// Attributes writes m's attributes. Where they are more than SQS allows, ours
// that the Python chassis does not know, and then the last of Extra by name,
// go into [AttrMore], from which [Decode] takes them back.
func (m *Message) Attributes() map[string]types.MessageAttributeValue {
	attrs := make(map[string]types.MessageAttributeValue, 5+len(m.Extra))
	put := func(name, value string) {
		if value != "" {
			kept := value // on the heap where there is one alone
			attrs[name] = types.MessageAttributeValue{DataType: &stringType, StringValue: &kept}
		}
	}
	for name, v := range m.Extra {
		if v.DataType != nil {
			attrs[name] = v
		}
	}
	for name, v := range m.Newer {
		if v.DataType != nil {
			attrs[name] = v
		}
	}
	put(AttrName, clean(m.Name))
	put(AttrExecID, clean(m.ExecID))
	put(AttrJobID, clean(m.JobID))
	put(AttrJobName, clean(m.JobName))
	if when, other := m.when(); !when.IsZero() {
		put(AttrWhen, when.Format(WhenLayout))
		if other && !m.When.IsZero() {
			put(AttrFar, m.When.UTC().Format(time.RFC3339Nano))
		}
	}
	if m.Failures > 0 || m.Counted {
		put(AttrFailures, strconv.Itoa(m.Failures))
	}
	if m.Attempts > m.Failures {
		put(AttrAttempts, strconv.Itoa(m.Attempts))
	}
	switch {
	case m.Due:
		put(AttrNotBefore, NotBeforeDue)
	case !m.NotBefore.IsZero():
		put(AttrNotBefore, m.NotBefore.UTC().Format(time.RFC3339Nano))
	}
	if m.Unknown > 0 {
		put(AttrUnknown, strconv.Itoa(m.Unknown))
	}
	if m.Silent > 0 {
		put(AttrSilent, strconv.Itoa(m.Silent))
	}
	put(AttrError, ErrorText(m.LastError))
	put(AttrReason, clean(m.Reason))
	put(AttrEnvelope, clean(m.Envelope))
	put(AttrUnique, clean(m.Unique))
	put(AttrReply, clean(m.Reply))
	put(AttrTenant, m.Tenant)
	if !m.Unopened.IsZero() {
		put(AttrUnopened, m.Unopened.UTC().Format(time.RFC3339Nano))
	}
	if !m.First.IsZero() {
		put(AttrFirst, m.First.UTC().Format(time.RFC3339Nano))
	}
	switch {
	case len(m.Steps) == 0:
	case isText(m.Steps):
		put(AttrSteps, string(m.Steps))
	default:
		attrs[AttrSteps] = types.MessageAttributeValue{DataType: &binaryType, BinaryValue: m.Steps}
	}
	if len(attrs) > MaxAttributes {
		fold(attrs)
	}
	return attrs
}

// The first and last times that [WhenLayout] can hold.
var (
	firstWhen = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)
	lastWhen  = time.Date(2068, 12, 31, 23, 59, 59, 0, time.UTC)
)

// when returns what [AttrWhen] is to say, and whether that is not the time that
// was asked for. A consumer that knows nothing of a not-before waits by it.
func (m *Message) when() (when time.Time, other bool) {
	when = m.When
	if !m.Due && m.NotBefore.After(when) {
		when, other = ceilSecond(m.NotBefore), true
	}
	switch when = when.UTC(); {
	case when.IsZero():
	case when.Before(firstWhen):
		return firstWhen, true
	case when.After(lastWhen):
		return lastWhen, true
	}
	return when, other
}

// ceilSecond rounds up, for nothing may come before its time.
func ceilSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}

var stringType, binaryType = "String", "Binary"

// isContract reports whether the Python chassis needs the attribute.
func isContract(name string) bool {
	switch name {
	case AttrName, AttrExecID, AttrWhen, AttrJobID, AttrJobName:
		return true
	}
	return false
}

// folded is an attribute inside AttrMore.
type folded struct {
	Type   string `json:"t,omitempty"` // "String" if absent
	Text   string `json:"s,omitempty"`
	Binary []byte `json:"b,omitempty"`
}

func fold(attrs map[string]types.MessageAttributeValue) {
	names := slices.Collect(maps.Keys(attrs))
	slices.SortFunc(names, func(a, b string) int { // those to be folded first in front
		if oa, ob := strings.HasPrefix(a, "chassis."), strings.HasPrefix(b, "chassis."); oa != ob {
			if oa {
				return -1
			}
			return 1
		}
		if sa, sb := a == AttrSteps, b == AttrSteps; sa != sb { // the longest of ours, and Base64 makes it longer
			if sb {
				return -1
			}
			return 1
		}
		return strings.Compare(b, a)
	})
	more := map[string]folded{}
	for _, name := range names {
		if len(attrs)+1 <= MaxAttributes {
			break
		}
		if isContract(name) {
			continue
		}
		v := attrs[name]
		f := folded{Binary: v.BinaryValue}
		if *v.DataType != stringType {
			f.Type = *v.DataType
		}
		if v.StringValue != nil {
			f.Text = *v.StringValue
		}
		more[name] = f
		delete(attrs, name)
	}
	text, err := json.Marshal(more)
	if err != nil { // strings and bytes only: cannot be
		panic(err)
	}
	s := pythonJSON(text)
	attrs[AttrMore] = types.MessageAttributeValue{DataType: &stringType, StringValue: &s}
}

func encodeBody(args any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(args); err != nil {
		return "", err
	}
	return pythonJSON(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// pythonJSON writes compact JSON as json.dumps does by default: a space after
// each comma and colon, and only ASCII, which also keeps out the characters
// that SQS does not take.
func pythonJSON(src []byte) string {
	var b strings.Builder
	b.Grow(len(src) + len(src)/8)
	inString := false
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case inString && c == '\\':
			b.WriteByte(c)
			i++
			b.WriteByte(src[i])
		case c == '"':
			inString = !inString
			b.WriteByte(c)
		case inString && c >= 0x7f:
			i += escapeRune(&b, src[i:]) - 1
		case !inString && (c == ',' || c == ':'):
			b.WriteByte(c)
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Size is what SQS counts against [MaxSize].
func Size(body string, attrs map[string]types.MessageAttributeValue) int {
	n := len(body)
	for name, v := range attrs {
		n += len(name) + len(v.BinaryValue)
		if v.DataType != nil {
			n += len(*v.DataType)
		}
		if v.StringValue != nil {
			n += len(*v.StringValue)
		}
	}
	return n
}
