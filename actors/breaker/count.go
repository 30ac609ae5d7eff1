package breaker

import "sync/atomic"

// Most failures change nothing but counts, in entries that are closed and stay so. They
// are counted in place, on the caller's goroutine, in a turn of the actor: no message,
// and no new tree.

// countFailure registers r if that is all that it changes, and if the actor has nothing
// else to do. It reports whether it has.
func (b *Breaker) countFailure(r result) (done bool) {
	if r.kind != evFailure || r.slot != 0 || r.hung {
		return false
	}
	b.mailbox.Load().Turn(func() {
		v := b.view.Load()
		if done = v.kind == viewMixed && v.count(r, b.now()); done {
			b.draw() // as a report does: a given stream of numbers goes on alike
		}
	})
	return done
}

// count registers a failure on every entry on its path that it belongs to, as
// [edit.report] does, or changes nothing and returns false: if an entry would trip, is
// not closed, or would have to be made. It runs in a turn of the actor, which alone
// changes the view. Others read the counts one by one, and compare the stamp before and
// after if they need all as of one instant.
func (v *view) count(r result, now int64) bool {
	if v.set.Trip != "consecutive" || v.set.HangLimit != 0 || v.forced != 0 {
		return false
	}
	var chain [maxDepth + 1]*node
	own, order, path := 0, uint64(0), r.path
	for n, level := v.root, 0; ; level++ {
		if n.state != Closed || n.blamed {
			return false
		}
		order = max(order, n.order)
		if order <= r.gen && n.counts(r.gen, 0) {
			if int(n.fails) >= v.set.ClosedFailLimit-1 {
				return false
			}
			chain[own] = n
			own++
		}
		if level == v.set.MaxDepth {
			break
		}
		kid, rest := n.next(path)
		if kid == nil {
			if seg, _ := nextSegment(path); seg != "" {
				return false // an entry may have to be made
			}
			break
		}
		n, path = kid, rest
	}
	atomic.AddUint32(&v.stamp, 1)
	for _, n := range chain[:own] {
		atomic.StoreInt64(&n.last, now)
		atomic.StoreInt32(&n.fails, n.fails+1)
	}
	atomic.AddUint32(&v.stamp, 1)
	return true
}

// failures returns the counted failures of a published machine.
func (m *machine) failures() int32 { return atomic.LoadInt32(&m.fails) }

// counted returns when a published machine counted last.
func (m *machine) counted() int64 { return atomic.LoadInt64(&m.last) }
