package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
)

// WireError says what is wrong with a message on the queue. After a fatal one no
// process can run it; the others are corrected and worth a log record.
type WireError struct {
	Attribute string // the attribute, or "body"
	Problem   string // what was found and what is done about it
	Fatal     bool
}

func (e *WireError) Error() string { return e.Attribute + ": " + e.Problem }

// Decode reads a message of the queue. It returns a usable Message in every
// case, and every defect, joined, each a [*WireError]: nil for a sound one.
// A missing exec_id is replaced by a new one. The body is not parsed; see
// [Message.CheckBody].
func Decode(body string, attrs map[string]types.MessageAttributeValue) (Message, error) {
	d := decoder{msg: Message{Body: body, JobID: Unknown, JobName: Unknown}}
	for name, v := range attrs {
		if name != AttrMore {
			d.attribute(name, v)
		}
	}
	if v, ok := attrs[AttrMore]; ok {
		d.unfold(v)
	}
	return d.read()
}

// Texts are message attributes that hold text, each with its type.
type Texts []struct{ Name, Type, Value string }

// DecodeTexts is [Decode] for attributes that all hold text. The message keeps parts of
// texts.
func DecodeTexts(body string, texts Texts) (Message, error) {
	d := decoder{msg: Message{Body: body, JobID: Unknown, JobName: Unknown}}
	more := -1
	for i := range texts {
		if a := &texts[i]; a.Name == AttrMore {
			more = i
		} else {
			d.attribute(a.Name, types.MessageAttributeValue{DataType: &a.Type, StringValue: &a.Value})
		}
	}
	if more >= 0 {
		d.unfold(types.MessageAttributeValue{StringValue: &texts[more].Value})
	}
	return d.read()
}

// read returns what the attributes say together.
func (d *decoder) read() (Message, error) {
	switch {
	case !d.far.IsZero():
		d.msg.When = d.far
	case !d.msg.NotBefore.IsZero():
		// A copy of a message without a when has one for other consumers to wait by.
		if stated, _ := (&Message{NotBefore: d.msg.NotBefore}).when(); d.msg.When.Equal(stated) {
			d.msg.When = time.Time{}
		}
	}
	d.msg.Attempts = max(d.msg.Attempts, d.msg.Failures)
	if d.msg.Name == "" {
		d.defect(AttrName, "is missing", false)
	}
	if d.msg.ExecID == "" {
		d.msg.ExecID = uuid.NewString()
		d.defect(AttrExecID, "is missing: a new one is "+d.msg.ExecID, false)
	}
	if len(d.errs) == 0 {
		return d.msg, nil
	}
	return d.msg, errors.Join(d.errs...)
}

// Fatal returns the first defect in err after which no process can run the message,
// or nil.
func Fatal(err error) *WireError {
	if err == nil {
		return nil
	}
	list := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		list = j.Unwrap()
	}
	for _, e := range list {
		var w *WireError
		if errors.As(e, &w) && w.Fatal {
			return w
		}
	}
	return nil
}

// CheckBody returns an error unless the body is one JSON value.
func (m *Message) CheckBody() error {
	if json.Valid([]byte(m.Body)) {
		return nil
	}
	var v any
	err := json.Unmarshal([]byte(m.Body), &v)
	return &WireError{Attribute: "body", Problem: fmt.Sprintf("not one JSON value: %v%s", err, notANumber(err)),
		Fatal: true}
}

type decoder struct {
	msg  Message
	far  time.Time
	errs []error
}

func (d *decoder) defect(attr, problem string, fatal bool) {
	d.errs = append(d.errs, &WireError{Attribute: attr, Problem: problem, Fatal: fatal})
}

func isReserved(name string) bool {
	return isContract(name) || strings.HasPrefix(name, "chassis.")
}

func (d *decoder) attribute(name string, v types.MessageAttributeValue) {
	if !isReserved(name) {
		if d.msg.Extra == nil {
			d.msg.Extra = map[string]types.MessageAttributeValue{}
		}
		d.msg.Extra[name] = v
		return
	}
	if name == AttrSteps && len(v.BinaryValue) > 0 {
		d.msg.Steps = v.BinaryValue
		return
	}
	if !isKnown(name) {
		if d.msg.Newer == nil {
			d.msg.Newer = map[string]types.MessageAttributeValue{}
		}
		d.msg.Newer[name] = v
		return
	}
	if v.StringValue == nil {
		d.defect(name, "has no string value", name == AttrWhen)
		return
	}
	s := *v.StringValue
	switch name {
	case AttrName:
		d.msg.Name = s
	case AttrExecID:
		d.msg.ExecID = s
	case AttrJobID:
		d.msg.JobID = s
	case AttrJobName:
		d.msg.JobName = s
	case AttrWhen:
		d.when(s)
	case AttrFar:
		d.far = d.time(name, s)
	case AttrNotBefore:
		if d.msg.Due = s == NotBeforeDue; !d.msg.Due {
			d.msg.NotBefore = d.time(name, s)
		}
	case AttrFailures:
		d.msg.Failures, d.msg.Counted = d.count(name, s)
	case AttrAttempts:
		d.msg.Attempts, _ = d.count(name, s)
	case AttrUnknown:
		d.msg.Unknown, _ = d.count(name, s)
	case AttrSilent:
		d.msg.Silent, _ = d.count(name, s)
	case AttrError:
		d.msg.LastError = s
	case AttrReason:
		d.msg.Reason = s
	case AttrSteps:
		d.msg.Steps = []byte(s)
	case AttrFirst:
		d.msg.First = d.time(name, s)
	case AttrUnique:
		d.msg.Unique = s
	case AttrReply:
		d.msg.Reply = s
	case AttrEnvelope:
		d.msg.Envelope = s
	case AttrUnopened:
		d.msg.Unopened = d.time(name, s)
	case AttrTenant:
		if CheckTenant(s) != nil {
			d.defect(name, fmt.Sprintf("%q is no key of a tenant: ignored", cut(s)), false)
			return
		}
		d.msg.Tenant = s
	}
}

// isKnown reports whether this version reads a reserved attribute.
func isKnown(name string) bool {
	switch name {
	case AttrFailures, AttrAttempts, AttrError, AttrReason, AttrFirst, AttrFar, AttrNotBefore, AttrUnknown, AttrSilent,
		AttrSteps, AttrUnique, AttrEnvelope, AttrUnopened, AttrReply, AttrTenant, AttrMore:
		return true
	}
	return isContract(name)
}

// time reads one of our own times. It returns the zero time for a defect.
func (d *decoder) time(attr, s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		d.defect(attr, fmt.Sprintf("%q is no RFC 3339 time: ignored", cut(s)), false)
		return time.Time{}
	}
	return t.UTC()
}

// when reads the time to run at. Go's two-digit years begin at 1969, as
// Python's do.
func (d *decoder) when(s string) {
	if t, ok := parseWhen(s); ok {
		d.msg.When = t
		return
	}
	t, err := time.ParseInLocation(WhenLayout, s, time.UTC)
	if err != nil {
		d.defect(AttrWhen, fmt.Sprintf("%q is no time of the form 31/12/26 23:59:59", cut(s)), true)
		return
	}
	d.msg.When = t
}

// parseWhen reads the usual form of a time between 2000 and 2068, without the cost of
// a general parser: every message has one.
func parseWhen(s string) (time.Time, bool) {
	if len(s) != len(WhenLayout) || s[2] != '/' || s[5] != '/' || s[8] != ' ' || s[11] != ':' || s[14] != ':' {
		return time.Time{}, false
	}
	var f [6]int
	for i := range f {
		hi, lo := s[3*i]-'0', s[3*i+1]-'0'
		if hi > 9 || lo > 9 {
			return time.Time{}, false
		}
		f[i] = int(hi)*10 + int(lo)
	}
	day, month, year, hour, minute, second := f[0], f[1], f[2], f[3], f[4], f[5]
	if day < 1 || day > 28 || month < 1 || month > 12 || year > 68 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // rare, or none: the general parser knows
	}
	return time.Date(2000+year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
}

func (d *decoder) count(name, s string) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<30 {
		d.defect(name, fmt.Sprintf("%q is no count: taken as 0", cut(s)), false)
		return 0, false
	}
	return n, true
}

func (d *decoder) unfold(v types.MessageAttributeValue) {
	if v.StringValue == nil {
		d.defect(AttrMore, "has no string value", false)
		return
	}
	var more map[string]folded
	if err := json.Unmarshal([]byte(*v.StringValue), &more); err != nil {
		d.defect(AttrMore, fmt.Sprintf("is not the JSON that it should be: %v", err), false)
		return
	}
	for name, f := range more {
		if name == AttrMore || isContract(name) {
			d.defect(AttrMore, fmt.Sprintf("holds %q: ignored", cut(name)), false)
			continue
		}
		if !f.sound(name) {
			d.defect(AttrMore, fmt.Sprintf("holds %q, which is no attribute that SQS takes: ignored",
				cut(name)), false)
			continue
		}
		v := types.MessageAttributeValue{DataType: &stringType}
		if f.Type != "" {
			v.DataType = &f.Type
		}
		if strings.HasPrefix(f.Type, "Binary") {
			v.BinaryValue = f.Binary
		} else {
			v.StringValue = &f.Text
		}
		d.attribute(name, v)
	}
}

// sound reports whether SQS takes f as an attribute of its own, as it took those that
// the chassis folds. With any other, no copy of the message and no dead letter could
// be sent.
func (f folded) sound(name string) bool {
	lower := strings.ToLower(name)
	if name == "" || len(name) > 256 || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") ||
		strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") ||
		strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
		return false
	}
	switch kind, _, _ := strings.Cut(f.Type, "."); kind {
	case "Binary":
		return len(f.Binary) > 0
	case "Number":
		_, err := strconv.ParseFloat(f.Text, 64)
		return err == nil
	case "", "String":
		return f.Text != "" && f.Text == clean(f.Text)
	}
	return false
}

// cut keeps a foreign value short in an error.
func cut(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
