package engine

import "math"

// Message is the index entry of one message; its content is in memory or, with
// a store, on disk once committed. It stays under 120 bytes.
type Message struct {
	ID       [16]byte // MessageId, the same for the whole life of the message
	Seq      uint64   // order of sending and key in the store, unique in a server; each move gives another
	Sent     int64    // SentTimestamp
	first    int64    // first receive, 0 before
	received int64    // latest receive
	group    *group
	content  *Content // nil: in the store
	origin   *Key     // the queue it was dead-lettered from, or nil
	receives uint32   // of this queue
	before   uint32   // receives of the queues that it was dead-lettered from
	size     uint32
	pos      int32 // in the timer heap (delayed, inFlight) or in group.back (returned)
	agePos   int32 // in Queue.ages
	state    state
}

type state uint8

const (
	gone     state = iota
	ready          // in group.fresh
	returned       // in group.back
	delayed        // in the timer heap
	inFlight       // in the timer heap
)

// Content is what a sender gave. It is immutable once sent.
type Content struct {
	Body      string
	BodyMD5   [16]byte
	Attrs     []Attribute // the user's, sorted by name
	AttrsMD5  [16]byte    // of all Attrs; zero: to be computed
	Trace     string      // AWSTraceHeader
	Sender    string      // SenderId
	GroupID   string
	DedupID   string
	PlainJSON bool // Body holds nothing that JSON must escape
}

// Attribute is a message attribute: Binary if its type says so.
type Attribute struct {
	Name   string
	Type   string // String, Number or Binary, with an optional label after a dot
	String string // the value; of a Binary the raw bytes
}

// Binary reports whether the value is bytes.
func (a *Attribute) Binary() bool { return len(a.Type) >= 6 && a.Type[:6] == "Binary" }

// Size is what counts against the queue's limit: body, attribute names, types
// and values.
func (c *Content) Size() int {
	n := len(c.Body)
	for i := range c.Attrs {
		a := &c.Attrs[i]
		n += len(a.Name) + len(a.Type) + len(a.String)
	}
	return n
}

// group is the order of one message group, or of all messages without one.
// In a standard queue the groups take turns (fair queues); in a FIFO queue a
// message in flight hides those of its group that come after it.
type group struct {
	queue      *Queue
	name       string
	fresh      deque[*Message]   // never received, in order
	back       minHeap[*Message] // returned from invisibility or delay, by Seq
	hidden     minHeap[*Message] // of a FIFO queue: those in flight, by Seq, and some that were
	members    int               // messages of any state
	prev, next *group            // in Queue.turn
}

func newGroup(q *Queue, name string) *group {
	g := &group{queue: q, name: name}
	g.back.place = func(m *Message, i int32) { m.pos = i }
	g.hidden.place = func(*Message, int32) {}
	return g
}

// firstHidden is the Seq of the earliest message in flight: those after it
// cannot be received. In a standard queue nothing is hidden by another message.
func (g *group) firstHidden() uint64 {
	for g.hidden.len() > 0 {
		s := g.hidden.slots[0]
		if m := s.item; m.state == inFlight && m.group == g && m.Seq == uint64(s.key) {
			return m.Seq
		}
		g.hidden.pop() // it has come back, or gone, since
	}
	return math.MaxUint64
}

// hide notes that m is in flight.
func (g *group) hide(m *Message) {
	if g.queue.attrs.fifo {
		g.hidden.push(int64(m.Seq), 0, m)
	}
}

// head is the available message that was sent first, or nil.
func (g *group) head() *Message {
	for g.fresh.len() > 0 && g.fresh.front().state != ready {
		g.fresh.pop() // expired while it waited
	}
	if g.back.len() > 0 {
		b := g.back.slots[0].item
		if g.fresh.len() == 0 || b.Seq < g.fresh.front().Seq {
			return b
		}
	}
	if g.fresh.len() == 0 {
		return nil
	}
	return g.fresh.front()
}

// receivable reports whether the group has a message to give.
func (g *group) receivable() bool {
	m := g.head()
	return m != nil && m.Seq < g.firstHidden() && (g.queue.scan == nil || m.Seq <= g.queue.scan.last)
}

// offer makes m available. Messages that were never received and come in the
// order of sending go to the deque, all others to the heap.
func (g *group) offer(m *Message, inOrder bool) {
	if u := g.queue.engine.unkind; u != nil && !g.queue.attrs.fifo {
		m.state = returned
		g.back.push(u.place(m), m.Seq, m)
	} else if inOrder {
		m.state, m.pos = ready, -1
		g.fresh.push(m)
	} else {
		m.state = returned
		g.back.push(int64(m.Seq), 0, m)
	}
	g.queue.visible++
	g.queue.engine.offered(g.queue)
	g.turn()
}

// withdraw takes m, which is available, out of the group's order.
func (g *group) withdraw(m *Message) {
	if m.state == returned {
		g.back.remove(m.pos)
	} else if g.fresh.front() == m {
		g.fresh.pop()
	} // else head skips it, for its state is no longer ready
	m.state = gone
	g.queue.visible--
}

// turn puts the group into the rotation of its queue, or takes it out,
// whichever is due.
func (g *group) turn() {
	q := g.queue
	if q.fair != nil {
		q.fair.settle(q.fair.of(g))
	}
	if in := g.next != nil; g.receivable() == in {
		return
	} else if in {
		if g.next == g {
			q.turn = nil
		} else {
			g.prev.next, g.next.prev = g.next, g.prev
			if q.turn == g {
				q.turn = g.next
			}
		}
		g.prev, g.next = nil, nil
		return
	}
	if q.turn == nil {
		g.prev, g.next, q.turn = g, g, g
		return
	}
	at := q.turn // before the group that is next: last in line
	g.prev, g.next = at.prev, at
	at.prev.next, at.prev = g, g
}

func (m *Message) setPos(i int32) { m.pos = i }

// due ends a message's delay or invisibility.
func (m *Message) due(e *Engine, _ int64) { e.release(m) }
