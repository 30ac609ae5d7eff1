package task_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/task"
)

// legal reports whether SQS takes s in a message.
func legal(s string) bool {
	for _, r := range s {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
		default:
			return false
		}
	}
	return utf8.ValidString(s)
}

// FuzzDecode: any message is read without a panic, and what is written of it
// is legal and reads as the same message.
func FuzzDecode(f *testing.F) {
	f.Add("{}", "t", "e", "23/11/26 13:05:00", "3", "2126-01-01T00:00:00Z", "due", `{"a":{"s":"b"}}`, "x", 4)
	f.Add("", "", "", "", "-1", "", "", "", "", 0)
	f.Add("NaN", "\x00", "\xff", "99/99/99 99:99:99", "1e9", "never", "2026-01-01T00:00:00+25:00", `{"task_name":{"s":"x"},"chassis.more":{}}`, "chassis.", 12)
	f.Fuzz(func(t *testing.T, body, name, exec, when, failures, far, notBefore, more, own string, n int) {
		attrs := map[string]types.MessageAttributeValue{}
		for k, v := range map[string]string{
			"task_name": name, "exec_id": exec, "when": when, "job_id": own, "chassis.failures": failures, "chassis.when": far,
			"chassis.not_before": notBefore, "chassis.more": more, "chassis.error": own, "chassis.first": far, "chassis.unknown": failures,
			"chassis.attempts": failures, "traceparent": own,
		} {
			if v != "" {
				attrs[k] = str(v)
			}
		}
		if own == "" {
			n = 0 // SQS takes no attribute with an empty value
		}
		for i := range min(max(n, 0), 9) {
			attrs["own"+string(rune('0'+i))] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte(own)}
		}
		m, defects := task.Decode(body, attrs)
		if n <= 0 && exec != "" { // a missing one is made up
			var texts task.Texts
			for k, v := range attrs {
				texts = append(texts, struct{ Name, Type, Value string }{k, *v.DataType, *v.StringValue})
			}
			same, same2 := task.DecodeTexts(body, texts)
			if flat(same) != flat(m) || (defects == nil) != (same2 == nil) {
				t.Fatalf("the texts are read as\n%s %v, not as\n%s %v", flat(same), same2, flat(m), defects)
			}
		}
		m.Trace(own)
		_ = m.CheckBody()
		written := m.Attributes()
		if len(m.Extra) <= 5 && len(written) > task.MaxAttributes {
			t.Fatalf("%d attributes", len(written))
		}
		for k, v := range written {
			if v.StringValue != nil && isOurs(k) && !legal(*v.StringValue) {
				t.Fatalf("%s: %q is not legal", k, *v.StringValue)
			}
		}
		if !legal(name) || !legal(exec) || !legal(own) || name == "" || exec == "" {
			return
		}
		again, err := task.Decode(body, written)
		if err != nil {
			t.Fatalf("what was written has a defect: %v", err)
		}
		m.LastError = task.ErrorText(m.LastError)
		if got, want := flat(again), flat(m); got != want {
			t.Fatalf("got back\n%s\nof\n%s", got, want)
		}
	})
}

// flat writes all of m, so that equal messages have equal text.
func flat(m task.Message) string {
	extra := map[string]string{}
	for k, v := range m.Extra {
		extra[k] = fmt.Sprintf("%s %q %q", aws.ToString(v.DataType), aws.ToString(v.StringValue), v.BinaryValue)
	}
	for k, v := range m.Newer {
		extra["newer "+k] = fmt.Sprintf("%s %q %q", aws.ToString(v.DataType), aws.ToString(v.StringValue), v.BinaryValue)
	}
	m.Extra, m.Newer = nil, nil
	return fmt.Sprintf("%+v %v", m, extra)
}

func isOurs(name string) bool {
	return strings.HasPrefix(name, "chassis.") || name == "task_name" || name == "exec_id" || name == "job_id" || name == "job_name" || name == "when"
}

// FuzzEncode: whatever the arguments, the body is ASCII, legal, and the same
// JSON value as the standard library would write.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\x1f\x7f\u0080\u2028", "\xff\xfe", "😀\ufffe\uffff", `","`, `\":`} {
		f.Add(s, 1.5)
	}
	f.Fuzz(func(t *testing.T, s string, x float64) {
		args := map[string]any{s: []any{s, map[string]string{"k": s}, nil}}
		if x == x && x < 1e300 && x > -1e300 {
			args["x"] = x
		}
		out, err := task.Encode("t", args, time.Now())
		if err != nil {
			if len(s) < 1<<15 {
				t.Fatal(err)
			}
			return
		}
		for i := range len(out.Body) {
			if out.Body[i] >= 0x80 || out.Body[i] < 0x20 {
				t.Fatalf("byte %#x in %q", out.Body[i], out.Body)
			}
		}
		plain, err := json.Marshal(args)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(plain, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
			t.Fatalf("%s: %v", out.Body, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
