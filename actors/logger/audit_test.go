package logger

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestAnAuditRecordCannotBeSwitchedOff sets every knob that keeps records back.
func TestAnAuditRecordCannotBeSwitchedOff(t *testing.T) {
	var out bytes.Buffer
	l, err := New("mailer", Settings{Level: "emergency", Format: "json", Policy: "drop_below", DropBelow: "emergency", Sampling: Sampling{First: 1}}, WithOutput(&out))
	if err != nil {
		t.Fatal(err)
	}
	l.SetLevel("audit", slog.Level(100))
	l.SetLevel("", slog.Level(100))
	for range 20 {
		l.Audit("audit").Info("an operator's act", "what", "pause")
	}
	l.Named("audit").Error("of another logger")
	if n := strings.Count(out.String(), `"level":"INFO"`); n != 20 || strings.Contains(out.String(), "of another logger") {
		t.Errorf("%d of 20 records are written:\n%s", n, out.String())
	}
}
