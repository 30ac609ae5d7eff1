package schedules

import (
	"errors"
	"testing"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

func TestTagsAreReadBack(t *testing.T) {
	at := time.UnixMilli(1_774_000_000_123).UTC()
	all, _ := parseTags(map[string]string{"chassis.cron.a": unixText(at), "chassis.cron.a/paused": unixText(at),
		"chassis.cron.a/ran": unixText(at) + ":" + unixText(at.Add(time.Minute)), "Team": "payments",
		"chassis.cron.b": "garbage", "chassis.cron.c/ran": "1:x", "chassis.cron.d": "-5", "chassis.cron.e": "99999999999999999999"})
	if want := (entry{sent: at, paused: at, ranFrom: at, ranUpTo: at.Add(time.Minute)}); all["a"] != want {
		t.Errorf("%+v, want %+v", all["a"], want)
	}
	for _, name := range []string{"b", "d", "e"} {
		if all[name] != (entry{}) {
			t.Errorf("%s: %+v", name, all[name])
		}
	}
}

// What a round decides, by what it knows.
func TestDecide(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 30, 0, time.UTC)
	min := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	known := func(n int) state { return state{decided: min(n), own: min(n), known: true} }
	fresh := state{}
	half := state{decided: noon.Add(-20 * time.Second), own: noon.Add(-50 * time.Second)} // it could not ask at first
	for _, c := range []struct {
		name  string
		late  cron.LatePolicy
		st    state
		said  entry
		by    judgement
		ticks int
		lates int
		known bool
	}{
		{"in time", cron.All(9), known(-1), entry{}, read, 1, 0, true},
		{"in time, and the register is away", cron.All(9), known(-1), entry{}, unread, 1, 0, true},
		{"suspended, others have sent", cron.All(9), known(-10), entry{sent: min(-1)}, read, 1, 0, true},
		{"suspended, and alone", cron.All(9), known(-10), entry{sent: min(-10)}, read, 10, 9, true},
		{"suspended, and what it has sent was not written", cron.All(20), known(-10), entry{sent: min(-15)}, read, 10, 9, true},
		{"suspended, and the register is away", cron.All(9), known(-10), entry{}, unread, 1, 0, false},
		{"suspended, and may not ask", cron.All(9), known(-10), entry{}, barred, 10, 9, true},
		{"suspended, and its fingerprint is new there", cron.All(9), known(-10), entry{sent: min(-1), since: noon}, read, 1, 0, true},
		{"suspended, never late", cron.Never, known(-10), entry{sent: min(-5)}, read, 1, 0, true},
		{"new", cron.All(9), fresh, entry{since: noon}, read, 0, 0, true},
		{"new, never late", cron.Never, fresh, entry{since: noon}, read, 0, 0, true},
		{"new for half a minute", cron.Never, fresh, entry{since: min(-1).Add(time.Second * 31)}, read, 0, 0, true},
		{"new for 40 seconds", cron.Never, fresh, entry{since: noon.Add(-40 * time.Second)}, read, 1, 0, true},
		{"new, with a tick of before in the register", cron.All(9), fresh, entry{sent: min(-9), since: noon}, read, 0, 0, true},
		{"started again, never late", cron.Never, fresh, entry{}, read, 1, 0, true},
		{"started again, and has not sent yet", cron.All(9), fresh, entry{}, read, 1, 0, true},
		{"started, and the register is away", cron.Never, fresh, entry{}, unread, 0, 0, false},
		{"started, and may not ask", cron.Never, fresh, entry{}, barred, 1, 0, true},
		{"started, asked later, a new one", cron.Never, half, entry{since: noon}, read, 0, 0, true},
		{"started, asked later, and what it sent itself", cron.Never, half, entry{}, read, 0, 0, true},
		{"after an outage", cron.All(9), fresh, entry{sent: min(-5)}, read, 5, 4, true},
		{"after an outage, and the register is away", cron.All(9), fresh, entry{}, unread, 0, 0, false},
		{"after an outage, and may not ask", cron.All(9), fresh, entry{}, barred, 1, 0, true},
	} {
		s, err := cron.New("x", "* * * * *", cron.Late(c.late))
		if err != nil {
			t.Fatal(err)
		}
		p := decide(s, c.st, c.said, c.by, noon)
		if len(p.ticks) != c.ticks || p.late != c.lates || p.state.known != c.known || !p.state.decided.Equal(noon) {
			t.Errorf("%s: %d ticks, %d late, known %v; want %d, %d, %v", c.name, len(p.ticks), p.late, p.state.known, c.ticks, c.lates, c.known)
		}
	}
}

// A register that has just refused is away; the right to read it is missing where it goes on.
func TestARefusalIsBelievedOnceItHasLasted(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	was := func(d time.Duration) time.Time { return now.Add(-d) }
	pauses := entries{"x": {paused: now}}
	no := errors.New("AccessDenied")
	for _, c := range []struct {
		name string
		last reading
		by   judgement
		from time.Time
	}{
		{"at the start", reading{}, unread, now},
		{"after an answer", reading{by: read, entries: pauses, at: was(time.Hour)}, unread, now},
		{"again", reading{entries: pauses, refused: was(believeAfter - 1)}, unread, was(believeAfter - 1)},
		{"for long enough", reading{entries: pauses, refused: was(believeAfter)}, barred, was(believeAfter)},
		{"once it was believed", reading{by: barred, refused: was(time.Hour)}, barred, was(time.Hour)},
	} {
		got := c.last.refuse(now, no)
		if got.by != c.by || !got.refused.Equal(c.from) || !got.at.Equal(now) || !errors.Is(got.err, no) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if kept := len(got.entries) > 0; kept != (c.by == unread && len(c.last.entries) > 0) {
			t.Errorf("%s: its pauses are kept: %v", c.name, kept)
		}
	}
}

// What was decided before the first answer was decided by our own clock.
func TestAStateIsMeasuredOnce(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		st, want state
	}{
		{"of a start", state{}, state{measured: true}},
		{"before an answer", state{decided: noon, own: noon.Add(-time.Second), known: true},
			state{decided: noon.Add(time.Minute), own: noon.Add(time.Minute - time.Second), known: true, measured: true}},
		{"with a floor", state{decided: noon, own: noon, floor: noon},
			state{decided: noon.Add(time.Minute), own: noon.Add(time.Minute), floor: noon.Add(time.Minute), measured: true}},
		{"after one", state{decided: noon, own: noon, measured: true}, state{decided: noon, own: noon, measured: true}},
	} {
		if got := c.st.measure(time.Minute); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
