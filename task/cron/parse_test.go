package cron

import (
	"strings"
	"testing"
	"time"
)

// The parser of robfig/cron panics on some of these (robfig/cron#554).
func TestMistakesSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		expr string
		opts []Option
		want string
	}{
		{"", nil, "it is empty"},
		{"  \t ", nil, "it is empty"},
		{"TZ=", nil, "give that by cron.Zone"},
		{"TZ=0", nil, "give that by cron.Zone"},
		{"CRON_TZ=Europe/Berlin 0 3 * * *", nil, "give that by cron.Zone"},
		{"@reboot", nil, "a start is no time"},
		{"@", nil, "unrecognized descriptor"},
		{"@every", nil, "unrecognized descriptor"},
		{"@every 0s", nil, "at least 1s"},
		{"@every -5m", nil, "at least 1s"},
		{"@every 1500ms", nil, "whole seconds"},
		{"@every 1.5s", nil, "whole seconds"},
		{"@every 15", nil, "duration"},
		{"* * * *", nil, "expected"},
		{"0 0 * * * *", nil, "expected"},
		{"60 * * * *", nil, "60"},
		{"*/0 * * * *", nil, "step"},
		{"0 0 30 2 *", nil, "no date matches it"},
		{strings.Repeat("1,", 500) + "1 * * * *", nil, "at most 256"},
		{"\x00 * * * *", nil, "\\x00"},
		{"0 3 * * *", []Option{Zone("Europe/Berln")}, "Europe/Berln"},
		{"0 3 * * *", []Option{Zone("Local")}, "may differ"},
		{"0 3 * * *", []Option{Zone("../../etc/passwd")}, "zone"},
		{"0 3 * * *", []Option{Overlap("some")}, "skip, queue or allow"},
		{"0 3 * * *", []Option{Late(All(0))}, "1 to 1000"},
		{"0 3 * * *", []Option{Late(All(1001))}, "1 to 1000"},
		{"0 3 * * *", []Option{Late(All(-1))}, "1 to 1000"},
		{"0 3 * * *", []Option{Name("")}, "cron.Name"},
		{"0 3 * * *", []Option{Name("a b")}, "cron.Name"},
		{"@every 1m", []Option{Jitter(time.Minute)}, "shorter than the time between two ticks, 1m"},
		{"0,5 * * * *", []Option{Jitter(5 * time.Minute)}, "shorter than the time between two ticks, 5m"},
		{"0 3 * * *", []Option{Jitter(-1)}, "at least 0"},
	} {
		_, err := New("report", c.expr, c.opts...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "schedule ") {
			t.Errorf("%.40q: %v, want %q", c.expr, err, c.want)
		}
	}
}

func TestIDsAreOfNameAndTick(t *testing.T) {
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	a, err := New("a", "0 3 * * *", Zone("Europe/Berlin"), Jitter(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	tick := a.Next(at.Add(-time.Hour))
	if !tick.At.Equal(at) || a.JobID(tick) != "a@2026-03-01T02:00:00Z" {
		t.Fatalf("%v, %s", tick, a.JobID(tick))
	}
	if back, ok := a.ParseJobID(a.JobID(tick)); !ok || back != tick {
		t.Errorf("read back: %v", back)
	}
	for _, id := range []string{"", "a", "a@", "b@2026-03-01T02:00:00Z", "a@now"} {
		if _, ok := a.ParseJobID(id); ok {
			t.Errorf("%q names a tick", id)
		}
	}
	b, _ := New("b", "0 3 * * *")
	if id := a.ID("p", tick); id == b.ID("p", tick) || id == a.ID("q", tick) ||
		id == a.ID("p", Tick{At: at.Add(1 * time.Second)}) || id != a.ID("p", Tick{At: at}) {
		t.Errorf("the id %s is not of the pool, the name and the tick", id)
	}
}

// FuzzParse finds expressions that panic, that have no next tick, or that tick for ever
// at one time.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{"0 3 * * *", "@every 15m", "@daily", "TZ= * * * * *", "L-3 * L * FRI#3", "*/7 1-5 15W 1,2 MON-FRI", "@every 1h30m1s"} {
		f.Add(expr, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, expr, zone string) {
		s, err := New("x", expr, Zone(zone))
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
		for range 20 {
			next := s.Next(at)
			if next.At.IsZero() {
				return
			}
			if !next.At.After(at) {
				t.Fatalf("%q in %q: %v after %v", expr, zone, next.At, at)
			}
			at = next.At
		}
	})
}
