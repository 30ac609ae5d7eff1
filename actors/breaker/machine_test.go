package breaker

import (
	"math"
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
		{"the deadlines of lenient probes give all of their slots back at once", machine{state: HalfOpen, probes: []probe{{id: 1, deadline: 5 * s, lenient: true}, {id: 2, deadline: 5 * s, lenient: true}}},
			[]event{{kind: evTime, now: 5 * s}},
			func(m machine) bool {
				return m.state == HalfOpen && len(m.probes) == 0 && m.due() == 0 && m.free() == 0
			}},
		{"each of two calls has its slot", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s}, {kind: evAdmit, probe: 2, now: 2 * s}},
			func(m machine) bool { return m.holds(1) && m.holds(2) && !m.holds(3) && m.due() == 6*s }},
		{"of two slots the later may be over first", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s, hold: 60 * time.Second}, {kind: evAdmit, probe: 2, now: 2 * s}},
			func(m machine) bool { return m.due() == 7*s && m.free() == 7*s }},
		{"a slot may be asked for by the nanosecond", machine{state: HalfOpen},
			[]event{{kind: evAdmit, probe: 1, now: s, hold: 1}},
			func(m machine) bool { return m.due() == s+1 }},
		{"a service that is well again is not kept open for having been sick", machine{state: Open, until: 10 * s},
			[]event{{kind: evSick, now: s}, {kind: evHealth, now: 2 * s}, {kind: evTime, now: 10 * s}},
			func(m machine) bool { return m.state == HalfOpen }},
		{"without a ramp, good health calls end in probes", machine{state: Open, until: 10 * s},
			[]event{{kind: evHealth, now: 1}, {kind: evHealth, now: 2}},
			func(m machine) bool { return !m.ramping() }},
		{"a failure puts off that the entry is forgotten", machine{last: s},
			[]event{{kind: evFailure, now: 7 * s}},
			func(m machine) bool { return m.last == 7*s && m.fails == 1 }},
		{"a success that clears failures puts it off", machine{last: s, fails: 1},
			[]event{{kind: evSuccess, now: 7 * s}},
			func(m machine) bool { return m.last == 7*s && m.fails == 0 }},
		{"a success that clears nothing does not", machine{last: s},
			[]event{{kind: evSuccess, now: 7 * s}},
			func(m machine) bool { return m.last == s && m.succs == 0 }},
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

// TestStepBySettings is a table of single events under settings that are not
// the defaults.
func TestStepBySettings(t *testing.T) {
	const s = int64(time.Second)
	late := []probe{{id: 1, deadline: 5 * s}}
	backoff := Settings{OpenBackoff: "exponential", OpenTimeout: time.Second, OpenMax: time.Minute}
	for _, tc := range []struct {
		name   string
		set    Settings
		from   machine
		event  event
		ok     func(m machine) bool
		reason string
	}{
		{"one call that hangs opens", Settings{HangLimit: 1}, machine{}, event{kind: evHang},
			func(m machine) bool { return m.state == Open }, "1 calls hang for 5s and longer"},
		{"a slow call puts off that the entry is forgotten", Settings{Trip: "rate", SlowCall: time.Second}, machine{last: s},
			event{kind: evSlow, now: 7 * s, seen: tallied{calls: 1, slow: 1}},
			func(m machine) bool { return m.state == Closed && m.last == 7*s }, ""},
		{"the shortest ramp is one, after health calls", Settings{Ramp: 1, HalfSuccessLimit: 1}, machine{state: Open, until: 9 * s}, event{kind: evHealth, now: s},
			func(m machine) bool { return m.ramping() && m.begun == s && m.until == s+1 }, "1 health calls succeeded"},
		{"the shortest ramp is one, after probes", Settings{Ramp: 1, HalfSuccessLimit: 1}, machine{state: HalfOpen}, event{kind: evSuccess, now: s},
			func(m machine) bool { return m.ramping() && m.begun == s && m.until == s+1 }, ""},
		{"successes do not begin a ramp again, which would never end", Settings{Ramp: 10 * time.Second, HalfSuccessLimit: 1},
			machine{state: HalfOpen, begun: s, until: 11 * s}, event{kind: evSuccess, now: 6 * s},
			func(m machine) bool { return m.begun == s && m.until == 11*s }, ""},
		{"a late probe is the reason that is logged", Settings{}, machine{state: HalfOpen, probes: late}, event{kind: evTime, now: 5 * s},
			func(m machine) bool { return m.state == Open }, "a probe did not end within 5s"},
		{"a late probe that decides nothing is dropped", Settings{HalfFailLimit: 2}, machine{state: HalfOpen, probes: late}, event{kind: evTime, now: 5 * s},
			func(m machine) bool { return m.state == HalfOpen && m.fails == 1 }, ""},
		{"the third open time is four times the first", backoff, machine{state: HalfOpen, opens: 2}, event{kind: evFailure},
			func(m machine) bool { return m.until == 4*s && m.opens == 3 }, "1 failures while half-open"},
		{"open times end at open_max", backoff, machine{state: HalfOpen, opens: math.MaxInt32}, event{kind: evFailure},
			func(m machine) bool { return m.until == 60*s && m.opens == math.MaxInt32 }, "1 failures while half-open"},
		{"open times may grow from the shortest to the longest", Settings{OpenBackoff: "exponential", OpenTimeout: 1, OpenMax: maxTime},
			machine{state: HalfOpen, opens: 60}, event{kind: evFailure},
			func(m machine) bool { return m.until == int64(maxTime) }, "1 failures while half-open"},
	} {
		c, err := newConfig(tc.set)
		if err != nil {
			t.Fatal(err)
		}
		if m, reason := tc.from.step(&c.Settings, tc.event); !tc.ok(m) || reason != tc.reason {
			t.Errorf("%s: %+v, reason %q, want %q", tc.name, m, reason, tc.reason)
		}
	}
}

// A machine that was published is read while the next ones are made of it.
func TestStepLeavesTheMachineBeforeAsItIs(t *testing.T) {
	c, err := newConfig(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	m := machine{state: HalfOpen}
	for id := range uint64(3) {
		m, _ = m.step(&c.Settings, event{kind: evAdmit, probe: id + 1})
	}
	one, _ := m.step(&c.Settings, event{kind: evAdmit, probe: 4})
	other, _ := m.step(&c.Settings, event{kind: evAdmit, probe: 5})
	less, _ := m.step(&c.Settings, event{kind: evNeutral, probe: 1})
	if len(m.probes) != 3 || !m.holds(1) || !m.holds(2) || !m.holds(3) {
		t.Errorf("before: %+v", m.probes)
	}
	if !one.holds(4) || one.holds(5) || !other.holds(5) || len(less.probes) != 2 || less.holds(1) {
		t.Errorf("after: %+v, %+v and %+v", one.probes, other.probes, less.probes)
	}
}

func TestResultsCountInTheirOwnState(t *testing.T) {
	held := []probe{{id: 7}}
	for _, tc := range []struct {
		name    string
		m       machine
		gen, id uint64
		want    bool
	}{
		{"closed: admitted since", machine{since: 3}, 3, 0, true},
		{"closed: admitted before it opened and closed again", machine{since: 3}, 2, 0, false},
		{"open: whatever was admitted", machine{state: Open, since: 3}, 3, 0, false},
		{"half-open: a probe", machine{state: HalfOpen, since: 3, probes: held}, 3, 7, true},
		{"half-open: a probe that has lost its slot", machine{state: HalfOpen, since: 3, probes: held}, 3, 6, false},
		{"half-open: admitted without a slot", machine{state: HalfOpen, since: 3}, 3, 0, false},
		{"ramp: admitted since", machine{state: HalfOpen, since: 3, until: 1}, 3, 0, true},
		{"ramp: admitted while closed", machine{state: HalfOpen, since: 3, until: 1}, 2, 0, false},
		{"ramp: the last probe before it", machine{state: HalfOpen, since: 3, until: 1, probes: held}, 2, 7, true},
	} {
		if got := tc.m.counts(tc.gen, tc.id); got != tc.want {
			t.Errorf("%s: counts is %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRampGrowsFromATwentiethToAll(t *testing.T) {
	m := machine{state: HalfOpen, begun: 1000, until: 2000}
	for now, want := range map[int64]float64{1000: rampStart, 1040: rampStart, 1250: 0.25, 1500: 0.5, 2000: 1, 2500: 1} {
		if got := m.share(now); got != want {
			t.Errorf("%d ns after it began a ramp of 1000 ns admits %v, want %v", now-m.begun, got, want)
		}
	}
}

// What is not clean is kept, though its entry has no failures.
func TestClean(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    machine
		want bool
	}{
		{"nothing has happened", machine{last: 5}, true},
		{"it is open", machine{state: Open}, false},
		{"it has failed", machine{fails: 1}, false},
		{"a call hangs: its end is to be counted", machine{hung: 1}, false},
		{"it was open once: results from before are to be known", machine{since: 2}, false},
	} {
		if got := tc.m.clean(); got != tc.want {
			t.Errorf("%s: clean is %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestTooMany(t *testing.T) {
	rate := Settings{MinCalls: 4, FailureRate: 0.5, SlowRate: 0.5}
	slow, shortest := rate, rate
	slow.SlowCall, shortest.SlowCall = time.Second, 1
	for _, tc := range []struct {
		name string
		set  Settings
		seen tallied
		want string
	}{
		{"too few calls to say", rate, tallied{calls: 3, bad: 3}, ""},
		{"half of them failed", rate, tallied{calls: 4, bad: 2}, "2 of 4 calls failed"},
		{"fewer failed", rate, tallied{calls: 5, bad: 2}, ""},
		{"half of them slow", slow, tallied{calls: 4, slow: 2}, "2 of 4 calls took 1s and longer"},
		{"fewer slow", slow, tallied{calls: 5, slow: 2}, ""},
		{"slow by the shortest slow_call", shortest, tallied{calls: 4, slow: 4}, "4 of 4 calls took 1ns and longer"},
		{"slow before slow_call was switched off", rate, tallied{calls: 4, slow: 4}, ""},
	} {
		if got := tc.set.tooMany(tc.seen); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
