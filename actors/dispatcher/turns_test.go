package dispatcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/task"
	"pgregory.net/rapid"
)

// start begins all that waits, and returns the tenants in the order of their starts.
func (r *ready) startAll() string {
	var list []string
	for e := r.pop(); e != nil; e = r.pop() {
		list = append(list, strings.TrimRight(e.msg.Tenant, "-")+e.messageID)
	}
	return strings.Join(list, " ")
}

func TestTenantsStartByTurns(t *testing.T) {
	for _, c := range []struct {
		name    string
		come    string // tenants in the order in which their messages come; - without one; | starts one
		weights map[string]int
		want    string
	}{
		{"one tenant keeps its order", "a a a", nil, "a0 a1 a2"},
		{"no tenant keeps the order", "- - -", nil, "0 1 2"},
		{"one of each in turn", "a a a b b c", nil, "a0 b3 c5 a1 b4 a2"},
		{"a late one is next", "a a a a | | b", nil, "a0 a1 b6 a2 a3"},
		{"without a tenant is one tenant", "- - - a a", nil, "0 a3 1 a4 2"},
		{"three turns of four", "a a a a a a b b", map[string]int{"a": 3}, "a0 b6 a1 a2 a3 b7 a4 a5"},
		{"no turns are saved up", "a | | | | b b a a", nil, "a0 b5 b6 a7 a8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ready{turns: turns{weights: c.weights}}
			var got []string
			for i, tenant := range strings.Fields(c.come) {
				if tenant == "|" {
					if e := r.pop(); e != nil {
						got = append(got, strings.TrimRight(e.msg.Tenant, "-")+e.messageID)
					}
					continue
				}
				if tenant == "-" {
					tenant = ""
				}
				r.push(&execution{entry: &entry{}, messageID: fmt.Sprint(i), msg: task.Message{Tenant: tenant}}, tenant)
			}
			if rest := r.startAll(); rest != "" {
				got = append(got, rest)
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("started %s\n   want %s", got, c.want)
			}
		})
	}
}

// TestTurnsAgainstAModel: of tenants that have something waiting all the time, none gets
// more than a turn more than its weight says; those of one tenant start in their order; and
// nothing is lost.
func TestTurnsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"", "a", "b", "c", "d"}
		weights := map[string]int{}
		for _, n := range names[1:] {
			weights[n] = rapid.IntRange(1, 4).Draw(t, "weight of "+n)
		}
		r := ready{turns: turns{weights: weights}}
		waiting := map[string][]*execution{} // the model: each tenant's own line
		since := map[string]map[string]int{} // of a pair that waits all the time: starts of each
		weight := func(n string) float64 { return float64(max(weights[n], 1)) }
		key := func(a, b string) string { return a + "|" + b }
		reset := func(n string) { // its backlog has begun or ended
			for _, o := range names {
				delete(since, key(n, o))
				delete(since, key(o, n))
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "comes") {
				n := rapid.SampledFrom(names).Draw(t, "tenant")
				e := &execution{entry: &entry{}, msg: task.Message{Tenant: n}}
				if len(waiting[n]) == 0 {
					reset(n)
				}
				waiting[n] = append(waiting[n], e)
				r.push(e, n)
				continue
			}
			e := r.pop()
			if e == nil {
				if slices.ContainsFunc(names, func(n string) bool { return len(waiting[n]) > 0 }) {
					t.Fatal("something waits, and nothing starts")
				}
				continue
			}
			n := e.msg.Tenant
			if len(waiting[n]) == 0 || waiting[n][0] != e {
				t.Fatalf("an execution of %q starts before an earlier one of it, or twice", n)
			}
			waiting[n] = waiting[n][1:]
			for _, o := range names {
				if o == n || len(waiting[o]) == 0 {
					continue
				}
				pair := since[key(min(n, o), max(n, o))]
				if pair == nil {
					pair = map[string]int{}
					since[key(min(n, o), max(n, o))] = pair
				}
				pair[n]++
				// Start-time fair queueing: the served work of two that wait differs by a turn of each.
				if d := float64(pair[n])/weight(n) - float64(pair[o])/weight(o); d > 1/weight(n)+1/weight(o)+1e-3 {
					t.Fatalf("%q (weight %v) has started %d times, and %q (weight %v) %d times while both waited", n,
						weight(n), pair[n], o, weight(o), pair[o])
				}
			}
			if len(waiting[n]) == 0 {
				reset(n)
			}
		}
	})
}

// TestTurnsForgetTenants: what is kept of tenants is bounded by those that wait.
func TestTurnsForgetTenants(t *testing.T) {
	var r ready
	for i := range 100_000 {
		tenant := fmt.Sprint("tenant-", i)
		r.push(&execution{entry: &entry{}, msg: task.Message{Tenant: tenant}}, tenant)
		r.push(&execution{entry: &entry{}}, "")
		r.pop()
		r.pop()
	}
	if n := len(r.turns.next); n > 2*leastSweep {
		t.Errorf("%d tenants are kept though none waits", n)
	}
}

// BenchmarkTurns is the cost of one execution in the queue for slots, behind 1 000 others.
func BenchmarkTurns(b *testing.B) {
	for _, tenants := range []int{0, 1, 100, 100_000} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			var r ready
			shared := &entry{}
			all := make([]*execution, 1000+tenants)
			for i := range all {
				all[i] = &execution{entry: shared}
				if tenants > 0 {
					all[i].msg.Tenant = fmt.Sprint("tenant-", i%tenants)
				}
				r.push(all[i], all[i].msg.Tenant)
			}
			b.ReportAllocs()
			for b.Loop() {
				e := r.pop()
				r.push(e, e.msg.Tenant)
			}
		})
	}
}
