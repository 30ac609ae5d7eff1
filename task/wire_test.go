package task_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/task"
)

type recorded struct {
	Case string `json:"case"`
	Send struct {
		MessageBody       string
		DelaySeconds      int
		MessageAttributes map[string]types.MessageAttributeValue
	} `json:"send_message"`
}

func recordings(t testing.TB, file string) []recorded {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []recorded
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// The ten messages recorded from the Python chassis: each is read without a
// defect, and what we send in its place is the same to the byte.
func TestRecordedPythonMessagesBothWays(t *testing.T) {
	list := recordings(t, "testdata/python-sent.json")
	if len(list) != 10 {
		t.Fatalf("%d recordings, want 10", len(list))
	}
	for _, rec := range list {
		t.Run(rec.Case, func(t *testing.T) {
			in := rec.Send
			m, err := task.Decode(in.MessageBody, in.MessageAttributes)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if err := m.CheckBody(); err != nil {
				t.Fatal(err)
			}
			out, err := task.Encode(m.Name, json.RawMessage(m.Body), m.When,
				task.ExecID(m.ExecID), task.ForJob(m.JobID, m.JobName), task.At(m.When), task.Delay(time.Duration(in.DelaySeconds)*time.Second))
			if err != nil {
				t.Fatalf("Encode: %v", err)
			}
			if out.Body != in.MessageBody {
				t.Errorf("body\n got %s\nwant %s", out.Body, in.MessageBody)
			}
			if out.Delay != time.Duration(in.DelaySeconds)*time.Second {
				t.Errorf("delay %v, want %d s", out.Delay, in.DelaySeconds)
			}
			sameAttributes(t, out.Attributes, in.MessageAttributes)
		})
	}
}

func sameAttributes(t *testing.T, got, want map[string]types.MessageAttributeValue) {
	t.Helper()
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("attributes %q, want %q", g, w)
	}
	for name, w := range want {
		g := got[name]
		if aws.ToString(g.StringValue) != aws.ToString(w.StringValue) || aws.ToString(g.DataType) != aws.ToString(w.DataType) || string(g.BinaryValue) != string(w.BinaryValue) {
			t.Errorf("attribute %s: got %q %q, want %q %q", name, aws.ToString(g.DataType), aws.ToString(g.StringValue), aws.ToString(w.DataType), aws.ToString(w.StringValue))
		}
	}
}

// The values as json.dumps would write them, of a Go struct and map.
func TestBodyIsWrittenAsPythonDoes(t *testing.T) {
	type args struct {
		Title string         `json:"title"`
		HTML  string         `json:"html"`
		List  []any          `json:"list"`
		Obj   map[string]any `json:"obj"`
	}
	out, err := task.Encode("x", args{"São – 東京 😀\x7f\u2028", `<a href="x">&</a>`, []any{1, 2.5, nil, true}, map[string]any{}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"title": "S\u00e3o \u2013 \u6771\u4eac \ud83d\ude00` + "\x7f" + `\u2028", "html": "<a href=\"x\">&</a>", "list": [1, 2.5, null, true], "obj": {}}`
	if out.Body != want {
		t.Errorf("got  %s\nwant %s", out.Body, want)
	}
}

func str(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
}

func sound() map[string]types.MessageAttributeValue {
	return map[string]types.MessageAttributeValue{
		"task_name": str("t"), "exec_id": str("e"), "when": str("23/11/26 13:05:00"), "job_id": str("j"), "job_name": str("n"),
	}
}

func TestEveryDefectIsTold(t *testing.T) {
	cases := []struct {
		name      string
		change    func(map[string]types.MessageAttributeValue)
		attribute string // of the defect; "": none
		fatal     bool
		check     func(task.Message) bool
	}{
		{"sound", func(map[string]types.MessageAttributeValue) {}, "", false, func(m task.Message) bool { return m.Name == "t" && m.ExecID == "e" }},
		{"no task name", func(a map[string]types.MessageAttributeValue) { delete(a, "task_name") }, "task_name", false, func(m task.Message) bool { return m.Name == "" }},
		{"no exec id", func(a map[string]types.MessageAttributeValue) { delete(a, "exec_id") }, "exec_id", false, func(m task.Message) bool { return len(m.ExecID) == 36 }},
		{"no job", func(a map[string]types.MessageAttributeValue) { delete(a, "job_id"); delete(a, "job_name") }, "", false, func(m task.Message) bool { return m.JobID == "unknown" && m.JobName == "unknown" }},
		{"no when: at once", func(a map[string]types.MessageAttributeValue) { delete(a, "when") }, "", false, func(m task.Message) bool { return m.When.IsZero() }},
		{"bad when", func(a map[string]types.MessageAttributeValue) { a["when"] = str("tomorrow") }, "when", true, nil},
		{"impossible when", func(a map[string]types.MessageAttributeValue) { a["when"] = str("31/02/26 13:05:00") }, "when", true, nil},
		{"binary when", func(a map[string]types.MessageAttributeValue) {
			a["when"] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{1}}
		}, "when", true, nil},
		{"binary name", func(a map[string]types.MessageAttributeValue) {
			a["task_name"] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{1}}
		}, "task_name", false, nil},
		{"failures no number", func(a map[string]types.MessageAttributeValue) { a["chassis.failures"] = str("many") }, "chassis.failures", false, func(m task.Message) bool { return m.Failures == 0 && !m.Counted }},
		{"failures negative", func(a map[string]types.MessageAttributeValue) { a["chassis.failures"] = str("-3") }, "chassis.failures", false, func(m task.Message) bool { return m.Failures == 0 }},
		{"far when broken", func(a map[string]types.MessageAttributeValue) { a["chassis.when"] = str("x") }, "chassis.when", false, func(m task.Message) bool { return m.When.Year() == 2026 }},
		{"not before broken", func(a map[string]types.MessageAttributeValue) { a["chassis.not_before"] = str("x") }, "chassis.not_before", false, func(m task.Message) bool { return m.NotBefore.IsZero() && !m.Due }},
		{"due", func(a map[string]types.MessageAttributeValue) { a["chassis.not_before"] = str("due") }, "", false, func(m task.Message) bool { return m.Due }},
		{"more is no JSON", func(a map[string]types.MessageAttributeValue) { a["chassis.more"] = str("{") }, "chassis.more", false, nil},
		{"more names the contract", func(a map[string]types.MessageAttributeValue) { a["chassis.more"] = str(`{"task_name":{"s":"evil"}}`) }, "chassis.more", false, func(m task.Message) bool { return m.Name == "t" }},
		{"a user's own", func(a map[string]types.MessageAttributeValue) { a["tenant"] = str("x") }, "", false, func(m task.Message) bool { return aws.ToString(m.Extra["tenant"].StringValue) == "x" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			attrs := sound()
			c.change(attrs)
			m, err := task.Decode("{}", attrs)
			var w *task.WireError
			switch {
			case c.attribute == "" && err != nil:
				t.Fatalf("a defect: %v", err)
			case c.attribute != "" && (!errors.As(err, &w) || w.Attribute != c.attribute):
				t.Fatalf("got %v, want a defect of %s", err, c.attribute)
			}
			if fatal := task.Fatal(err); (fatal != nil) != c.fatal {
				t.Errorf("fatal %v, want %v", fatal, c.fatal)
			}
			if c.check != nil && !c.check(m) {
				t.Errorf("message %+v", m)
			}
		})
	}
	for _, body := range []string{"", "{", `{"a":1} {"b":2}`, "NaN", "'x'", `{"a": Infinity}`} {
		m := task.Message{Body: body}
		if err := m.CheckBody(); err == nil {
			t.Errorf("body %q passes", body)
		}
	}
}

// A reader takes either form of non-ASCII text.
func TestEitherFormOfNonASCIIIsRead(t *testing.T) {
	for _, body := range []string{`{"title": "S\u00e3o \ud83d\ude00"}`, `{"title": "São 😀"}`} {
		var got struct{ Title string }
		h := task.Erase(func(_ jobCtx, job task.Job[struct{ Title string }]) error { got = job.Args; return nil })
		if err := h(t.Context(), task.Job[json.RawMessage]{Args: json.RawMessage(body), Info: &task.Info{}}); err != nil {
			t.Fatal(err)
		}
		if got.Title != "São 😀" {
			t.Errorf("%s: read %q", body, got.Title)
		}
	}
}

func TestTwoDigitYearsAndFarOnes(t *testing.T) {
	cases := map[string]int{"01/01/69 00:00:00": 1969, "01/01/99 00:00:00": 1999, "01/01/00 00:00:00": 2000, "01/01/68 00:00:00": 2068}
	for when, year := range cases {
		attrs := sound()
		attrs["when"] = str(when)
		m, err := task.Decode("{}", attrs)
		if err != nil || m.When.Year() != year {
			t.Errorf("%s: %v, %v, want %d", when, m.When, err, year)
		}
	}
	for _, year := range []int{1969, 2026, 2068, 2069, 2126, 9999} {
		at := time.Date(year, 7, 8, 9, 10, 11, 0, time.UTC)
		out, err := task.Encode("t", nil, time.Now(), task.At(at))
		if err != nil {
			t.Fatal(err)
		}
		if _, far := out.Attributes[task.AttrFar]; far != (year > 2068) {
			t.Errorf("%d: the far attribute stands: %v", year, far)
		}
		m, err := task.Decode(out.Body, out.Attributes)
		if err != nil || !m.When.Equal(at) {
			t.Errorf("%d: came back as %v, %v", year, m.When, err)
		}
	}
}

// A foreign message with ten attributes, five of them its own, keeps all when
// a copy of it carries ours too, and has no more than ten.
func TestMoreThanTenAttributesAreFoldedAndComeBack(t *testing.T) {
	attrs := sound()
	for i := range 5 {
		attrs[fmt.Sprintf("own%d", i)] = str(strings.Repeat("é", i+1))
	}
	attrs["own2"] = types.MessageAttributeValue{DataType: aws.String("Binary.png"), BinaryValue: []byte{0, 255, 7}}
	attrs["own3"] = types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String("3.5")}
	m, err := task.Decode("{}", attrs)
	if err != nil {
		t.Fatal(err)
	}
	m.Failures, m.Counted, m.LastError, m.Reason = 3, true, "tëxt", task.ReasonExhausted
	m.First = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	copied := m.Attributes()
	if len(copied) > task.MaxAttributes {
		t.Fatalf("%d attributes", len(copied))
	}
	for _, name := range []string{"task_name", "exec_id", "when", "job_id", "job_name"} {
		if _, ok := copied[name]; !ok {
			t.Errorf("%s, which Python needs, is folded away", name)
		}
	}
	back, err := task.Decode("{}", copied)
	if err != nil {
		t.Fatal(err)
	}
	if back.Failures != 3 || back.LastError != "tëxt" || back.Reason != task.ReasonExhausted || !back.First.Equal(m.First) {
		t.Errorf("came back as %+v", back)
	}
	sameAttributes(t, back.Extra, m.Extra)
}

func TestEncodeRefusesWhatSQSWould(t *testing.T) {
	now := time.Now()
	cases := []struct {
		name string
		task string
		args any
		opts []task.Option
		want string
	}{
		{"no name", "", nil, nil, "name is empty"},
		{"name with NUL", "a\x00", nil, nil, "characters"},
		{"args no JSON", "t", func() {}, nil, "cannot be JSON"},
		{"raw args no JSON", "t", json.RawMessage("{"), nil, "cannot be JSON"},
		{"too big", "t", strings.Repeat("x", 1<<20), nil, "bytes"},
		{"long delay", "t", nil, []task.Option{task.Delay(time.Hour)}, "use At"},
		{"part of a second", "t", nil, []task.Option{task.Delay(1500 * time.Millisecond)}, "whole seconds"},
		{"negative delay", "t", nil, []task.Option{task.Delay(-time.Second)}, "0 to"},
		{"zero time", "t", nil, []task.Option{task.At(time.Time{})}, "no time"},
		{"empty exec id", "t", nil, []task.Option{task.ExecID("")}, "ExecID"},
		{"reserved attribute", "t", nil, []task.Option{task.Attribute("job_id", "x")}, "reserved"},
		{"our attribute", "t", nil, []task.Option{task.Attribute("chassis.failures", "9")}, "reserved"},
		{"empty attribute", "t", nil, []task.Option{task.Attribute("x", "")}, "empty"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := task.Encode(c.task, c.args, now, c.opts...)
			if err == nil {
				t.Fatalf("sent %+v", out)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "send task") {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
		})
	}
}

func TestFastAndGeneralReadingOfWhenAgree(t *testing.T) {
	for _, s := range []string{"01/01/00 00:00:00", "28/02/68 23:59:59", "29/02/27 00:00:00", "31/12/26 23:59:59", "00/01/26 00:00:00",
		"01/13/26 00:00:00", "01/01/69 00:00:00", "01/01/26 24:00:00", "01/01/26 00:60:00", "01/01/26 00:00:60", "0a/01/26 00:00:00", "01-01-26 00:00:00", "01/01/26 00:00:0"} {
		want, wantErr := time.Parse(task.WhenLayout, s)
		attrs := sound()
		attrs["when"] = str(s)
		m, err := task.Decode("{}", attrs)
		if (err != nil) != (wantErr != nil) || err == nil && !m.When.Equal(want) {
			t.Errorf("%s: %v, %v, want %v, %v", s, m.When, err, want, wantErr)
		}
	}
}

func TestMoreHoldsOnlyWhatSQSTakes(t *testing.T) {
	more := `{"ok": {"s": "x"}, "n": {"t": "Number.int", "s": "12"}, "b": {"t": "Binary", "b": "AA=="},` +
		`"empty": {}, "null": null, "no bytes": {"t": "Binary"}, "nobytes": {"t": "Binary"}, "a b": {"s": "x"}, "aws.x": {"s": "x"}, "..": {"s": "x"},` +
		`"nan": {"t": "Number", "s": "twelve"}, "kind": {"t": "Map", "s": "x"}, "ctl": {"s": "\u0001"}, "é": {"s": "x"}, "": {"s": "x"}}`
	s := "String"
	m, err := task.Decode("{}", map[string]types.MessageAttributeValue{task.AttrMore: {DataType: &s, StringValue: &more}})
	var names []string
	for name := range m.Extra {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "b n ok" || err == nil || task.Fatal(err) != nil {
		t.Errorf("%s: %v", got, err)
	}
}

func TestAtIsNotCutToASecondBefore(t *testing.T) {
	at := time.Date(2027, 3, 9, 7, 5, 3, 900_000_000, time.UTC)
	out, err := task.Encode("t", nil, at.Add(-time.Hour), task.At(at))
	if err != nil {
		t.Fatal(err)
	}
	m, err := task.Decode(out.Body, out.Attributes)
	if err != nil || m.When.Before(at) || m.When.Sub(at) >= time.Second {
		t.Errorf("%v for %v: %v", m.When, at, err)
	}
}
