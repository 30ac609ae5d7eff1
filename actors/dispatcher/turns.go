package dispatcher

import "strings"

// turns decides which of the executions that wait starts next: tenants by turns, by their
// weights, and those of one tenant in the order in which they came. Messages without a
// tenant are one tenant together. A tenant that had nothing waiting gains no turns by it.
// It is pure, and the zero value is ready to use.
//
// It is start-time fair queueing (Goyal, Vin and Cheng, 1996): an execution gets the number
// of its turn as it comes, which is one turn after the one before it of its tenant, and at
// least that of the execution that was served last. The lowest is next. Of a tenant it
// keeps one number, until that is past.
type turns struct {
	weights map[string]int // by tenant, from 1; absent: 1
	now     uint64         // of the execution that was served last
	none    uint64         // next turn of the messages without a tenant
	next    map[string]uint64
	most    int // entries of next from which those that are past are dropped
}

// aTurn is the length of a turn with the weight 1.
const aTurn = 1 << 20

// leastSweep is the number of tenants below which nothing is dropped.
const leastSweep = 64

// take returns the number of the turn of the next execution of tenant.
func (t *turns) take(tenant string) uint64 {
	if tenant == "" {
		at := max(t.now, t.none)
		t.none = at + aTurn
		return at
	}
	before, known := t.next[tenant]
	at := max(t.now, before)
	if !known {
		t.sweep()
		tenant = strings.Clone(tenant) // it is a part of the whole message
	}
	t.next[tenant] = at + aTurn/uint64(max(t.weights[tenant], 1))
	return at
}

// served notes that the turn with that number has come.
func (t *turns) served(at uint64) { t.now = max(t.now, at) }

// sweep makes room for one more tenant, and drops those with a past next turn: they are as
// unknown ones. It looks at each entry about twice in its life.
func (t *turns) sweep() {
	if t.next == nil {
		t.next = map[string]uint64{}
	}
	if len(t.next) < max(t.most, leastSweep) {
		return
	}
	for tenant, at := range t.next {
		if at <= t.now {
			delete(t.next, tenant)
		}
	}
	t.most = 2 * len(t.next)
}
