package breaker

import "sync/atomic"

// tallySlots is how finely a sliding time window moves on.
const tallySlots = 16

// tally is the sliding window of one entry. Callers add successes to it, with
// one atomic step; the actor adds the rest and reads it.
type tally struct {
	slot int64 // time window: ns for each of the slots; 0 for a count window
	ring [tallySlots]struct {
		good      atomic.Uint64 // epoch<<32 | successes
		epoch     int64         // of bad and slow; the actor's
		bad, slow int
	}

	pending atomic.Int64 // count window: successes not yet in last
	last    []eventKind  // count window: the actor's
	next    int
}

func newTally(s *Settings) *tally {
	if s.WindowCalls > 0 {
		return &tally{last: make([]eventKind, 0, s.WindowCalls)}
	}
	return &tally{slot: max(1, int64(s.Window)/tallySlots)}
}

// good counts a success.
func (t *tally) good(now int64) {
	if t.slot == 0 {
		t.pending.Add(1)
		return
	}
	epoch := now / t.slot
	ring := &t.ring[epoch%tallySlots]
	for {
		old := ring.good.Load()
		next := old + 1
		if old>>32 != uint64(epoch)&0xffffffff {
			next = uint64(epoch)<<32 | 1
		}
		if ring.good.CompareAndSwap(old, next) {
			return
		}
	}
}

// add counts an outcome, for the actor alone, and returns what the window holds.
func (t *tally) add(kind eventKind, now int64) (s tallied) {
	if t.slot == 0 {
		return t.addCalls(kind)
	}
	epoch := now / t.slot
	ring := &t.ring[epoch%tallySlots]
	if ring.epoch != epoch {
		ring.epoch, ring.bad, ring.slow = epoch, 0, 0
	}
	switch kind {
	case evSuccess:
		t.good(now)
	case evSlow:
		ring.slow++
	default:
		ring.bad++
	}
	for i := range t.ring {
		r := &t.ring[i]
		if good := r.good.Load(); uint32(epoch)-uint32(good>>32) < tallySlots {
			s.calls += int(good & 0xffffffff)
		}
		if epoch-r.epoch < tallySlots {
			s.calls += r.bad + r.slow
			s.bad += r.bad
			s.slow += r.slow
		}
	}
	return s
}

func (t *tally) addCalls(kind eventKind) (s tallied) {
	for range min(t.pending.Swap(0), int64(cap(t.last))) {
		t.push(evSuccess)
	}
	t.push(kind)
	for _, k := range t.last {
		switch k {
		case evSuccess:
		case evSlow:
			s.slow++
		default:
			s.bad++
		}
	}
	s.calls = len(t.last)
	return s
}

func (t *tally) push(kind eventKind) {
	if len(t.last) < cap(t.last) {
		t.last = append(t.last, kind)
		return
	}
	t.last[t.next] = kind
	t.next = (t.next + 1) % len(t.last)
}

// tally counts an outcome in the window of n, and begins the window at the first.
func (e *edit) tally(n *node, kind eventKind) tallied {
	if n.tally == nil {
		n.tally = newTally(&e.set.Settings)
	}
	return n.tally.add(kind, e.now)
}
