package breaker

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestOutlierSteps(t *testing.T) {
	p := clientPlan{}
	if err := EjectOutliers().plan(&p); err != nil {
		t.Fatal(err)
	}
	set := p.outliers
	sec := int64(time.Second)
	bad := peers{row: 5, good: 9, known: 10}
	left := outlier{state: Open, until: 10 * sec, wait: 10 * time.Second, times: 1}
	probed := outlier{state: HalfOpen, since: 10 * sec, wait: 10 * time.Second, times: 1}
	for _, c := range []struct {
		name   string
		from   outlier
		kind   eventKind
		now    int64
		peers  peers
		to     State
		until  int64
		reason string // a part of it
	}{
		{"five failures in a row", outlier{}, evFailure, 0, bad, Open, 10 * sec, "5 failures in a row, and 9 of 9"},
		{"four", outlier{}, evFailure, 0, peers{row: 4, good: 9, known: 10}, Closed, 0, ""},
		{"all fail", outlier{}, evFailure, 0, peers{row: 50, sick: 9, known: 10}, Closed, 0, ""},
		{"half of the others fail", outlier{}, evFailure, 0, peers{row: 50, good: 4, sick: 4, known: 10}, Closed, 0, ""},
		{"nothing is known of the others", outlier{}, evFailure, 0, peers{row: 50, known: 10}, Closed, 0, ""},
		{"a tenth is out", outlier{}, evFailure, 0, peers{row: 5, good: 8, known: 10, out: 1}, Closed, 0, ""},
		{"a tenth of twenty", outlier{}, evFailure, 0, peers{row: 5, good: 18, known: 20, out: 1}, Open, 10 * sec, "in a row"},
		{"one of two", outlier{}, evFailure, 0, peers{row: 5, good: 1, known: 2}, Open, 10 * sec, "in a row"},
		{"the other of two", outlier{}, evFailure, 0, peers{row: 5, good: 1, known: 2, out: 1}, Closed, 0, ""},
		{"the only one", outlier{}, evFailure, 0, peers{row: 5, good: 1, known: 1}, Closed, 0, ""},
		{"one that vanished", outlier{}, evFailure, 0, peers{row: 5, good: 1}, Closed, 0, ""},
		{"a third of its calls", outlier{}, evFailure, 0, peers{row: 1, calls: 30, bad: 10, good: 9, oCalls: 270, oBad: 2, known: 10}, Open, 10 * sec, "33 % of 30 calls failed, and 1 %"},
		{"a third of all calls", outlier{}, evFailure, 0, peers{row: 1, calls: 30, bad: 10, good: 9, oCalls: 270, oBad: 90, known: 10}, Closed, 0, ""},
		{"a third of few calls", outlier{}, evFailure, 0, peers{row: 1, calls: 19, bad: 10, good: 9, oCalls: 270, known: 10}, Closed, 0, ""},
		{"before its time", left, evTime, 9 * sec, peers{}, Open, 10 * sec, ""},
		{"after its time", left, evTime, 10 * sec, peers{}, HalfOpen, 0, "time is over"},
		{"a probe fails", probed, evFailure, 11 * sec, peers{}, Open, 31 * sec, "failed again"},
		{"a probe succeeds", probed, evSuccess, 11 * sec, peers{}, HalfOpen, 0, ""},
		{"bad soon after it was back", outlier{times: 1, since: 20 * sec, wait: 10 * time.Second}, evFailure, 25 * sec, bad, Open, 45 * sec, ""},
		{"bad long after", outlier{times: 3, since: 20 * sec, wait: 40 * time.Second}, evFailure, 61 * sec, bad, Open, 71 * sec, ""},
		{"bad for the hundredth time", outlier{times: 100}, evFailure, 0, bad, Open, 300 * sec, ""},
		{"a reset", left, evReset, sec, peers{}, Closed, 0, "a reset"},
		{"a reset of one that is in use", outlier{times: 3}, evReset, sec, peers{}, Closed, 0, ""},
	} {
		next, reason := c.from.step(set, outlierEvent{kind: c.kind, now: c.now, peers: c.peers})
		if next.state != c.to || next.until != c.until || !strings.Contains(reason, c.reason) || (reason != "") != (next.state != c.from.state) {
			t.Errorf("%s: %+v, reason %q; want %v until %d, %q", c.name, next, reason, c.to, c.until, c.reason)
		}
	}
	o := probed
	for range 3 {
		o, _ = o.step(set, outlierEvent{kind: evSuccess, now: 12 * sec})
	}
	if o.state != Closed || o.times != 1 {
		t.Errorf("after three probes: %+v", o)
	}
	o, _ = outlier{}.step(set, outlierEvent{kind: evFailure, rnd: 1, peers: bad})
	if o.until != 11*sec {
		t.Errorf("with all of the jitter it is left out until %d", o.until)
	}
}

func TestOutlierPolicyIsChecked(t *testing.T) {
	for want, set := range map[string]OutlierPolicy{
		"want Failures of 1 to 1000, got -1":     {Failures: -1},
		"want Most above 0 and at most 1, got 2": {Most: 2},
		"want Most above 0 and at most 1, got -": {Most: -0.1},
		"Base must be":                           {Base: -1},
		"Cap must be 10s to":                     {Cap: time.Second},
		"Connect must be":                        {Connect: -1},
		"Refresh must be 100ms":                  {Refresh: time.Millisecond},
	} {
		if err := set.plan(&clientPlan{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", set, err, want)
		}
	}
}

// TestAFleetDoesNotShareAddresses: what one process sees of an address may be its own network.
func TestAFleetDoesNotShareAddresses(t *testing.T) {
	b := newBreaker(t, Settings{})
	if _, changed, err := b.Trip("@10.0.0.7:80", 0, "another process", latest); err == nil || changed || len(b.Snapshot().Entries) != 1 {
		t.Error(changed, err, b.Snapshot().Entries)
	}
	var moved []string
	agent := actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*Moved); ok {
			moved = append(moved, m.Entry)
		}
	})
	pid, err := b.System().Root.SpawnNamed(agent, FleetAgent)
	if err != nil {
		t.Fatal(err)
	}
	b.notifyFleet([]change{{path: "@10.0.0.7:80"}, {path: "/v1"}}, 0)
	if err := b.System().Root.PoisonFuture(pid).Wait(); err != nil || len(moved) != 1 || moved[0] != "/v1" {
		t.Error(moved, err)
	}
}

// TestAnAddressOutlivesItsActor: a crash loses neither that it is left out nor when that ends, and a
// breaker does not sleep before.
func TestAnAddressOutlivesItsActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{})
		p := clientPlan{}
		if err := EjectOutliers().plan(&p); err != nil {
			t.Fatal(err)
		}
		have, _ := b.addressed().named([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80")}, p.outliers, b.now())
		b.result(have[1], Success, 0)
		for range outlierFailures {
			b.result(have[0], Failure, 0)
		}
		if have[0].is() != Open {
			t.Fatal(b.Addresses())
		}
		b.idle()
		if b.sleep() {
			t.Error("it sleeps while an address is left out")
		}
		crashNow(t, b)
		synctest.Wait()
		if have[0].is() != Open || b.Snapshot().Entries[1].Entry != "@10.0.0.1:80" {
			t.Errorf("after a crash: %+v", b.Snapshot().Entries)
		}
		time.Sleep(12 * time.Second) // 10 s and the jitter
		synctest.Wait()
		if have[0].is() != HalfOpen {
			t.Errorf("after its time: %v", have[0].is())
		}
		if mark, ok := have[0].takeProbe(b.now(), time.Second); !ok || mark == 0 {
			t.Error("there is no probe")
		} else if _, twice := have[0].takeProbe(b.now(), time.Second); twice {
			t.Error("two probes at once")
		}
		time.Sleep(time.Second)
		if _, ok := have[0].takeProbe(b.now(), time.Second); !ok {
			t.Error("a probe that never ends holds the slot for good")
		}
	})
}
