package fleet

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
)

const mail = "https://mail.internal"

// three returns three members that know each other.
func three(t *testing.T) (fleets [3]*Fleet, trips [3]func()) {
	t.Helper()
	var seeds []string
	for i := range fleets {
		sys, f := joinAndStart(t, loopback(seeds...))
		seeds = append(seeds, f.net.addr)
		fleets[i] = f
		trips[i] = func() { trip(sys, mail) }
		sys.Breaker(mail)
	}
	for _, f := range fleets {
		eventually(t, "three members", 10*time.Second, sized(f, 3))
	}
	return fleets, trips
}

func state(f *Fleet) breaker.State { return f.sys.Breaker(mail).State() }

func TestMembersShareWhatTheyHaveSeen(t *testing.T) {
	fleets, trips := three(t)
	trips[0]()
	time.Sleep(100 * time.Millisecond) // long enough for a word: one voter must move no other
	if s := state(fleets[1]); s != breaker.Closed {
		t.Fatalf("one voter of three makes another %v", s)
	}
	trips[1]()
	took := eventually(t, "doubt", 5*time.Second, func() bool { return state(fleets[2]) == breaker.HalfOpen })
	t.Logf("the third member doubts after %v", took)
	b := fleets[2].sys.Breaker(mail)
	log := b.Transitions(0)
	if r := log[len(log)-1].Reason; !strings.HasPrefix(r, "fleet: 2 of 3: ") || !strings.Contains(r, fleets[0].name) {
		t.Errorf("reason %q", r)
	}
	if err := b.Do(t.Context(), "", down); err != errDown || b.State() != breaker.Open {
		t.Fatalf("%v, %v", err, b.State())
	}
	// The service works again: all close, by the calls of one.
	prober := -1
	eventually(t, "half-open", 10*time.Second, func() bool {
		for i, f := range fleets {
			if state(f) == breaker.HalfOpen {
				prober = i
			}
		}
		return prober >= 0
	})
	calls := 0
	eventually(t, "the prober closes", 10*time.Second, func() bool {
		if err := fleets[prober].sys.Breaker(mail).Do(t.Context(), "", fine); err == nil {
			calls++
		}
		return state(fleets[prober]) == breaker.Closed
	})
	for i, f := range fleets {
		eventually(t, "recovery", 5*time.Second, func() bool { return state(f) == breaker.Closed })
		if i != prober {
			log := f.sys.Breaker(mail).Transitions(0)
			if r := log[len(log)-1].Reason; !strings.HasPrefix(r, "fleet: round ") {
				t.Errorf("member %d closed because of %q", i, r)
			}
		}
	}
	if calls > 2 {
		t.Errorf("%d calls until all were closed", calls)
	}
}

func TestAnOperatorIsAboveTheFleet(t *testing.T) {
	fleets, trips := three(t)
	b := fleets[2].sys.Breaker(mail)
	if err := b.ForceClosed("", 0); err != nil {
		t.Fatal(err)
	}
	trips[0]()
	trips[1]()
	eventually(t, "the words arrive", 5*time.Second, func() bool {
		return len(knows(t, fleets[2]).Words) >= 2
	})
	if err := b.Do(t.Context(), "", fine); err != nil || b.State() != breaker.ForcedClosed {
		t.Errorf("%v, %v", err, b.State())
	}
	// A reset of one that has tripped takes its vote back, and holds.
	if err := fleets[0].sys.Breaker(mail).Reset(""); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // several looks of the agent
	if s := state(fleets[0]); s != breaker.Closed {
		t.Errorf("after a reset the fleet made the breaker %v", s)
	}
}

// TestAWallClockThatIsSetChangesNoOpenTime: a breaker's times are by a clock of its own,
// which may be an hour from the wall clock.
func TestAWallClockThatIsSetChangesNoOpenTime(t *testing.T) {
	sys, f := joinAndStart(t, loopback())
	at := time.Now().Add(time.Hour)
	f.post(&breaker.Moved{Breaker: sys.Breaker(mail), Transition: breaker.Transition{Service: mail, To: breaker.Open,
		At: at, Until: at.Add(2 * time.Second)}})
	eventually(t, "a word", 5*time.Second, func() bool {
		words := knows(t, f).Words
		return len(words) == 1 && words[0].Left > 0 && words[0].Left <= 2000
	})
}

func TestServicesDoNotMix(t *testing.T) {
	_, a := joinAndStart(t, loopback())
	sys, err := chassis.New("orders", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Join(sys, loopback(a.net.addr))
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stop(t, sys)
	_, c := joinAndStart(t, loopback(a.net.addr, b.net.addr))
	eventually(t, "two of one service", 10*time.Second, sized(c, 2))
	time.Sleep(500 * time.Millisecond) // several tries of the other to join
	if !sized(b, 1)() || !sized(a, 2)() {
		t.Error("members of two services are one fleet")
	}
}

// TestTheAgentGoesOnAfterACrash: what it knows outlives it.
func TestTheAgentGoesOnAfterACrash(t *testing.T) {
	sys, f := joinAndStart(t, loopback())
	trip(sys, mail)
	eventually(t, "a word", 5*time.Second, func() bool { return len(knows(t, f).Words) == 1 })
	f.post(&breaker.Moved{Breaker: nil, Transition: breaker.Transition{Service: mail, To: breaker.Open}}) // it panics
	eventually(t, "the agent answers again", 10*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		list, err := f.Members(ctx)
		return err == nil && len(list) == 1 && len(knows(t, f).Words) == 1
	})
}

// knows returns what a member would give another.
func knows(t *testing.T, f *Fleet) *message {
	t.Helper()
	m, err := decode(f.state(), maxState)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMembersShowEachOther(t *testing.T) {
	_, a := joinAndStart(t, loopback(), WithVersion("1.2.3"))
	sys, b := joinAndStart(t, loopback(a.net.addr), WithVersion("1.2.4"))
	trip(sys, mail)
	if _, err := b.Rate("mail", 10); err != nil {
		t.Fatal(err)
	}
	var list []Member
	defer func() { t.Logf("%+v", list) }()
	eventually(t, "a digest", 10*time.Second, func() bool {
		var err error
		list, err = a.Members(t.Context())
		if err != nil || len(list) != 2 || !list[0].Self || list[0].Digest.Version != "1.2.3" {
			return false
		}
		d := list[1].Digest
		return d.Version == "1.2.4" && d.State == "running" && len(d.Open) == 1 && d.Open[0].Service == mail &&
			d.Open[0].State != breaker.Closed && d.Rates["mail"] > 0 && list[1].Age >= 0 && list[1].Name == b.Name()
	})
	if d := b.Detail(); !strings.Contains(d, b.Name()) || !strings.Contains(d, "2 members") {
		t.Error(d)
	}
}

func TestMistakesAreErrorsOfJoinAndStart(t *testing.T) {
	for want, s := range map[string]Settings{
		"key":    {Bind: "0.0.0.0:7946"},
		"base64": {Key: secret("hello")},
		"bind":   {Bind: "mail"},
		"seeds":  {Seeds: []string{"a b"}},
		"quorum": {Quorum: 2},
	} {
		sys := newSystem(t)
		_, err := Join(sys, s)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hello") {
			t.Errorf("%s: %v", want, err)
		}
		stop(t, sys)
	}
	if _, err := Join(nil, Settings{}); err == nil {
		t.Error("a nil system")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	sys := newSystem(t)
	if _, err := Join(sys, Settings{Bind: l.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "setting bind") {
		t.Errorf("a port in use: %v", err)
	}
	stop(t, sys)
}

func TestSeedsByName(t *testing.T) {
	_, a := joinAndStart(t, loopback())
	_, port, err := net.SplitHostPort(a.net.addr)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 100)
	sys := newSystem(t)
	b, err := Join(sys, loopback("mailer.default.svc:"+port))
	if err != nil {
		t.Fatal(err)
	}
	b.lookup = func(_ context.Context, host string) ([]string, error) {
		select {
		case asked <- host:
		default:
		}
		return []string{"127.0.0.1"}, nil
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer stop(t, sys)
	eventually(t, "a member by its name", 10*time.Second, sized(b, 2))
	if host := <-asked; host != "mailer.default.svc" {
		t.Error(host)
	}
}

func key(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
}

func TestKeysAreRotatedAndStrangersAreRefused(t *testing.T) {
	with := func(keys string, seeds ...string) Settings {
		s := loopback(seeds...)
		s.Key = secret(keys)
		return s
	}
	_, a := joinAndStart(t, with(key('a')))
	_, b := joinAndStart(t, with(key('a'), a.net.addr))
	_, stranger := joinAndStart(t, with(key('x'), a.net.addr))
	_, plain := joinAndStart(t, loopback(a.net.addr))
	eventually(t, "two members", 10*time.Second, sized(b, 2))
	for _, keys := range []string{key('a') + "," + key('b'), key('b') + "," + key('a'), key('b')} {
		for _, f := range []*Fleet{a, b} {
			if err := f.SetKeys(keys); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, c := joinAndStart(t, with(key('b'), a.net.addr))
	for _, f := range []*Fleet{a, b, c} {
		eventually(t, "three members with the new key", 10*time.Second, sized(f, 3))
	}
	for _, f := range []*Fleet{stranger, plain} {
		if !sized(f, 1)() {
			t.Error("one without the key is a member")
		}
	}
	if err := plain.SetKeys(key('a')); err == nil {
		t.Error("a fleet without a key took one")
	}
	if err := a.SetKeys("nonsense"); err == nil {
		t.Error("a key that is none")
	}
}

// TestFiftyJoinsAndLeavesLeaveNothing: what a membership takes it gives back.
func TestFiftyJoinsAndLeavesLeaveNothing(t *testing.T) {
	_, a := joinAndStart(t, loopback())
	cycle := func(n int) {
		for range n {
			sys := newSystem(t)
			f, err := Join(sys, loopback(a.net.addr))
			if err != nil {
				t.Fatal(err)
			}
			if err := sys.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "joined", 10*time.Second, sized(f, 2))
			stop(t, sys)
		}
		eventually(t, "left", 10*time.Second, sized(a, 1))
	}
	heap := func() uint64 {
		for range 3 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	n := 10
	if full() {
		n = 50
	}
	cycle(5)
	before, goroutines := heap(), runtime.NumGoroutine()
	cycle(n)
	eventually(t, "goroutines", 10*time.Second, func() bool { return runtime.NumGoroutine() <= goroutines })
	if after := heap(); after > before+100<<10 {
		t.Errorf("%d joins and leaves keep %d bytes", n, after-before)
	} else {
		t.Logf("%d joins and leaves: %+d bytes, %d goroutines before, %d after", n, int64(after)-int64(before), goroutines, runtime.NumGoroutine())
	}
}
