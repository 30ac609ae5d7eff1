package breaker

import (
	"fmt"
	"math"
	"strings"
)

// force lays an operator's state over the entry of path, which is made even if
// the service has no room for more entries: an operator's word counts.
func (e *edit) force(path string, to State, end int64) error {
	if depth := strings.Count(path, "/"); depth > e.set.MaxDepth {
		return fmt.Errorf(
			"breaker: %s%.100s has %d segments, entries have at most max_depth %d: name a shorter prefix",
			e.of.service, path, depth, e.set.MaxDepth)
	}
	if len(path) > maxEntryPath {
		return fmt.Errorf("breaker: a path of %s has %d bytes, entries have at most %d: name a shorter prefix",
			e.of.service, len(path), maxEntryPath)
	}
	chain := e.takeWithin(path, math.MaxInt)
	n := chain[len(chain)-1]
	e.override(n, to, end, "an operator's order")
	e.ordered(n)
	e.put()
	for _, below := range e.paths(path) {
		if chain := e.take(below, false); len(chain[len(chain)-1].probes) > 0 {
			chain[len(chain)-1].probes = nil
			e.put()
		}
	}
	return nil
}

// paths returns the paths of the entry of path and of all below it, parents first.
func (e *edit) paths(path string) (paths []string) {
	top := e.root
	for rest := path; top != nil; {
		var seg string
		if seg, rest = nextSegment(rest); seg == "" {
			break
		}
		top = top.kid(seg)
	}
	if top != nil {
		top.walk(func(n *node) { paths = append(paths, n.path) })
	}
	return paths
}

// reset closes the entry of path and all below it and takes operators' states off.
func (e *edit) reset(path string) {
	paths := e.paths(path)
	if len(paths) == 0 { // calls to it may be under way all the same
		e.gen++
		e.forgot = e.gen
	}
	for i := len(paths) - 1; i >= 0; i-- { // children first: an entry with children cannot go
		chain := e.take(paths[i], false)
		n := chain[len(chain)-1]
		if n.over != Closed {
			e.override(n, Closed, 0, "a reset")
		}
		e.step(n, event{kind: evReset})
		n.tally = nil
		if i == 0 {
			e.ordered(n)
		}
		e.put()
	}
}

// configure puts new settings in force. States, counts and times go on.
func (e *edit) configure(s *config) {
	old := e.set
	e.set = s
	same := old.Trip == s.Trip && old.Window == s.Window && old.WindowCalls == s.WindowCalls
	var renew func(n *node) *node
	renew = func(n *node) *node {
		next := *n
		if !same {
			next.tally = nil
		}
		next.kids = make([]*node, len(n.kids))
		for i, kid := range n.kids {
			next.kids[i] = renew(kid)
		}
		if len(next.kids) == 0 {
			next.kids = nil
		}
		e.seal(&next)
		if next.path != "" && next.state == Closed {
			e.dues = append(e.dues, due{e.lapse(&next), next.path})
		}
		return &next
	}
	e.root = renew(e.root)
	if s.Trip == "rate" && e.root.tally == nil {
		e.root.tally = newTally(&s.Settings)
	}
}

// override puts an operator's state on a node, or with Closed takes it off.
func (e *edit) override(n *node, to State, end int64, reason string) {
	before := n.shown()
	e.forced += held(to) - held(n.over)
	n.over, n.overEnd = to, end
	if end != 0 {
		e.dues = append(e.dues, due{end, n.path})
	}
	if n.shown() == before && end == 0 {
		return
	}
	e.seq++
	e.changes = append(e.changes, change{
		seq: e.seq, path: n.path, from: before, to: n.shown(), reason: reason, until: n.ends(),
	})
}

// ordered notes an operator's order for n and all below it. Results of calls that were
// admitted before it count for nothing there, and their slots are free.
func (e *edit) ordered(n *node) {
	e.gen++
	n.order, n.last, n.probes = e.gen, e.now, nil
	if n.path != "" {
		e.dues = append(e.dues, due{e.lapse(n), n.path})
	}
}

func held(s State) int {
	if s == Closed {
		return 0
	}
	return 1
}
