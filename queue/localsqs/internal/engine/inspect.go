package engine

import "slices"

// QueueStats are a queue's numbers at one moment.
type QueueStats struct {
	Key
	FIFO                       bool
	Visible, InFlight, Delayed int
	Groups                     int   // message groups that have messages
	Waiting                    int   // receive calls that wait
	Oldest                     int64 // when the oldest message was sent, 0 without one
}

// Stats are the numbers of all queues, by region and name.
func (e *Engine) Stats() []QueueStats {
	list := make([]QueueStats, 0, len(e.queues))
	for _, q := range e.queues {
		s := QueueStats{Key: q.Key, FIFO: q.attrs.fifo, Visible: q.visible, InFlight: q.inflight, Delayed: q.delayed,
			Groups: len(q.groups) - 1, Waiting: q.waiters.n}
		if q.ages.len() > 0 {
			s.Oldest = q.ages.slots[0].key
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b QueueStats) int { return a.compare(b.Key) })
	return list
}

func (k Key) compare(o Key) int {
	switch {
	case k == o:
		return 0
	case k.Region < o.Region || k.Region == o.Region && k.Name < o.Name:
		return -1
	}
	return 1
}

// Peeked is a message that is looked at without being received.
type Peeked struct {
	Received
	State string // visible, in flight or delayed
	Due   int64  // when it becomes visible, 0 if it is
}

// Peek looks at up to limit messages of a queue, those sent first.
func (e *Engine) Peek(q *Queue, limit int) []Peeked {
	var list []Peeked
	// The smallest keys of a heap, best first: next holds the children of the
	// indexes that were taken.
	next := minHeap[int]{place: func(int, int32) {}}
	offer := func(i int) {
		if i < q.ages.len() {
			next.push(q.ages.slots[i].key, q.ages.slots[i].tie, i)
		}
	}
	for offer(0); next.len() > 0 && len(list) < limit; {
		i := next.pop()
		list = append(list, e.peek(q.ages.slots[i].item))
		for c := 4*i + 1; c <= 4*i+4; c++ {
			offer(c)
		}
	}
	return list
}

func (e *Engine) peek(m *Message) Peeked {
	p := Peeked{Received: m.delivery(), State: "visible"}
	switch m.state {
	case delayed:
		p.State = "delayed"
	case inFlight:
		p.State = "in flight"
	}
	if p.State != "visible" {
		p.Due = e.timers.heap.slots[m.pos].key
	}
	return p
}
