package shares

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// bench is a table of pools that have as much work as a test says.
type bench struct {
	*table
	pools  []*pool
	last   map[*pool]effect
	solo   *pool
	claims map[string]int
}

func newBench(limit int, shares ...Share) *bench {
	b := &bench{table: newTable(limit), last: map[*pool]effect{}, claims: map[string]int{}}
	for i, s := range shares {
		b.pools = append(b.pools, b.join(fmt.Sprint("pool", i), 1, s))
	}
	b.hear()
	return b
}

func (b *bench) hear() {
	for _, e := range b.take() {
		switch {
		case e.solo:
			b.solo = e.to
		case e.claimed != "":
			b.claims[e.claimed+"/"+e.to.name]++
		default:
			b.last[e.to] = e
		}
	}
}

// backlog keeps a pool asking for n permits, and returns none.
func (b *bench) backlog(p *pool, n int) {
	b.ask(p, 0, n-p.wanted)
	b.hear()
}

// end ends one execution of p.
func (b *bench) end(p *pool) {
	b.ask(p, 1, 0)
	b.hear()
}

func TestBackloggedPoolsStartByTheirWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		weights := rapid.SliceOfN(rapid.IntRange(1, 20), 2, 6).Draw(t, "weights")
		shares, sum := []Share{}, 0
		for _, w := range weights {
			shares, sum = append(shares, Share{Weight: w}), sum+w
		}
		b := newBench(limit, shares...)
		for _, p := range b.pools {
			b.backlog(p, math.MaxInt32/2)
		}
		for range 60 * sum { // whichever ends next: durations have no part in it
			running := []*pool{}
			for _, p := range b.pools {
				if p.held > 0 {
					running = append(running, p)
				}
			}
			b.end(rapid.SampledFrom(running).Draw(t, "ends"))
		}
		all := 0.0
		for _, p := range b.pools {
			all += float64(p.starts)
		}
		for i, p := range b.pools {
			want := all * float64(weights[i]) / float64(sum)
			// The first permits go one by one, while the others have not asked.
			if got := float64(p.starts); math.Abs(got-want) > float64(limit)+2+0.002*all {
				t.Fatalf("pool %d of weights %v and limit %d started %v of %v: want %.1f", i, weights, limit, got, all, want)
			}
		}
	})
}

// TestNoPermitIsIdleWhileOneIsWanted drives a table by anything that pools can
// do, and holds it to what must always be so.
func TestNoPermitIsIdleWhileOneIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 8).Draw(t, "limit")
		b := newBench(limit, Share{Weight: 1}, Share{Weight: 9}, Share{Weight: 3, Priority: 1})
		epoch := uint64(1)
		which := rapid.SampledFrom([]int{0, 1, 2})
		claimed := map[*pool]int{}
		var turn *pool // to run a suspect
		b.quotas = map[string]*quota{}
		pick := func(t *rapid.T) (int, *pool) { i := which.Draw(t, "pool"); return i, b.pools[i] }
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) { _, p := pick(t); b.ask(p, 0, rapid.IntRange(-2, 5).Draw(t, "more")) },
			"end": func(t *rapid.T) {
				if _, p := pick(t); p.held > 0 {
					b.ask(p, rapid.IntRange(1, p.held).Draw(t, "ended"), 0)
				}
			},
			"restart": func(t *rapid.T) {
				i, p := pick(t)
				epoch++
				delete(claimed, p)
				b.pools[i] = b.join(p.name, epoch, p.share)
			},
			"reserve": func(t *rapid.T) { _, p := pick(t); b.reserve(p) },
			"release": func(t *rapid.T) { _, p := pick(t); b.release(p) },
			"claim":   func(t *rapid.T) { _, p := pick(t); b.claim(p, "x", 2) },
			"unclaim": func(t *rapid.T) { _, p := pick(t); b.unclaim(p, "x") },
			"": func(t *rapid.T) {
				for _, e := range b.take() {
					if e.solo {
						turn = e.to
					}
				}
				if len(b.table.solo) > 0 && b.table.solo[0] != turn {
					t.Fatal("the pool that may run a suspect does not know it")
				}
				held, wanted := 0, 0
				for _, p := range b.pools {
					held, wanted = held+p.held, wanted+max(p.wanted, 0)
					if p.held < 0 {
						t.Fatalf("%s holds %d permits", p.name, p.held)
					}
				}
				switch {
				case limit > 0 && held > limit:
					t.Fatalf("%d permits held of %d", held, limit)
				case wanted > 0 && (limit == 0 || held < limit):
					t.Fatalf("%d permits wanted, %d of %d held, and none granted", wanted, held, limit)
				}
				if q := b.quotas["x"]; q != nil {
					n := 0
					for _, k := range q.held {
						n += k
					}
					if n > 2 || n < 2 && len(q.waiting) > 0 {
						t.Fatalf("%d of 2 of a task run, %d wait", n, len(q.waiting))
					}
				}
			},
		})
	})
}

func TestAShareThatOthersUseComesBackWithTheNextEnds(t *testing.T) {
	b := newBench(10, Share{Weight: 9}, Share{Weight: 1})
	owner, borrower := b.pools[0], b.pools[1]
	b.backlog(borrower, 1000)
	if borrower.held != 10 {
		t.Fatalf("the borrower has %d of 10 permits: the idle pool's are not lent", borrower.held)
	}
	for range 500 {
		b.end(borrower)
	}
	b.backlog(owner, 1000)
	for i := range 9 {
		b.end(borrower)
		if owner.held != i+1 {
			t.Fatalf("after %d ends the owner has %d permits: each should have gone to it", i+1, owner.held)
		}
	}
	b.end(owner)
	b.end(borrower)
	if owner.held+borrower.held != 10 || borrower.held == 0 {
		t.Fatalf("the owner has %d permits, the borrower %d: want both served, 10 in all", owner.held, borrower.held)
	}
}

func TestAPoolOfHigherPriorityGoesFirst(t *testing.T) {
	b := newBench(4, Share{Weight: 1000}, Share{Weight: 1, Priority: 1})
	low, high := b.pools[0], b.pools[1]
	b.backlog(low, 100)
	b.backlog(high, 6)
	for range 4 {
		b.end(low)
	}
	if low.held != 0 || high.held != 4 {
		t.Fatalf("low has %d, high %d: want 0 and 4", low.held, high.held)
	}
	for range 4 {
		b.end(high)
	}
	if low.held != 2 || high.held != 2 {
		t.Fatalf("low has %d, high %d once high wants no more: want 2 and 2", low.held, high.held)
	}
}

func TestMessagesAreAtHandOnlyWhileOthersCompete(t *testing.T) {
	b := newBench(10, Share{Weight: 9}, Share{Weight: 1}, Share{Priority: 1})
	p := b.pools[0]
	b.backlog(p, 4)
	if e := b.last[p]; e.free != 6 || e.ahead != 0 {
		t.Errorf("alone with 4 of 10 permits: %d free, %d ahead; want 6 and 0", e.free, e.ahead)
	}
	b.backlog(b.pools[1], 100)
	b.backlog(p, 100)
	if e := b.last[p]; e.free != 0 || e.ahead != 9 { // 9 of 11, rounded up
		t.Errorf("with others: %d free, %d ahead; want 0 and 9", e.free, e.ahead)
	}
	if e := b.last[b.pools[1]]; e.ahead != 1 {
		t.Errorf("the lesser has %d ahead; want 1", e.ahead)
	}
	if e := b.last[b.pools[2]]; e.ahead != 10 || e.free != 0 {
		t.Errorf("the idle pool of the highest priority has %d ahead; want all 10", e.ahead)
	}
	none := newBench(0, Share{}, Share{})
	none.backlog(none.pools[0], 5)
	none.backlog(none.pools[1], 5)
	if e := none.last[none.pools[1]]; e.free != math.MaxInt32 || e.ahead != 0 && e.to.held > 0 || none.pools[1].held != 5 {
		t.Errorf("without a limit: %+v", e)
	}
}
