package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The lines hold times and places, so they are read and not compared.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(out.String(), "--- ")
	if len(parts) != 4 {
		t.Fatalf("%d forms:\n%s", len(parts)-1, out.String())
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "nobody sees this") {
		t.Errorf("something was written that should not be:\n%s", out.String())
	}
	if text := parts[1]; strings.Count(text, "\n") != 4 || !strings.Contains(text, "INFO  sending to=zoë@example.org") || !strings.Contains(text, "job_id=42") {
		t.Errorf("text:\n%s", text)
	}
	for i, field := range map[int]string{2: "msg", 3: "message"} {
		_, lines, _ := strings.Cut(parts[i], "\n")
		n := 0
		for line := range strings.Lines(lines) {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Errorf("%v: %s", err, line)
			}
			if record[field] == nil || record["service"] != "mailer" {
				t.Errorf("%s: %v", field, record)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d lines: %s", n, lines)
		}
	}
}
