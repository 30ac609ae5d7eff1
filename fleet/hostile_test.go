package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/fleet/internal/share"
)

// silent is a member of memberlist that says nothing by itself.
type silent struct{ state []byte }

func (silent) NodeMeta(int) []byte             { return nil }
func (silent) NotifyMsg([]byte)                {}
func (silent) GetBroadcasts(int, int) [][]byte { return nil }
func (s silent) LocalState(bool) []byte        { return s.state }
func (silent) MergeRemoteState([]byte, bool)   {}

// stranger joins a fleet that has no key, by memberlist alone.
func stranger(t *testing.T, of *Fleet, state []byte) (*memberlist.Memberlist, *memberlist.Node) {
	t.Helper()
	c := memberlist.DefaultLocalConfig()
	c.Name, c.Label, c.BindAddr, c.BindPort, c.AdvertiseAddr = "stranger", "chassis/mailer", "127.0.0.1", 0, "127.0.0.1"
	c.TCPTimeout = 20 * time.Second // the machine may be busy
	c.Logger, c.Delegate = log.New(io.Discard, "", 0), silent{state}
	list, err := memberlist.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = list.Shutdown() })
	if _, err := list.Join([]string{of.net.addr}); err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Members() {
		if n.Name == of.name {
			return list, n
		}
	}
	t.Fatal("the stranger does not see the member")
	return nil, nil
}

// TestGarbageHarmsNothing: noise on the port, and a member that sends nonsense.
func TestGarbageHarmsNothing(t *testing.T) {
	_, a := joinAndStart(t, loopback())
	b := a.sys.Breaker(mail)
	rnd := rand.New(rand.NewPCG(1, 2))
	udp, err := net.Dial("udp", a.net.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = udp.Close() }()
	for range 2000 {
		noise := make([]byte, rnd.IntN(1400))
		for i := range noise {
			noise[i] = byte(rnd.Uint32())
		}
		_, _ = udp.Write(noise) // refused by the kernel now and then
	}
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 1<<20), "\x06\xff\xff\xff\xff", "\x09\x83"} {
		tcp, err := net.Dial("tcp", a.net.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(tcp, text)
		_ = tcp.Close()
	}

	many := message{}
	for i := range 5_000 {
		many.Words = append(many.Words, register.Word{Member: fmt.Sprintf("x%d", i), Incarnation: 1, Version: 1,
			Service: fmt.Sprintf("https://h%d.internal", i), Kind: register.Bad, Round: 1, Left: 1 << 50, Life: 1 << 50})
	}
	state, err := json.Marshal(&many)
	if err != nil {
		t.Fatal(err)
	}
	list, node := stranger(t, a, state) // more services than there may be
	send := func(b []byte) {
		if err := list.SendReliable(node, b); err != nil {
			t.Logf("%d bytes: %v", len(b), err)
		}
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	huge, _ := json.Marshal(&message{Words: []register.Word{{Member: strings.Repeat("x", 1<<20)}}})
	send(huge)
	for _, text := range []string{"", "null", "{}", "[]", "{\"w\":null}", `{"w":[{"m":"old","s":"https://x","k":9,"r":1}],"new":{"a":[1]}}`,
		`{"w":[{"m":"n","i":-1}],"d":{"m":"stranger","v":1,"r":{"mail":-5}},"g":{"m":"stranger","n":1,"v":"\u001b[31m"}}`,
		`{"d":{"m":"stranger","v":1,"r":{"mail":1e308}},"g":{"m":"` + strings.Repeat("y", 500) + `"}}`} {
		send([]byte(text))
		_ = list.SendBestEffort(node, []byte(text))
	}
	n := 2_000
	if full() {
		n = 1_000_000
	}
	for i := range n {
		b, _ := json.Marshal(&message{Words: many.Words[i%len(many.Words):][:1]})
		_ = list.SendBestEffort(node, b)
	}
	time.Sleep(300 * time.Millisecond) // what is under way arrives
	if _, err := a.Rate("mail", 100); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent answers", 5*time.Second, func() bool {
		list, err := a.Members(context.Background())
		return err == nil && len(list) == 2 && list[1].Digest.Version == ""
	})
	if words := len(knows(t, a).Words); words > register.MaxWords/2 {
		t.Errorf("strangers made the member hold %d words", words)
	}
	if a.Refused() == 0 {
		t.Error("nothing was refused")
	}
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("garbage made the heap grow by %d bytes", grown)
	}
	if err := b.Do(t.Context(), "", fine); err != nil || b.State() != breaker.Closed {
		t.Errorf("a call of the member: %v, %v", err, b.State())
	}
	_, c := joinAndStart(t, loopback(a.net.addr))
	eventually(t, "another can still join", 10*time.Second, sized(c, 3))
}

// TestNoMoreMembersThanThereMayBe: a member that makes up others does not fill memory.
func TestNoMoreMembersThanThereMayBe(t *testing.T) {
	n := &network{name: "n1", post: func(any) {}}
	for i := range 1_000_000 {
		peer := &memberlist.Node{Name: fmt.Sprintf("x%d", i)}
		if n.NotifyAlive(peer) == nil {
			n.NotifyJoin(peer)
		}
	}
	if got := n.members.Load(); got != maxMembers {
		t.Errorf("%d members", got)
	}
	for _, name := range []string{"", "a\x1b[31m", strings.Repeat("x", register.MaxName+1)} {
		if n.NotifyAlive(&memberlist.Node{Name: name}) == nil {
			t.Errorf("%q is a member", name)
		}
	}
	if n.NotifyAlive(&memberlist.Node{Name: "x1"}) != nil {
		t.Error("one that is a member is refused")
	}
}

// TestAMessageFitsIntoAPacket: the longest that there may be.
func TestAMessageFitsIntoAPacket(t *testing.T) {
	long := strings.Repeat("n", register.MaxName)
	d := share.Demand{Member: long, Version: 1 << 40, Rates: map[string]float64{}}
	g := Digest{Member: long, Number: 1 << 40, Version: strings.Repeat("v", maxField), State: "running",
		Page: strings.Repeat("p", maxField), Started: 1 << 40, More: 10_000}
	for i := range share.MaxRates {
		d.Rates[fmt.Sprintf("%02d%s", i, strings.Repeat("r", share.MaxName-2))] = 1234567.125
	}
	for range maxOpen {
		g.Open = append(g.Open, OpenEntry{strings.Repeat("s", maxField), strings.Repeat("e", maxField), breaker.HalfOpen})
	}
	w := register.Word{Member: long, Incarnation: 1 << 62, Version: 1 << 40, Service: "https://" + strings.Repeat("s", 691),
		Kind: register.Probing, Round: 1 << 40, Closed: 1 << 40, Left: 600_000, Life: 600_000}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*message{{Demand: &d}, {Digest: &g}, {Words: []register.Word{w}}} {
		b, err := m.encode()
		if err != nil {
			t.Error(err)
			continue
		}
		if back, err := decode(b, maxPacket); err != nil || back.Demand == nil && back.Digest == nil && len(back.Words) == 0 {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"w":[{"m":"n1","i":1,"v":1,"s":"https://x","k":1,"r":1,"l":1000,"t":60000}]}`))
	f.Add([]byte(`{"d":{"m":"n1","v":1,"r":{"mail":5}},"g":{"m":"n1","n":1,"o":[{"s":"https://x","k":"open"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b, maxPacket)
		if err != nil {
			return
		}
		r := register.New("me", 1, register.Settings{})
		for _, w := range m.Words {
			_, _ = r.Hear(w, false, 0)
			r.Effect(w.Key(), map[string]bool{"me": true, w.Member: true}, time.Second)
		}
	})
}
