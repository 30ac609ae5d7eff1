package logger

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/task"
)

// A record by message is what the same call with that ctx is.
func TestWriteIsEnrichedLikeACall(t *testing.T) {
	out := &sink{}
	hooked := &sink{}
	l := newLogger(t, Settings{Levels: map[string]Level{"stock": "warning"}}, out, WithHook(slog.NewJSONHandler(hooked, nil)))
	pid := start(t, l)
	system := l.to.ActorSystem()
	ctx := task.WithInfo(t.Context(), &task.Info{JobID: "j-1", JobName: "import", ExecID: "e-1", Task: "count", Attempt: 2})
	r := slog.NewRecord(time.Time{}, slog.LevelError, "not counted", 0)
	r.Add("sku", 7)
	for _, m := range []any{&Write{Record: r, Ctx: ctx, Logger: "stock"}, Write{Record: r, Ctx: ctx, Logger: "stock"}} {
		if _, err := actors.Ask[*Written](t.Context(), system, pid, m); err != nil {
			t.Fatal(err)
		}
	}
	r.Level = slog.LevelInfo
	system.Root.Send(pid, &Write{Record: r, Logger: "stock"}) // below its logger's level
	r.Message = "without a ctx"
	system.Root.Send(pid, &Write{Record: r})
	if _, err := actors.Ask[*Written](t.Context(), system, pid, "a string"); err == nil {
		t.Error("no error for an unknown message")
	}
	if s, err := actors.Ask[Stats](t.Context(), system, pid, Describe{}); err != nil || len(s.Outputs) != 1 {
		t.Errorf("asked for the stats: %v, %v", s, err)
	}
	stop(t, l) // writes what has been sent
	got := out.lines(t)
	if len(got) != 3 {
		t.Fatalf("%d lines: %s", len(got), out)
	}
	for _, line := range got[:2] {
		for k, want := range map[string]any{"level": "ERROR", "msg": "not counted", "logger": "stock", "service": "mailer",
			"job_id": "j-1", "job_name": "import", "exec_id": "e-1", "task": "count", "attempt": 2.0, "sku": 7.0} {
			if line[k] != want {
				t.Errorf("%s is %v, want %v", k, line[k], want)
			}
		}
		if line["time"] == nil {
			t.Error("no time")
		}
	}
	if got[2]["msg"] != "without a ctx" || got[2]["job_id"] != "unknown" {
		t.Errorf("the third is %v", got[2])
	}
	if n := len(hooked.lines(t)); n != 3 {
		t.Errorf("the hook got %d records", n)
	}
}

// The Writes that were sent before a stop are in the log after it.
func TestAStopWritesTheRecordsSentBefore(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	pid := start(t, l)
	if l.PID() != pid {
		t.Errorf("PID is %v", l.PID())
	}
	for range 1000 {
		l.to.ActorSystem().Root.Send(pid, Write{Record: slog.NewRecord(time.Now(), slog.LevelInfo, "m", 0)})
	}
	stop(t, l)
	if n := len(out.lines(t)); n != 1000 {
		t.Errorf("%d of 1000 records", n)
	}
	if l.PID() != nil {
		t.Errorf("PID is %v after the stop", l.PID())
	}
}

// A buffer is full under the policy that makes callers wait: a Write by message is
// answered all the same, its record is dropped and counted, and the output says so.
func TestAWriteByMessageNeverWaits(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer}, out)
	pid := start(t, l)
	l.Slog().Info("first")
	<-out.entered
	fill(l, slog.LevelInfo)
	const late = 2000 // 300 bytes each, more than may be left of the buffer
	r := slog.NewRecord(time.Now(), slog.LevelError, "late", 0)
	r.Add("pad", strings.Repeat("x", 300))
	for range late {
		if _, err := actors.Ask[*Written](t.Context(), l.to.ActorSystem(), pid, &Write{Record: r}); err != nil {
			t.Fatal(err)
		}
	}
	s := l.Stats().Outputs[0]
	if s.Dropped == 0 || s.Dropped > late || s.Waiting != 0 {
		t.Errorf("with a full buffer: %+v", s)
	}
	close(out.open)
	flush(t, l)
	if got := strings.Count(out.String(), `"msg":"late"`); uint64(got) != late-s.Dropped {
		t.Errorf("%d of the %d records are written, and %d were dropped", got, late, s.Dropped)
	}
	stop(t, l) // the drops are reported when the output has caught up, which may be after the flush
	if !strings.Contains(out.String(), "dropped") {
		t.Error("the output says nothing of what was dropped")
	}
	balanced(t, l)
}
