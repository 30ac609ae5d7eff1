package breaker

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// latest is a Seq beyond all: the caller has taken in every transition.
const latest = math.MaxUint64

func TestFleetEventsOfTheMachine(t *testing.T) {
	c := Settings{}.filled()
	ramped := c
	ramped.Ramp = time.Minute
	const now, min = int64(1000), int64(time.Minute)
	closed := machine{state: Closed, fails: 3, hung: 1, since: 5}
	open := machine{state: Open, opens: 2, hung: 1, since: 5, begun: 10, until: now + min}
	half := machine{state: HalfOpen, opens: 2, succs: 3, since: 5}
	probing := machine{state: HalfOpen, opens: 2, since: 5, probes: []probe{{id: 7}}}
	ramping := half.ramp(&ramped, now)
	for _, x := range []struct {
		what  string
		got   machine
		state State
		until int64
	}{
		{"trip closed", closed.trip(&c, now, time.Second), Open, now + int64(time.Second)},
		{"trip for longer than open_max", closed.trip(&c, now, time.Hour), Open, now + int64(c.OpenMax)},
		{"trip open, shorter", open.trip(&c, now, time.Second), Open, now + min},
		{"trip open, longer", open.trip(&c, now, 2*time.Minute), Open, now + 2*min},
		{"trip half-open", half.trip(&c, now, time.Second), Open, now + int64(time.Second)},
		{"trip with a probe in flight", probing.trip(&c, now, time.Second), HalfOpen, 0},
		{"trip in a ramp", ramping.trip(&ramped, now, time.Second), HalfOpen, ramping.until},
		{"doubt closed", closed.doubt(), HalfOpen, 0},
		{"doubt open", open.doubt(), Open, now + min},
		{"doubt half-open", half.doubt(), HalfOpen, 0},
		{"recover closed", closed.recovered(&c, now), Closed, 0},
		{"recover open", open.recovered(&c, now), Closed, 0},
		{"recover half-open", half.recovered(&c, now), Closed, 0},
		{"recover with a probe in flight", probing.recovered(&c, now), HalfOpen, 0},
		{"recover into a ramp", open.recovered(&ramped, now), HalfOpen, now + min},
		{"recover in a ramp", ramping.recovered(&ramped, now+5), HalfOpen, ramping.until},
	} {
		if x.got.state != x.state || x.got.until != x.until {
			t.Errorf("%s: %v until %d, want %v until %d", x.what, x.got.state, x.got.until, x.state, x.until)
		}
	}
	if m := closed.recovered(&c, now); m.fails != 3 {
		t.Error("a recovery of a closed entry took its failures away")
	}
	if m := closed.doubt(); m.hung != 1 {
		t.Error("a doubt forgot the calls that hang")
	}
}

// want fails the test if an event of the fleet did not end as it should.
func want(t *testing.T, what string, state State, changed bool) func(State, bool, error) {
	t.Helper()
	return func(s State, c bool, err error) {
		t.Helper()
		if err != nil || s != state || c != changed {
			t.Errorf("%s: %v, changed %v, %v; want %v, %v", what, s, c, err, state, changed)
		}
	}
}

func TestTheFleetMovesABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{HalfSuccessLimit: 2})
		want(t, "doubt", HalfOpen, true)(b.Doubt("/v1/", "fleet: 3 of 10: n1 n4 n7", latest))
		want(t, "doubt again", HalfOpen, false)(b.Doubt("/v1", "again", latest))
		if b.State() != Closed || b.StateOf("/v1") != HalfOpen {
			t.Fatalf("%v, /v1 %v", b.State(), b.StateOf("/v1"))
		}
		if err := b.Do(t.Context(), "/v1/send", fail); err != errBoom {
			t.Fatal(err)
		}
		if b.StateOf("/v1") != Open {
			t.Fatal("the first failure in doubt did not open")
		}
		want(t, "trip", Open, true)(b.Trip("/v1", time.Minute, "longer", latest))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if b.StateOf("/v1") != Open {
			t.Fatal("the fleet's word did not lengthen the open time")
		}
		want(t, "trip, shorter", Open, false)(b.Trip("/v1", time.Second, "shorter", latest))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if b.StateOf("/v1") != HalfOpen {
			t.Fatal("a trip does not end")
		}
		want(t, "recover", Closed, true)(b.Recover("/v1", "fleet: n1 has seen it work", latest))
		for range 2 {
			if err := b.Do(t.Context(), "/v1", succeed); err != nil {
				t.Fatal(err)
			}
		}
		log := b.Transitions(0)
		if log[0].Reason != "fleet: 3 of 10: n1 n4 n7" || log[len(log)-1].Reason != "fleet: n1 has seen it work" {
			t.Errorf("%+v", log)
		}
		if len(Replay(log)) != 0 {
			t.Errorf("the log does not lead to closed: %+v", log)
		}
	})
}

func TestTheFleetIsBelowAnOperator(t *testing.T) {
	b := newBreaker(t, Settings{})
	for _, order := range []func(string, time.Duration) error{b.ForceClosed, b.ForceOpen, b.MetricsOnly} {
		if err := order("/v1", 0); err != nil {
			t.Fatal(err)
		}
		held := b.StateOf("/v1")
		seq := b.Snapshot().Seq
		want(t, "trip", held, false)(b.Trip("/v1", time.Minute, "x", latest))
		want(t, "doubt", held, false)(b.Doubt("/v1", "x", latest))
		want(t, "recover", held, false)(b.Recover("/v1", "x", latest))
		want(t, "doubt below", Closed, false)(b.Doubt("/v1/send", "x", latest))
		if got := b.Snapshot(); got.Seq != seq {
			t.Errorf("%v: the fleet moved an entry that an operator holds: %+v", held, got.Entries)
		}
		if err := b.Reset("/v1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheFleetWaitsForAProbe(t *testing.T) {
	b := newBreaker(t, Settings{HalfSuccessLimit: 1})
	want(t, "doubt", HalfOpen, true)(b.Doubt("", "x", latest))
	p, err := b.Acquire("")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "trip", HalfOpen, false)(b.Trip("", time.Minute, "x", latest))
	want(t, "recover", HalfOpen, false)(b.Recover("", "x", latest))
	p.Settle(Success)
	if b.State() != Closed {
		t.Error("the probe's success did not count")
	}
}

// TestTheFleetMakesNoEntryBeyondTheBounds: the words of others must not fill a service.
func TestTheFleetMakesNoEntryBeyondTheBounds(t *testing.T) {
	b := newBreaker(t, Settings{MaxEntries: 2, MaxDepth: 3})
	want(t, "first", HalfOpen, true)(b.Doubt("/a", "x", latest))
	want(t, "second", HalfOpen, true)(b.Doubt("/b", "x", latest))
	want(t, "beyond max_entries", Closed, false)(b.Doubt("/c", "x", latest))
	want(t, "beyond max_depth", Closed, false)(b.Trip("/a/b/c/d", time.Second, "x", latest))
	want(t, "longer than any entry", Closed, false)(b.Trip("/"+strings.Repeat("x", 5000), time.Second, "x", latest))
	if _, _, err := b.Trip("/a", -1, "x", latest); err == nil {
		t.Error("a negative time was taken")
	}
	if n := len(b.Snapshot().Entries); n != 3 {
		t.Errorf("%d entries", n)
	}
	want(t, "recover what is not there", Closed, false)(b.Recover("/b/x", "x", latest))
	if n := len(b.Snapshot().Entries); n != 3 {
		t.Errorf("a recovery made an entry: %d", n)
	}
}

func TestTransitionsReachTheFleetAgent(t *testing.T) {
	system := newSystem(t)
	got := make(chan *Moved, 10)
	pid, err := system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*Moved); ok {
			got <- m
		}
	}), FleetAgent)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Spawn(system, "https://mail.internal", Settings{ClosedFailLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Stop(context.Background()) }()
	_ = b.Do(t.Context(), "", fail)
	if m := <-got; m.Breaker != b || m.To != Open || m.Service != "https://mail.internal" {
		t.Errorf("%+v", m)
	}
	first := b.Transitions(0)[0].Seq
	if _, changed, err := b.Recover("", "an older word", first-1); !errors.Is(err, ErrMoved) || changed || b.State() != Open {
		t.Errorf("a trip was undone by one that does not know it: %v, %v, %v", changed, err, b.State())
	}
	want(t, "recover", Closed, true)(b.Recover("", "a newer word", first))
	if err := system.Root.StopFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := b.Reset(""); err != nil || b.State() != Closed { // nobody listens: nothing is sent
		t.Error(err, b.State())
	}
}
