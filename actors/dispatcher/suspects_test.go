package dispatcher

import (
	"math"
	"testing"
	"time"
)

func TestSilentEndsAreBoundedByTheTimeThatPassed(t *testing.T) {
	const lease, other = 120 * time.Second, 10 * time.Second
	cases := []struct {
		name     string
		receives int
		age      time.Duration
		lease    time.Duration
		want     int
	}{
		{"the first delivery", 1, 0, lease, 0},
		{"the first delivery, to a process that was asleep", 1, time.Hour, lease, 0},
		{"no receive count at all", 0, 0, lease, 0},
		{"one crash", 2, lease, lease, 1},
		{"one crash, seen a little early", 2, lease - 10*time.Second, lease, 1},
		{"one crash, picked up an hour later", 2, time.Hour, lease, 1},
		{"three crashes", 4, 3 * lease, lease, 3},
		{"a release at once", 2, 0, lease, 0},
		{"ten releases at once", 11, 5 * time.Second, lease, 0},
		{"postponed by a Python consumer", 2, other, lease, 0},
		{"postponed by a Python consumer for nine minutes", 50, 49*other + 49*time.Second, lease, 0},
		{"postponed three times, then a crash", 5, 3*other + lease, lease, 1},
		{"a crash after nine minutes of postponements", 46, 44*other + lease, lease, 1},
		{"a lease that is not known", 4, 0, 0, 3},
		{"a lease shorter than the postponements", 3, 10 * time.Second, 4 * time.Second, 2},
		{"the clock went back", 3, -time.Hour, lease, 0},
		{"as fast as the queue gives it, for ever", 54, time.Second, lease, 3},
		{"an absurd count", math.MaxInt >> 23, time.Hour, lease, math.MaxInt>>23 - 1 - manyReceives},
	}
	for _, c := range cases {
		if got := (deliveries{receives: c.receives, age: c.age, lease: c.lease, other: other}).silentEnds(); got != c.want {
			t.Errorf("%s: %d silent ends, want %d", c.name, got, c.want)
		}
	}
}

func TestTheFirstSilentEndMakesNoSuspect(t *testing.T) {
	for silent, want := range []bool{false, false, true, true} {
		if got := (ledger{silent: silent, max: 1}).suspect(); got != want {
			t.Errorf("%d silent ends: suspect %v", silent, got)
		}
	}
}

func TestSuspectsComeAgainAtAboutTheirTurn(t *testing.T) {
	var s isolation
	run := func(took time.Duration) {
		e := &execution{}
		s.add(e, 0)
		s.begin()
		s.ended(e, took)
	}
	for i, want := range []time.Duration{5 * time.Second, 10 * time.Second} {
		if got := s.pause(); got != want {
			t.Errorf("the pause of suspect %d is %v before any has ended, want %v", i, got, want)
		}
	}
	run(2 * time.Minute)
	for i, want := range []time.Duration{2 * time.Minute, 4 * time.Minute} {
		if got := s.pause(); got != want {
			t.Errorf("the pause of suspect %d is %v, want %v", i, got, want)
		}
	}
	for range 10_000 {
		if got := s.pause(); got < 0 || got > maxDelay {
			t.Fatalf("a pause of %v", got)
		}
	}
	run(0)
	if got := s.pause(); got != 5*time.Second {
		t.Errorf("a pause of %v after a suspect that ended at once", got)
	}
}

// TestSuspectsRunOneAtATime: each step is one event, and what is true after it.
func TestSuspectsRunOneAtATime(t *testing.T) {
	const none, a, b, other = 0, 1, 2, 3
	name := map[*execution]int{nil: none}
	execs := map[int]*execution{none: nil}
	for _, k := range []int{a, b, other} {
		execs[k] = &execution{}
		name[execs[k]] = k
	}
	var s isolation
	for i, step := range []struct {
		event   string
		of      int
		next    int
		running int
		busy    bool
	}{
		{"", none, none, none, false},
		{"add", a, a, none, true},
		{"add", b, a, none, true}, // a FIFO pool's
		{"remove", other, a, none, true},
		{"begin", a, none, a, true},
		{"ended", other, none, a, true}, // healthy work goes on
		{"ended", a, b, none, true},
		{"ended", a, b, none, true},
		{"begin", b, none, b, true},
		{"add", a, none, b, true},
		{"remove", a, none, b, true}, // paused, or its lease is lost
		{"ended", b, none, none, false},
	} {
		e := execs[step.of]
		switch step.event {
		case "add":
			s.add(e, 0)
		case "begin":
			s.begin()
		case "ended":
			s.ended(e, time.Second)
		case "remove":
			if got := s.remove(e); got != (step.of != other) {
				t.Errorf("step %d: removed %v", i, got)
			}
		}
		if name[s.next()] != step.next || name[s.running] != step.running || s.busy() != step.busy {
			t.Errorf("step %d, %s of %d: next %d, running %d, busy %v; want %+v", i, step.event, step.of, name[s.next()], name[s.running], s.busy(), step)
		}
	}
}

func TestASuspectWaitsForTheDeletesBeforeIt(t *testing.T) {
	const limit = 30 * time.Second
	begun := time.Now()
	for _, c := range []struct {
		mark, settled uint64
		waited        time.Duration
		want          bool
	}{
		{0, 0, gatherCompany, true},
		{7, 7, gatherCompany, true},
		{7, 8, gatherCompany, true},
		{7, 8, gatherCompany - 1, false}, // what came with it is on its way
		{7, 6, gatherCompany, false},
		{7, 6, limit - 1, false},
		{7, 6, limit, true}, // the queue does not answer
	} {
		var s isolation
		e := &execution{since: begun}
		s.add(e, c.mark)
		if got := s.clear(e, c.settled, begun.Add(c.waited), limit); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestARunExplainsTheSilentEndsBeforeIt(t *testing.T) {
	for _, c := range []struct {
		silent  int
		ordered bool
		want    bool
		before  int // attempts before this delivery, with those that are explained
		left    int
	}{
		{0, false, false, 1, 0},
		{2, false, true, 3, 0},
		{2, true, false, 1, 2},
	} {
		e := &execution{suspect: true, before: 1, ledger: ledger{silent: c.silent, ordered: c.ordered}}
		if got := e.seen(); got != c.want || e.suspect || e.before != c.before || e.ledger.silent != c.left {
			t.Errorf("%+v: %v, %+v", c, got, e.ledger)
		}
	}
}

func TestADeliveryThatMayCountLaterIsCostly(t *testing.T) {
	const lease = 120 * time.Second
	for _, c := range []struct {
		name     string
		receives int
		age      time.Duration
		lease    time.Duration
		want     bool
	}{
		{"the first delivery, just now", 1, 0, lease, false},
		{"the first delivery, for most of a lease", 1, 105 * time.Second, lease, true},
		{"the first delivery, a second less", 1, 104 * time.Second, lease, false},
		{"the second delivery, just now", 2, 0, lease, true},
		{"a lease that is not known", 1, time.Hour, 0, false},
		{"the clock went back", 1, -time.Hour, lease, false},
	} {
		if got := (deliveries{receives: c.receives, age: c.age, lease: c.lease}).costly(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
