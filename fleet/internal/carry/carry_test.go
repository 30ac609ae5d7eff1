package carry

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func of(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

// sent returns how many bodies each member gets.
func sent(packets []Packet) map[string]int {
	got := map[string]int{}
	for _, p := range packets {
		got[p.Member] += len(p.Bodies)
	}
	return got
}

func TestAnOrderIsSentUntilItIsAnswered(t *testing.T) {
	var c Carry
	if o := c.Add(nil, 0); !o.Settled() || o.Asked != 0 {
		t.Errorf("without members: %+v", o)
	}
	c.Members(of("a", "b"))
	o := c.Add(json.RawMessage("1"), 0)
	for _, step := range []struct {
		now, next time.Duration
		a, b      int
	}{
		{0, First, 1, 1},
		{First - 1, First, 0, 0}, // not yet
		{First, 3 * First, 1, 1}, // again
		{3 * First, 7 * First, 1, 1},
	} {
		p, next, _ := c.Due(step.now)
		if got := sent(p); got["a"] != step.a || got["b"] != step.b || next != step.next {
			t.Errorf("at %v: %v, next %v; want %d, %d and %v", step.now, got, next, step.a, step.b, step.next)
		}
	}
	if c.Answered("a", o.Number, 1, false) != o || o.Found != 1 || o.Settled() {
		t.Errorf("%+v", o)
	}
	for _, wrong := range []struct {
		member string
		number uint64
	}{{"a", o.Number}, {"x", o.Number}, {"b", 99}} { // twice, a stranger, another order
		if c.Answered(wrong.member, wrong.number, 5, false) != nil {
			t.Errorf("%v is an answer", wrong)
		}
	}
	if p, _, _ := c.Due(7 * First); sent(p)["a"] != 0 || sent(p)["b"] != 1 {
		t.Errorf("%v", sent(p))
	}
	p, next, lapsed := c.Due(KeepFor)
	if len(p) != 0 || next != 0 || len(lapsed) != 1 || !o.Settled() || o.Missing != 1 || o.Found != 1 {
		t.Errorf("%v, %v, %+v", p, next, o)
	}
}

func TestOneThatGoesOrFailsIsMissing(t *testing.T) {
	var c Carry
	c.Members(of("a", "b", "c"))
	o := c.Add(json.RawMessage("1"), 0)
	c.Answered("a", o.Number, 0, true)
	changed := c.Members(of("a", "c"))
	if len(changed) != 1 || o.Missing != 2 || o.Settled() {
		t.Errorf("%+v", o)
	}
	if c.Answered("b", o.Number, 1, false) != nil {
		t.Error("one that has gone has answered")
	}
	if c.Answered("c", o.Number, -7, false); !o.Settled() || o.Found != 0 {
		t.Errorf("%+v", o)
	}
}

// One member that never answers costs the others nothing, and no more memory than its lane.
func TestASilentMemberHoldsUpNoOther(t *testing.T) {
	var c Carry
	c.Members(of("good", "hung"))
	now := time.Duration(0)
	const n = 3 * MostWaiting
	toGood := 0
	for i := range n {
		o := c.Add(json.RawMessage(`{"n":1}`), now)
		if full := i >= MostWaiting; (o.Missing == 1) != full {
			t.Fatalf("order %d: %+v", i, o)
		}
		p, _, _ := c.Due(now)
		toGood += sent(p)["good"]
		if c.Answered("good", o.Number, 1, false) != o {
			t.Fatalf("order %d is not answered", i)
		}
		now += time.Microsecond
	}
	if toGood != n {
		t.Errorf("the good one got %d of %d", toGood, n)
	}
	if got := len(c.lanes["hung"].waiting); got != MostWaiting {
		t.Errorf("%d wait for the hung one", got)
	}
	if _, next, lapsed := c.Due(now + KeepFor); len(lapsed) != MostWaiting || next != 0 {
		t.Errorf("%d have lapsed, next %v", len(lapsed), next)
	}
}

// Whatever is lost, doubled or late on the way: each order reaches each member that lives, and
// counts its answer once.
func TestLossAndDoubles(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		var c Carry
		names := []string{"a", "b", "c", "d"}
		c.Members(of(names...))
		var orders []*Order
		got := map[string]map[string]bool{}
		for now := time.Duration(0); now < 4*time.Second; now += 5 * time.Millisecond {
			for range rnd.IntN(4) {
				if len(orders) < 500 {
					orders = append(orders, c.Add(json.RawMessage(fmt.Sprint(c.Next())), now))
				}
			}
			packets, _, _ := c.Due(now)
			for _, p := range packets {
				if got[p.Member] == nil {
					got[p.Member] = map[string]bool{}
				}
				for _, body := range p.Bodies {
					calm := now > 3*time.Second
					if !calm && rnd.IntN(3) == 0 {
						continue // lost
					}
					got[p.Member][string(body)] = true
					answers := rnd.IntN(3) // it is lost, comes, or comes twice
					if calm {
						answers = 1
					}
					for range answers {
						var number uint64
						_ = json.Unmarshal(body, &number)
						c.Answered(p.Member, number, 1, false)
					}
				}
			}
		}
		for _, o := range orders {
			if !o.Settled() || o.Answered != len(names) || o.Found != len(names) {
				t.Fatalf("seed %d: %+v", seed, *o)
			}
		}
		for _, name := range names {
			if len(got[name]) != len(orders) {
				t.Errorf("seed %d: %s got %d of %d", seed, name, len(got[name]), len(orders))
			}
		}
	}
}

func TestPacketsAreBounded(t *testing.T) {
	var c Carry
	c.Members(of("a"))
	for i := range 2 * Window {
		c.Add(json.RawMessage(strings.Repeat("x", 1+i*7%900)), 0)
	}
	c.Add(json.RawMessage(strings.Repeat("x", 2*MaxBodies)), 0) // one that is too long goes alone
	packets, _, _ := c.Due(0)
	if n := sent(packets)["a"]; n != Window {
		t.Errorf("%d are under way, at most %d", n, Window)
	}
	for _, p := range packets {
		size := 0
		for _, b := range p.Bodies {
			size += len(b) + 1
		}
		if size > MaxBodies || len(p.Bodies) > MaxOrders {
			t.Errorf("a packet of %d bodies, %d bytes", len(p.Bodies), size)
		}
	}
	members := slices.Collect(maps.Keys(sent(packets)))
	if !slices.Equal(members, []string{"a"}) {
		t.Error(members)
	}
}
