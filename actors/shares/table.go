package shares

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// table is who has which permits: pure decisions, no clock, no actor.
//
// The order is that of start-time fair queueing (Goyal, Vin and Cheng, 1996)
// with a cost of one for each start: a pool's tag is the virtual time of its
// next start, each start moves it on by 1/weight, and the lowest goes first. A
// pool that comes back from idleness begins at the virtual time of now, so that
// it is served at once but has no arrears to claim; see arrears.
type table struct {
	limit  int           // permits in all, 0: as many as are asked for
	now    map[int]int64 // virtual time, by priority
	pools  []*pool       // in the order of their joining
	solo   []*pool       // want to run a crash suspect; the first may
	quotas map[string]*quota
	out    []effect
}

func newTable(limit int) *table {
	return &table{limit: limit, now: map[int]int64{}, quotas: map[string]*quota{}}
}

// pool is one pool's part.
type pool struct {
	name   string
	epoch  uint64
	share  Share
	tag    int64
	held   int // permits
	wanted int // asked for and not granted, may be below zero
	starts uint64
	free   int  // as the pool knows it
	ahead  int  // as the pool knows it
	given  int  // permits that the pool does not know of yet
	answer bool // the pool waits for an answer
}

// quota is one task's limit.
type quota struct {
	limit   int
	held    map[*pool]int
	waiting []*pool
}

// effect is a message to a pool.
type effect struct {
	to      *pool
	granted int
	free    int
	ahead   int
	solo    bool
	claimed string
}

// unit is virtual time: a start of a pool of weight 1. It divides by all
// weights with an error below 0.1 %.
const unit = 1 << 20

func (p *pool) stride() int64 { return unit / int64(p.share.Weight) }

func (t *table) find(name string, epoch uint64) *pool {
	for _, p := range t.pools {
		if p.name == name && p.epoch == epoch {
			return p
		}
	}
	return nil
}

func (t *table) join(name string, epoch uint64, s Share) *pool {
	s.Weight = min(max(s.Weight, 1), MaxWeight)
	p := &pool{name: name, epoch: epoch, share: s, tag: t.now[s.Priority], free: -1, answer: true}
	if i := t.index(name); i >= 0 {
		p.starts = t.pools[i].starts
		t.forget(t.pools[i])
		t.pools[i] = p
	} else {
		t.pools = append(t.pools, p)
	}
	t.settle()
	return p
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.pools, func(p *pool) bool { return p.name == name })
}

func (t *table) leave(p *pool) {
	t.pools = slices.DeleteFunc(t.pools, func(o *pool) bool { return o == p })
	t.forget(p)
	t.settle()
}

// forget frees what p has besides its permits.
func (t *table) forget(p *pool) {
	t.release(p)
	for _, name := range slices.Sorted(maps.Keys(t.quotas)) {
		q := t.quotas[name]
		q.waiting = slices.DeleteFunc(q.waiting, func(o *pool) bool { return o == p })
		delete(q.held, p)
		t.fill(name, q)
	}
}

func (t *table) ask(p *pool, returned, more int) {
	p.held -= returned
	if before := p.wanted; more != 0 {
		p.wanted += more
		if before <= 0 && p.wanted > 0 {
			p.tag = max(p.tag, t.now[p.share.Priority]-t.arrears(p))
		}
	}
	p.answer = true
	t.settle()
}

// arrears is how much virtual time p may be behind. A pool that was idle begins
// at the time of now. One that is at work but had nothing at hand for a moment,
// as between two receives, may catch up by a start of the lightest pool.
func (t *table) arrears(p *pool) int64 {
	if p.held == 0 {
		return 0
	}
	most := p.stride()
	for _, o := range t.pools {
		most = max(most, o.stride())
	}
	return most
}

func (t *table) reserve(p *pool) {
	if slices.Contains(t.solo, p) {
		return
	}
	if t.solo = append(t.solo, p); len(t.solo) == 1 {
		t.out = append(t.out, effect{to: p, solo: true})
	}
}

// release ends a reservation of p, and gives the next pool its turn.
func (t *table) release(p *pool) {
	i := slices.Index(t.solo, p)
	if i < 0 {
		return
	}
	if t.solo = slices.Delete(t.solo, i, i+1); i == 0 && len(t.solo) > 0 {
		t.out = append(t.out, effect{to: t.solo[0], solo: true})
	}
}

func (t *table) claim(p *pool, task string, limit int) {
	q := t.quotas[task]
	if q == nil {
		q = &quota{held: map[*pool]int{}}
		t.quotas[task] = q
	}
	q.limit = limit
	q.waiting = append(q.waiting, p)
	t.fill(task, q)
}

func (t *table) unclaim(p *pool, task string) {
	if q := t.quotas[task]; q != nil && q.held[p] > 0 {
		q.held[p]--
		t.fill(task, q)
	}
}

func (t *table) fill(task string, q *quota) {
	held := 0
	for _, n := range q.held {
		held += n
	}
	for ; held < q.limit && len(q.waiting) > 0; held++ {
		p := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.held[p]++
		t.out = append(t.out, effect{to: p, claimed: task})
	}
}

func (t *table) held() (n int) {
	for _, p := range t.pools {
		n += p.held
	}
	return n
}

func (t *table) free() int {
	if t.limit == 0 {
		return math.MaxInt32
	}
	return t.limit - t.held()
}

// settle grants what can be granted, and says so.
func (t *table) settle() {
	for t.free() > 0 {
		p := t.next()
		if p == nil {
			break
		}
		p.wanted--
		p.held++
		p.starts++
		p.given++
		t.now[p.share.Priority] = max(t.now[p.share.Priority], p.tag)
		p.tag += p.stride()
	}
	free := t.free()
	for _, p := range t.pools {
		ahead := t.ahead(p)
		if p.given > 0 || p.answer && free != p.free || ahead != p.ahead || (free > 0) != (p.free > 0) {
			p.free, p.ahead = free, ahead
			t.out = append(t.out, effect{to: p, granted: p.given, free: free, ahead: ahead})
		}
		p.answer, p.given = false, 0
	}
}

// next returns the pool that gets the next permit, or nil if none wants one.
func (t *table) next() (best *pool) {
	for _, p := range t.pools {
		if p.wanted > 0 && (best == nil || p.before(best)) {
			best = p
		}
	}
	return best
}

// before reports whether p gets a permit before o.
func (p *pool) before(o *pool) bool {
	return cmp.Or(cmp.Compare(o.share.Priority, p.share.Priority), cmp.Compare(p.tag, o.tag)) < 0
}

// fair is p's share of the limit if all pools have work but those of a lower
// priority, at least one; 0 without a limit.
func (t *table) fair(p *pool) int {
	sum := 0
	for _, o := range t.pools {
		if o.share.Priority >= p.share.Priority {
			sum += o.share.Weight
		}
	}
	return (t.limit*p.share.Weight + sum - 1) / sum
}

// ahead is what p should have at hand beyond what it runs. A pool that has work
// while the others have none needs nothing: a message that waits here might be run
// elsewhere. A pool that has nothing must look for work, or it would never find any.
func (t *table) ahead(p *pool) int {
	if p.held == 0 {
		return t.fair(p)
	}
	for _, o := range t.pools {
		if o != p && (o.held > 0 || o.wanted > 0) {
			return t.fair(p)
		}
	}
	return 0
}

// take returns the messages to be sent, and forgets them.
func (t *table) take() []effect {
	out := t.out
	t.out = nil
	return out
}
