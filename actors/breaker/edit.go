package breaker

import (
	"slices"
	"sync"
	"time"
)

// edit is one change to a tree in the making. The tree that it began from stays
// as it was, so a crash half way leaves nothing behind.
type edit struct {
	tree
	now     int64
	rnd     float64
	changes []change
	dues    []due
	chain   [maxDepth + 1]*node
	fresh   [maxDepth + 1]bool
	depth   int // nodes in chain
}

// change is a transition before it has a wall clock time.
type change struct {
	seq      uint64
	path     string
	from, to State
	shadow   bool
	reason   string
	until    int64
}

// due asks for expire(path) at a time.
type due struct {
	at   int64
	path string
}

// result is how an admitted call ended.
type result struct {
	path string
	gen  uint64 // generation in which it was admitted
	slot uint64 // 0 for none
	kind eventKind
	hold time.Duration // Retry-After
	hung bool          // evHang was reported for it
}

// edits are too large to make one for each report, or to keep one a breaker.
var edits = sync.Pool{New: func() any { return new(edit) }}

func begin(t *tree, now int64, rnd float64) *edit {
	e := edits.Get().(*edit)
	e.tree, e.now, e.rnd = *t, now, rnd
	return e
}

// free gives an edit back when it is published, or not wanted.
func (e *edit) free() {
	clear(e.changes)
	clear(e.dues)
	clear(e.chain[:])
	e.tree, e.changes, e.dues, e.depth = tree{}, e.changes[:0], e.dues[:0], 0
	edits.Put(e)
}

// take copies the nodes on path into the chain, the root first. With create it
// adds those that are missing, as far as the bounds allow.
func (e *edit) take(path string, create bool) []*node {
	room := 0
	if create {
		room = e.set.MaxEntries
	}
	return e.takeWithin(path, room)
}

func (e *edit) takeWithin(path string, room int) []*node {
	root := *e.root
	e.chain[0], e.fresh[0], e.depth = &root, false, 1
	for e.depth <= e.set.MaxDepth {
		seg, rest := nextSegment(path)
		if seg == "" {
			break
		}
		parent := e.chain[e.depth-1]
		kid := &node{}
		if old := parent.kid(seg); old != nil {
			*kid, e.fresh[e.depth] = *old, false
		} else if e.entries < room && len(parent.path)+len("/")+len(seg) <= maxEntryPath {
			e.entries++
			kid.path = parent.path + "/" + seg
			kid.seg = kid.path[len(parent.path)+1:]
			kid.last = e.now
			e.fresh[e.depth] = true
		} else {
			break
		}
		e.chain[e.depth] = kid
		e.depth++
		path = rest
	}
	return e.chain[:e.depth]
}

// put links the chain into the tree, dropping entries that are as good as none.
func (e *edit) put() {
	for i := e.depth - 1; i > 0; i-- {
		n, parent := e.chain[i], e.chain[i-1]
		at := parent.find(n.seg)
		had := !e.fresh[i]
		if n.clean() && n.tally == nil && n.order == 0 && n.over == Closed && len(n.kids) == 0 {
			e.entries--
			if had {
				parent.kids = slices.Concat(parent.kids[:at], parent.kids[at+1:])
			}
			continue
		}
		e.seal(n)
		kids := make([]*node, 0, len(parent.kids)+1)
		kids = append(append(kids, parent.kids[:at]...), n)
		if had {
			at++
		}
		parent.kids = append(kids, parent.kids[at:]...)
		if !had {
			e.dues = append(e.dues, due{e.lapse(n), n.path})
		}
	}
	e.seal(e.chain[0])
	e.root = e.chain[0]
}

// seal gives a node the refusal that fits its state.
func (e *edit) seal(n *node) {
	var state State
	var until int64
	switch {
	case n.over == ForcedOpen:
		state, until = ForcedOpen, n.overEnd
	case n.over == Closed && n.state == Open:
		state, until = Open, n.until
	case n.ramping():
		state = HalfOpen
	case n.state == HalfOpen && len(n.probes) >= e.set.HalfProbeLimit:
		state, until = HalfOpen, n.free()
	case n.state == Open: // beneath an operator's state
		state, until = Open, n.until
	default:
		n.refusal = nil
		return
	}
	if n.refusal == nil || n.refusal.State != state || n.refusal.until != until {
		n.refusal = &OpenError{Service: e.of.service, Entry: n.path, State: state, of: e.of, until: until}
	}
}

// step moves one node of the chain on and notes what follows from it.
func (e *edit) step(n *node, ev event) {
	ev.now, ev.rnd = e.now, e.rnd
	before, own, wanted := n.shown(), n.state, n.due()
	var reason string
	n.machine, reason = n.machine.step(&e.set.Settings, ev)
	if n.state != own {
		e.noteAs(n, before, own, reason)
	}
	if d := n.due(); d != 0 && d != wanted {
		e.dues = append(e.dues, due{d, n.path})
	}
}

// noteAs numbers a transition and puts it down.
func (e *edit) noteAs(n *node, before, own State, reason string) {
	e.seq++
	e.gen++
	n.since = e.gen
	c := change{seq: e.seq, path: n.path, from: before, to: n.shown(), reason: reason, until: n.ends()}
	if n.over != Closed {
		c.from, c.to, c.shadow = own, n.state, true
	}
	if n.state == Closed {
		n.tally = nil
		if e.set.Trip == "rate" {
			n.tally = newTally(&e.set.Settings)
		}
		if n.path != "" {
			e.dues = append(e.dues, due{e.lapse(n), n.path})
		}
	}
	e.changes = append(e.changes, c)
}

func (n *node) ends() int64 {
	if n.over != Closed {
		return n.overEnd
	}
	if n.state == Open {
		return n.until
	}
	return 0
}

// lapse is when a closed entry of a path may be dropped. One without counts is
// kept for as long as a call from before its last transition may still report.
func (e *edit) lapse(n *node) int64 {
	switch {
	case n.tally != nil && e.set.Window > 0:
		return n.last + int64(min(e.set.Window, e.set.ForgetAfter))
	case n.tally == nil && n.fails == 0:
		return n.last + 2*int64(e.set.RequestTimeout)
	}
	return n.last + int64(e.set.ForgetAfter)
}

// admit takes a slot in every half-open entry on path, or in none.
func (e *edit) admit(path string, t term) (slot uint64, d decision) {
	d = e.decide(path)
	if d.refusal != nil || !d.slot {
		return 0, d
	}
	e.slots++
	for _, n := range e.take(path, false) {
		if n.state == HalfOpen && !n.ramping() {
			e.step(n, event{kind: evAdmit, probe: e.slots, hold: t.hold, lenient: t.lenient})
		}
	}
	e.put()
	return e.slots, d
}

// report registers a result on every entry on its path that it belongs to.
func (e *edit) report(r result) {
	bad := r.kind == evFailure || r.kind == evHang
	makes := bad || r.kind == evSlow && e.set.Trip == "rate"
	chain := e.take(r.path, makes && e.forgot <= r.gen)
	var counts [maxDepth + 1]bool
	half, blamed := false, -1
	order := uint64(0) // the last one on the way down
	for i, n := range chain {
		order = max(order, n.order)
		counts[i] = order <= r.gen && n.counts(r.gen, r.slot)
		half = half || counts[i] && n.state == HalfOpen
		if n.state != Closed || n.blamed {
			blamed = i
		}
	}
	if e.set.Blame != "deepest" || !bad || !half {
		half, blamed = false, -1
	}
	marked := false // a half-open entry takes the failure: remember those below
	for i, n := range chain {
		ev := event{kind: r.kind, probe: r.slot, hold: r.hold}
		switch {
		case r.hung:
			e.step(n, event{kind: evHangOver, probe: r.slot})
			continue
		case !counts[i], i < blamed && n.state == HalfOpen:
			ev.kind = evNeutral
		case bad && half:
			ev.blame = i == blamed && n.state == Closed
			if n.state == HalfOpen {
				marked = true
			} else if marked {
				n.blamed = true
			}
		}
		if e.set.Trip == "rate" && n.state == Closed && ev.kind != evNeutral {
			ev.seen = e.tally(n, ev.kind)
		}
		e.step(n, ev)
	}
	e.put()
}

// expire does what is due for the entry of path, and asks again for what is not.
func (e *edit) expire(path string) {
	chain := e.take(path, false)
	n := chain[len(chain)-1]
	if n.path != path {
		return // dropped since
	}
	if n.over != Closed && n.overEnd != 0 && n.overEnd <= e.now {
		e.override(n, Closed, 0, "the operator's time is over")
	}
	e.step(n, event{kind: evTime})
	if n.path != "" && n.state == Closed && n.hung == 0 {
		if at := e.lapse(n); at <= e.now {
			e.forgot = max(e.forgot, n.since, n.order)
			n.machine, n.tally, n.order = machine{last: n.last}, nil, 0
		} else {
			e.dues = append(e.dues, due{at, path})
		}
	}
	e.put()
}
