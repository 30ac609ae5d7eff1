package task

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestWhenOnCopies: a consumer that knows when alone waits until the not-before,
// never overflows its years, and the time first asked for comes back.
func TestWhenOnCopies(t *testing.T) {
	day := func(y int) time.Time { return time.Date(y, 11, 23, 13, 5, 0, 0, time.UTC) }
	for _, c := range []struct {
		name      string
		msg       Message
		when, far string
	}{
		{"as asked for", Message{When: day(2026)}, "23/11/26 13:05:00", ""},
		{"a copy that waits", Message{When: day(2026), NotBefore: day(2027)}, "23/11/27 13:05:00", "2026-11-23T13:05:00Z"},
		{"its fraction is rounded up", Message{When: day(2026), NotBefore: day(2027).Add(time.Millisecond)}, "23/11/27 13:05:01", "2026-11-23T13:05:00Z"},
		{"a copy with its wait over", Message{When: day(2027), NotBefore: day(2026)}, "23/11/27 13:05:00", ""},
		{"a copy that is due", Message{When: day(2026), Due: true}, "23/11/26 13:05:00", ""},
		{"a wait without a when", Message{NotBefore: day(2027)}, "23/11/27 13:05:00", ""},
		{"the last year", Message{When: day(2068)}, "23/11/68 13:05:00", ""},
		{"beyond it", Message{When: day(2069)}, "31/12/68 23:59:59", "2069-11-23T13:05:00Z"},
		{"a wait beyond it", Message{When: day(2026), NotBefore: day(2100)}, "31/12/68 23:59:59", "2026-11-23T13:05:00Z"},
		{"before the first", Message{When: day(1950)}, "01/01/69 00:00:00", "1950-11-23T13:05:00Z"},
		{"none", Message{}, "", ""},
	} {
		c.msg.Name, c.msg.ExecID = "t", "e"
		attrs := c.msg.Attributes()
		text := func(name string) string {
			if v, ok := attrs[name]; ok {
				return *v.StringValue
			}
			return ""
		}
		if text(AttrWhen) != c.when || text(AttrFar) != c.far {
			t.Errorf("%s: when %q and %q, want %q and %q", c.name, text(AttrWhen), text(AttrFar), c.when, c.far)
		}
		got, err := Decode("{}", attrs)
		if want := c.msg.When; err != nil || !got.NotBefore.Equal(c.msg.NotBefore) || got.Due != c.msg.Due || !want.IsZero() && !got.When.Equal(want) {
			t.Errorf("%s: comes back as %+v, %v", c.name, got, err)
		}
	}
}

// TestACopyKeepsWhatAPythonConsumerNeeds: however much of ours there is.
func TestACopyKeepsWhatAPythonConsumerNeeds(t *testing.T) {
	now := time.Date(2026, 11, 23, 13, 5, 0, 0, time.UTC)
	kind, text := "String", "x"
	m := Message{
		Name: "t", ExecID: "e", JobID: "j", JobName: "n", When: now, NotBefore: now.Add(time.Hour), First: now,
		Failures: 3, Attempts: 7, Silent: 2, Unknown: 4, LastError: "no", Reason: "r",
		Extra: map[string]types.MessageAttributeValue{
			"a": {DataType: &kind, StringValue: &text}, "b": {DataType: &kind, StringValue: &text}, "c": {DataType: &kind, StringValue: &text},
		},
	}
	attrs := m.Attributes()
	for _, name := range []string{AttrName, AttrExecID, AttrWhen, AttrJobID, AttrJobName} {
		if _, ok := attrs[name]; !ok {
			t.Errorf("%s is not on the message", name)
		}
	}
	got, err := Decode("{}", attrs)
	if err != nil || len(attrs) > MaxAttributes || got.Silent != 2 || got.Attempts != 7 || got.Failures != 3 || !got.When.Equal(now) || !got.NotBefore.Equal(m.NotBefore) || len(got.Extra) != 3 {
		t.Errorf("%d attributes; comes back as %+v, %v", len(attrs), got, err)
	}
}
