package chassistest

import (
	"encoding/json"
	"testing"
)

// FuzzScanner: the scanner reads to its end what encoding/json takes for JSON, and ends for
// everything else.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{`{"a":1,"b":[true,null,{}],"c":"\u00e9\"\\"}`, ` { } `, `[]`, `"`, `{"a"`, `{"a":}`, `[1,]`, `-1.5e3`,
		`{"MessageAttributes":{"x":{"StringValue":"y","DataType":"String"}}}`, `]`, `[,]`, `{:}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scanner{text: text}
		s.skip()
		if s.next() != 0 && !s.failed {
			s.fail()
		}
		if json.Valid([]byte(text)) && s.failed {
			t.Errorf("%q is not read", text)
		}
		e := entry{}
		again := scanner{text: text}
		again.object(func(name string) { e.member(&again, name) })
	})
}

// TestAnEntryIsReadAsItWasWritten: escapes, attributes and members of all requests.
func TestAnEntryIsReadAsItWasWritten(t *testing.T) {
	written := map[string]any{"Id": "1", "ReceiptHandle": `a"b\c`, "VisibilityTimeout": 30, "MessageBody": "é\n\u2028😀",
		"MessageAttributes": map[string]any{"n": map[string]any{"DataType": "String", "StringValue": "\t<&>"},
			"b": map[string]any{"DataType": "Binary", "BinaryValue": "AAAA"}}, "Other": []any{1, "x", nil, map[string]any{}}}
	body, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	var e entry
	s := scanner{text: string(body)}
	s.object(func(name string) { e.member(&s, name) })
	if s.failed || e.id != "1" || e.receipt != `a"b\c` || e.hide.Seconds() != 30 || e.text != "é\n\u2028😀" ||
		len(e.attrs) != 2 || e.attrs["n"] != "\t<&>" || e.attrs["b"] != "AAAA" {
		t.Errorf("%+v, failed %v, of %s", e, s.failed, body)
	}
}
