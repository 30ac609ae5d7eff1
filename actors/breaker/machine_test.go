package breaker

import (
	"testing"
	"time"
)

// TestStep is a table of what one event does to one machine. Most of the
// machine's rules are held by the scenarios and the model; these are the rest.
func TestStep(t *testing.T) {
	const s = int64(time.Second)
	c, err := newConfig(Settings{HalfSuccessLimit: 2, OpenTimeout: 10 * time.Second, OpenMax: 25 * time.Second, HangLimit: 2, ClosedFailLimit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		from   machine
		events []event
		ok     func(m machine) bool
	}{
		{"good health calls count in a row alone", machine{state: Open, until: 10 * s},
			[]event{{kind: evHealth, now: 1}, {kind: evSick, now: 2}, {kind: evHealth, now: 3}},
			func(m machine) bool { return m.state == Open }},
		{"good health calls in a row end the open time", machine{state: Open, until: 10 * s},
			[]event{{kind: evHealth, now: 1}, {kind: evHealth, now: 2}},
			func(m machine) bool { return m.state == HalfOpen }},
		{"failing health calls keep it open no longer than OpenMax", machine{state: Open, until: 20 * s, sick: true},
			[]event{{kind: evTime, now: 20 * s}},
			func(m machine) bool { return m.state == Open && m.until <= 25*s }},
		{"a hanging call that has ended hangs no more", machine{},
			[]event{{kind: evHang}, {kind: evHangOver}, {kind: evHang}},
			func(m machine) bool { return m.state == Closed && m.hung == 1 }},
		{"two calls that hang at once open it", machine{},
			[]event{{kind: evHang}, {kind: evHang}},
			func(m machine) bool { return m.state == Open && m.hung == 2 }},
		{"a blamed entry that fails again opens", machine{blamed: true, fails: 1},
			[]event{{kind: evFailure, blame: true}},
			func(m machine) bool { return m.state == Open }},
		{"hanging calls are still counted after it has closed", machine{state: HalfOpen, hung: 1, succs: 1},
			[]event{{kind: evSuccess}},
			func(m machine) bool { return m.state == Closed && m.hung == 1 }},
		{"an entry that has recovered is blamed no more", machine{blamed: true, fails: 1},
			[]event{{kind: evSuccess}},
			func(m machine) bool { return !m.blamed }},
		{"a slot is held for probe_timeout", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s}},
			func(m machine) bool { return m.due() == 6*s && m.free() == 6*s }},
		{"a slot is held for the time that is asked for", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s, hold: 60 * time.Second}},
			func(m machine) bool { return m.due() == 61*s && m.free() == 61*s }},
		{"a lenient slot is likely to be free at probe_timeout", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s, hold: 11 * time.Second, lenient: true}},
			func(m machine) bool { return m.due() == 12*s && m.free() == 6*s }},
		{"the deadline of a probe is a failure", machine{state: HalfOpen, probes: []probe{{id: 1, deadline: 5 * s}}},
			[]event{{kind: evTime, now: 5 * s}},
			func(m machine) bool { return m.state == Open }},
		{"the deadline of a lenient probe gives its slot back and is nothing", machine{state: HalfOpen, succs: 1, probes: []probe{{id: 1, deadline: 5 * s, lenient: true}, {id: 2, deadline: 9 * s}}},
			[]event{{kind: evTime, now: 5 * s}},
			func(m machine) bool {
				return m.state == HalfOpen && m.fails == 0 && m.succs == 1 && !m.holds(1) && m.holds(2)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tc.from
			for _, e := range tc.events {
				m, _ = m.step(&c.Settings, e)
			}
			if !tc.ok(m) {
				t.Errorf("%+v", m)
			}
		})
	}
}
