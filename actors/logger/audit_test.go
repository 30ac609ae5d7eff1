package logger

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
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

// TestAnAuditRecordIsWrittenWhenTheBufferIsFull, whatever the policy is, and whatever
// comes after it while the output stands still.
func TestAnAuditRecordIsWrittenWhenTheBufferIsFull(t *testing.T) {
	for _, s := range []Settings{{Policy: PolicyBlock}, {Policy: PolicyDropBelow, DropBelow: "emergency"}, {Policy: PolicyDropOldest}} {
		t.Run(string(s.Policy), func(t *testing.T) {
			out := newGate()
			s.Buffer, s.ErrorWait = minBuffer, time.Minute
			l := newLogger(t, s, out)
			start(t, l)
			l.Slog().Info("first")
			<-out.entered
			fill(l, slog.LevelInfo)
			before := l.Stats().Outputs[0].Accepted
			done := make(chan struct{})
			go func() {
				defer close(done)
				l.Audit("audit").Info("an operator's act")
			}()
			for l.Stats().Outputs[0].Accepted == before && l.Stats().Outputs[0].Waiting == 0 {
				runtime.Gosched()
			}
			if s.Policy != PolicyBlock {
				for range 5000 {
					l.Slog().Info("after it", "pad", strings.Repeat("x", 300))
				}
			}
			close(out.open)
			<-done
			flush(t, l)
			if n := strings.Count(out.String(), "an operator's act"); n != 1 {
				t.Errorf("the act is written %d times, with %+v", n, l.Stats().Outputs[0])
			}
		})
	}
}

// TestAFullBufferGivesUpAuditRecordsLast, under drop_oldest and with an output that fails.
func TestAFullBufferGivesUpAuditRecordsLast(t *testing.T) {
	for _, lossy := range []bool{false, true} {
		policy := PolicyDropOldest
		if lossy {
			policy = PolicyBlock
		}
		r := newRing(4*chunkSize, policy, slog.LevelWarn)
		r.setLossy(lossy)
		line := func(c byte) []byte { return append(bytes.Repeat([]byte{c}, chunkSize-1), '\n') } // a chunk each
		for i, level := range []slog.Level{slog.LevelInfo, LevelEmergency, slog.LevelError, LevelEmergency, LevelEmergency, LevelEmergency,
			slog.LevelError, LevelEmergency, slog.LevelInfo} {
			r.append(line('0'+byte(i)), level, true)
		}
		var left []byte
		for c := r.take(); c != nil; c = r.take() {
			left = append(left, c.data[0])
			r.done(c)
		}
		// 0 and 2 gave way to audit records, 6 and 8 to none; of five audit records the oldest went.
		if s := r.stats(); string(left) != "3457" || s.Dropped != 5 || s.Held != 0 {
			t.Errorf("lossy %v: %s are left: %+v", lossy, left, s)
		}
	}
}
