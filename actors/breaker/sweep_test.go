package breaker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
)

// size returns the number of entries of a group.
func (g *Group) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.each)
}

// collected waits until the group has at most so many entries. The collector works
// outside of simulated time.
func collected(t *testing.T, g *Group, most int) {
	t.Helper()
	for range 200 {
		if runtime.GC(); g.size() <= most {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("%d entries are left, want at most %d", g.size(), most)
}

// TestStrangersHosts: a program makes a breaker for each host that a stranger
// names. The group stays bounded, guards every one, and is empty after the age.
func TestStrangersHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 4_000
		hosts := scaled(20_000, 20_000, 1_000_000)
		var log bytes.Buffer
		g := newGroup(t, GroupConfig{Limit: limit, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		kept, open := member(t, g, "https://kept.internal"), "https://open.internal"
		for range 10 {
			_ = member(t, g, open).Do(t.Context(), "", fail)
		}
		most := 0
		for i := range hosts {
			b := member(t, g, fmt.Sprintf("https://host-%d.example", i))
			if i%10 == 0 {
				_ = b.Do(t.Context(), "", fail)
			} else {
				_ = b.Do(t.Context(), "/hook", succeed)
			}
			if i%1000 == 0 {
				time.Sleep(80 * time.Second)
				synctest.Wait()
				runtime.GC()
			}
			most = max(most, g.size())
		}
		if most > limit || log.Len() > 0 {
			t.Errorf("%d entries, want at most %d and no host without a breaker:\n%s", most, limit, log.String())
		}
		t.Logf("at most %d entries of %d hosts", most, hosts)
		for range 2 * sweepsPerAge {
			time.Sleep(DefaultGroupAge / sweepsPerAge)
			synctest.Wait()
			_ = member(t, g, open).Do(t.Context(), "", fail) // one in use
		}
		collected(t, g, 2) // kept and open
		if member(t, g, "https://kept.internal") != kept || g.Find(open) == nil {
			t.Error("a breaker that is held, or open, is gone")
		}
		if len(g.Breakers()) > 2 {
			t.Errorf("%d breakers are listed", len(g.Breakers()))
		}
		runtime.KeepAlive(kept)
	})
}

// TestAHandleOutlivesTheAge: the breaker that a caller holds is the same one after
// the age, with its state; and so is each that has something to lose.
func TestAHandleOutlivesTheAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, GroupConfig{Settings: GroupSettings{Settings: Settings{ClosedFailLimit: 2, OpenTimeout: time.Minute},
			Services: map[string]ServiceLimits{"https://limits.internal": {ClosedFailLimit: 5}}}})
		held := member(t, g, "https://held.internal")
		_, _ = held.Do(t.Context(), "", fail), held.Do(t.Context(), "", fail)
		force(t, held.Reset(""))
		seq := held.Snapshot().Seq
		made := func(service string, opts ...Option) { // and dropped by its caller
			b := member(t, g, service, opts...)
			switch service {
			case "https://open.internal":
				_, _ = b.Do(t.Context(), "", fail), b.Do(t.Context(), "", fail)
			case "https://forced.internal":
				force(t, b.ForceOpen("/a", 0))
			case "https://set.internal":
				force(t, b.SetSettings(Settings{ClosedFailLimit: 9}))
			case "https://listened.internal":
				_, err := b.Listen(func(Transition) {})
				force(t, err)
			case "https://pid.internal":
				b.PID()
			}
		}
		stay := []string{"open", "forced", "set", "listened", "pid", "limits"}
		for _, name := range append(stay, "idle") {
			made("https://" + name + ".internal")
		}
		made("https://options.internal", WithLogger(slog.New(slog.DiscardHandler)))
		time.Sleep(2 * DefaultGroupAge)
		synctest.Wait()
		if held.view.Load().kind != viewAsleep {
			t.Error("a held breaker without calls does not sleep")
		}
		collected(t, g, len(stay)+2)
		for _, name := range append(stay, "options", "held") {
			if g.Find("https://"+name+".internal") == nil {
				t.Errorf("%s is forgotten", name)
			}
		}
		if err := g.Find("https://open.internal").Check(""); err == nil && g.Find("https://open.internal").State() != HalfOpen {
			t.Error("an open breaker has closed")
		}
		if len(g.Breakers()) != len(stay)+2 {
			t.Errorf("%d breakers are listed", len(g.Breakers()))
		}
		if member(t, g, "https://held.internal") != held {
			t.Error("the service of a held breaker has a second one")
		}
		force(t, held.Do(t.Context(), "", succeed))
		if s := held.Snapshot(); s.Seq != seq || len(held.Transitions(0)) != int(seq) {
			t.Errorf("%+v", s)
		}
		_, _ = held.Do(t.Context(), "", fail), held.Do(t.Context(), "", fail)
		if err := member(t, g, "https://held.internal").Do(t.Context(), "", succeed); !errors.Is(err, ErrOpen) {
			t.Errorf("the breaker of the service is not the one that opened: %v", err)
		}
	})
}

// TestSettingsReachABreakerThatSleeps, and one without a change does not wake it.
func TestSettingsReachABreakerThatSleeps(t *testing.T) {
	g := newGroup(t, GroupConfig{})
	b := member(t, g, "https://mail.internal")
	asleep(t, b)
	force(t, g.Apply(GroupSettings{Settings: Settings{OpenTimeout: 10 * time.Second}})) // the default
	if b.view.Load().kind != viewAsleep {
		t.Error("settings without a change wake a breaker")
	}
	force(t, g.Apply(GroupSettings{Settings: Settings{OpenTimeout: time.Minute}}))
	if s := b.Settings(); s.OpenTimeout != time.Minute {
		t.Errorf("open_timeout %v", s.OpenTimeout)
	}
}

// TestACrowdedGroupForgetsEarly: beyond half of the limit breakers go before their
// age, those with options of their own last.
func TestACrowdedGroupForgetsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, GroupConfig{Limit: 20})
		for i := range 14 {
			opts := []Option{WithLogger(slog.New(slog.DiscardHandler))}[:i%2]
			force(t, member(t, g, fmt.Sprintf("https://host-%02d.example", i), opts...).Do(t.Context(), "", succeed))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		collected(t, g, 10)
		for i := 1; i < 14; i += 2 {
			if service := fmt.Sprintf("https://host-%02d.example", i); g.Find(service) == nil {
				t.Errorf("%s with options of its own went before others", service)
			}
		}
		for i := range 9 {
			member(t, g, fmt.Sprintf("https://more-%02d.example", i), WithLogger(slog.New(slog.DiscardHandler)))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		collected(t, g, 10)
	})
}

// TestTheLimitIsLoggedAgain: once in each age, as long as there are too many.
func TestTheLimitIsLoggedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := newGroup(t, GroupConfig{Limit: 2, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Settings: GroupSettings{Settings: Settings{ClosedFailLimit: 1}}})
		for round := range 3 {
			for i := range 10 {
				_ = member(t, g, fmt.Sprintf("https://host-%d.example", i)).Do(t.Context(), "", fail)
			}
			if n := strings.Count(log.String(), "too many breakers"); n != round+1 {
				t.Errorf("%d lines in round %d", n, round)
			}
			time.Sleep(DefaultGroupAge)
		}
	})
}

// TestATransportHoldsNoBreakerOfARedirect: an upstream that redirects to strangers'
// hosts keeps none of their breakers.
func TestATransportHoldsNoBreakerOfARedirect(t *testing.T) {
	g := newGroup(t, GroupConfig{})
	base := &http.Transport{MaxConnsPerHost: 1, DialContext: nil}
	base.RegisterProtocol("memory", roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	}))
	mail := member(t, g, "memory://mail.internal")
	transport := mail.Transport(base).(*transport)
	for i := range 10 * connLimitsMost {
		service := fmt.Sprintf("memory://host-%d.example", i)
		other := member(t, g, service)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, service+"/", nil)
		res, err := transport.RoundTrip(req)
		force(t, err)
		force(t, res.Body.Close())
		asleep(t, other)
	}
	collected(t, g, 1)
	if n := len(transport.others.by); n > connLimitsMost {
		t.Errorf("%d limits of hosts", n)
	}
}

// TestHostsThatHaveGone: hosts that failed and are not called again filled the limit
// for good, half-open.
func TestHostsThatHaveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, GroupConfig{Limit: 1000})
		for i := range 200 {
			b := member(t, g, fmt.Sprintf("https://gone-%d.example", i))
			for range 10 {
				_ = b.Do(t.Context(), "/hook", fail)
			}
			if b.State() != Open {
				t.Fatal("it is not open")
			}
		}
		held := member(t, g, "https://gone-7.example")
		sweep := func(d time.Duration) {
			for range d / (DefaultGroupAge / sweepsPerAge) {
				time.Sleep(DefaultGroupAge / sweepsPerAge)
				synctest.Wait()
				runtime.GC()
			}
		}
		sweep((sickAges - 1) * DefaultGroupAge)
		if n := g.size(); n != 200 {
			t.Errorf("%d of 200 entries are left before their age", n)
		}
		sweep(3 * DefaultGroupAge)
		collected(t, g, 1)
		if member(t, g, "https://gone-7.example") != held || held.State() != HalfOpen {
			t.Errorf("the one that is held is %v, or another", held.State())
		}
		runtime.KeepAlive(held)
	})
}

// TestAGroupIsCollectedAfterItsStop: a group, and all of its system, stayed in memory for good
// if anything that the group holds held a breaker of it, as the handlers of a system do.
func TestAGroupIsCollectedAfterItsStop(t *testing.T) {
	var group weak.Pointer[Group]
	func() {
		system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond))
		var b *Breaker
		g := NewGroup(GroupConfig{System: system, Random: func(string) func() float64 {
			if b != nil {
				t.Error("a second breaker")
			}
			return nil
		}})
		b = member(t, g, "https://mail.internal")
		force(t, b.Do(t.Context(), "/", succeed))
		force(t, g.Stop(t.Context()))
		system.Shutdown()
		group = weak.Make(g)
	}()
	for range 200 {
		if runtime.GC(); group.Value() == nil {
			return
		}
		time.Sleep(time.Millisecond) // the throttle of dead letters ends by real time
	}
	t.Error("it is in memory still")
}
