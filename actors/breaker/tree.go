package breaker

import (
	"strings"
	"sync/atomic"
)

// node is one entry: its machine and what lies around it. A node that has been
// published is never changed, but for the tally, which is atomic, and for the counts
// of failures: see count.
type node struct {
	machine
	path    string // "" for the service, /v1/send for the rest
	seg     string // last segment of path
	over    State  // an operator's state, or Closed for none
	overEnd int64  // when over ends, ns; 0 for never
	tally   *tally // sliding window; nil unless trip is rate and something is counted
	refusal *OpenError
	kids    []*node // by seg
	order   uint64  // generation that began with an operator's last order, here and below
}

// tree is the state of one service: a value, and immutable below. Every change
// (see edit) makes new nodes on one path and shares the rest.
type tree struct {
	set     *config
	of      *origin
	root    *node
	seq     uint64 // transitions so far
	gen     uint64 // generation: transitions, and orders of an operator, so far
	forgot  uint64 // highest since or order of an entry that was dropped: older results make no entry
	slots   uint64 // slot ids given out so far
	entries int    // nodes below the root
	forced  int    // nodes that an operator holds
}

// origin is what a breaker is of and since.
type origin struct {
	service string // scheme://host[:port]
	clock   clock
	limit   *limiter // nil: none
}

// kid returns the child for a segment, or nil.
func (n *node) kid(seg string) *node {
	i := n.find(seg)
	if i < len(n.kids) && n.kids[i].seg == seg {
		return n.kids[i]
	}
	return nil
}

// fewKids is up to how many children a look at each of them is faster than a
// search that must know the segment first.
const fewKids = 8

// next returns the child on the way down path, or nil, and the path below it.
func (n *node) next(path string) (*node, string) {
	if len(n.kids) == 0 {
		return nil, ""
	}
	if len(n.kids) > fewKids {
		seg, rest := nextSegment(path)
		return n.kid(seg), rest
	}
	for path != "" && path[0] == '/' {
		path = path[1:]
	}
	for _, kid := range n.kids {
		rest, ok := strings.CutPrefix(path, kid.seg)
		if ok && (rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#') {
			return kid, rest
		}
	}
	return nil, ""
}

func (n *node) find(seg string) int {
	lo, hi := 0, len(n.kids)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); n.kids[mid].seg < seg {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// shown is the state that callers meet.
func (n *node) shown() State {
	if n.over != Closed {
		return n.over
	}
	return n.state
}

// decision says what becomes of a call.
type decision struct {
	refusal *OpenError // not nil: refused
	slot    bool       // it needs a slot of a half-open entry, which the actor gives
	forced  bool       // an operator lets it pass: its result is not counted
	ramp    *node      // not nil: admitted with the share of this entry
}

// decide walks the entries on path. The deepest entry that an operator holds
// decides alone; else all must admit.
func (t *tree) decide(path string) decision {
	if t.forced > 0 {
		if held := t.held(path); held != nil {
			switch held.over {
			case ForcedOpen:
				return decision{refusal: held.refusal}
			case ForcedClosed:
				return decision{forced: true}
			}
			d := t.natural(path) // metrics only: as if, but let pass what would be refused
			return decision{forced: d.refusal != nil, slot: d.slot && d.refusal == nil}
		}
	}
	return t.natural(path)
}

func (t *tree) natural(path string) (d decision) {
	for n := t.root; n != nil; n, path = n.next(path) {
		switch {
		case n.refuses():
			return decision{refusal: n.refusal}
		case n.ramping():
			if d.ramp == nil || n.begun > d.ramp.begun {
				d.ramp = n
			}
		case n.state == HalfOpen:
			d.slot = true
		}
	}
	return d
}

// refuses says whether the entry's own state has no room for a call.
func (n *node) refuses() bool { return n.refusal != nil && n.state != Closed && !n.ramping() }

// held returns the deepest node on path that an operator holds, or nil.
func (t *tree) held(path string) (held *node) {
	for n := t.root; n != nil; n, path = n.next(path) {
		if n.over != Closed {
			held = n
		}
	}
	return held
}

// interest says what must be done with the success of a call that was admitted
// in gen with slot: nothing, or (true) a report to the actor.
func (t *tree) interest(path string, gen, slot uint64) (report bool) {
	for n := t.root; n != nil; n, path = n.next(path) {
		if n.order > gen {
			return report || slot != 0
		}
		if n.counts(gen, slot) {
			switch {
			case n.state == HalfOpen && !n.ramping(), n.blamed, n.failures() > 0 && t.set.Trip == "consecutive":
				report = true
			}
		}
	}
	return report
}

// countGood adds a success to the windows on path.
func (t *tree) countGood(path string, gen uint64, now int64) {
	for n := t.root; n != nil && n.order <= gen; n, path = n.next(path) {
		if n.tally != nil && n.state == Closed && n.since <= gen {
			n.tally.good(now)
		}
	}
}

// walk visits all nodes, parents before children.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, kid := range n.kids {
		kid.walk(visit)
	}
}

// view is what the actor publishes: a tree, and what most calls need to know of
// it in one word.
type view struct {
	tree
	kind    viewKind
	gate    viewKind // what a call looks at first: kind, or viewTraced
	stamp   uint32   // odd while count changes failures in place, and another one after; atomic
	limited bool     // viewMixed: as viewQuiet, but for the limit of calls in flight
	simple  bool     // viewMixed: a call that meets closed entries alone needs nothing of us
	refusal error    // of every call; nil unless viewRefuses
	dormant *dormant // nil unless viewMarked or viewAsleep
}

type viewKind uint8

const (
	viewMixed   viewKind = iota // walk the tree
	viewQuiet                   // every call is admitted, and a success changes nothing
	viewRefuses                 // every call is refused
	viewStopped                 // the breaker was stopped
	viewMarked                  // as before, but the first call takes the mark off: see idle
	viewAsleep                  // the actor has ended until the next call
	viewTraced                  // gate alone: a call is a span, whatever the kind
)

func (t *tree) view() *view {
	v := &view{tree: *t}
	r := t.root
	switch {
	case r.over == ForcedOpen && t.forced == 1, t.forced == 0 && r.refuses():
		v.kind, v.refusal = viewRefuses, r.refusal
	case t.entries == 0 && t.forced == 0 && r.state == Closed && r.fails == 0 && t.set.plain():
		if v.limited = t.of.limit != nil; !v.limited {
			v.kind = viewQuiet
		}
	default:
		v.simple = t.forced == 0 && t.of.limit == nil && t.set.plain()
	}
	v.gate = v.kind
	return v
}

// met is what a call to a path meets in one view.
type met struct {
	view     *view
	stamp    uint32 // of the view, when the call looked
	obstacle *node  // the first entry that is not closed, or nil
	free     bool   // no entry counts a failure: a success changes nothing
}

// meet returns what a call to path meets in a simple view.
func (v *view) meet(path string) met {
	m := met{view: v, stamp: atomic.LoadUint32(&v.stamp)}
	m.free = m.stamp%2 == 0
	for n := v.root; n != nil; n, path = n.next(path) {
		if n.state != Closed {
			m.obstacle, m.free = n, false
			return m
		}
		m.free = m.free && n.failures() == 0
	}
	return m
}

// holds reports whether the view, and every count of failures in it, is as it was met.
func (m *met) holds(b *Breaker) bool {
	return b.view.Load() == m.view && atomic.LoadUint32(&m.view.stamp) == m.stamp
}

// plain says that a call needs neither clock nor ctx of ours while all is well.
func (s *Settings) plain() bool {
	return s.Trip == "consecutive" && s.HangLimit == 0 && !s.BoundCalls
}
