package engine

import (
	"maps"
	"strings"
)

// RestoreCounters sets the last numbers given out. It comes first.
func (e *Engine) RestoreCounters(seq uint64, queue int64) { e.lastSeq, e.lastQueue = seq, queue }

// RestoreQueue makes a queue as it was recorded.
func (e *Engine) RestoreQueue(r *QueueRecord) (*Queue, *Error) {
	a, err := parseAttributes(r.Attributes, strings.HasSuffix(r.Name, ".fifo"))
	if err != nil {
		return nil, err
	}
	q := e.addQueue(&Queue{Key: r.Key, ID: r.ID, created: r.Created, modified: r.Modified, purged: r.Purged,
		attrs: a, tags: maps.Clone(r.Tags)})
	e.lastQueue = max(e.lastQueue, r.ID)
	return q, nil
}

// RestoreMessage puts a message back where it was: delayed, in flight or
// available. Messages must come in the order of their seq. Since they were
// recorded the clock may have been set back: one that would be hidden for longer
// than is possible is available.
func (e *Engine) RestoreMessage(now int64, q *Queue, seq uint64, r *Meta) {
	m := &Message{ID: r.ID, Seq: seq, Sent: r.Sent, first: r.First, received: r.Received, origin: r.Origin,
		receives: r.Receives, before: r.Before, size: r.Size, pos: -1, agePos: -1}
	e.lastSeq = max(e.lastSeq, seq)
	e.insert(q, m, r.Group)
	longest := int64(MaxDelay)
	if m.receives > 0 {
		longest = MaxVisibility
	}
	due := r.Due
	if due > now+longest*second {
		due = now
	}
	if due > now && m.receives > 0 {
		m.state = inFlight
		q.inflight++
		m.group.inFlight++
		e.timers.heap.push(due, m.Seq, m)
		m.group.turn()
		return
	}
	e.enqueue(m, due, now)
}

// RestoreDedup puts a deduplication id back, unless its time is over. They must
// come in the order of their ends.
func (e *Engine) RestoreDedup(now int64, q *Queue, key string, first Sent, end int64) {
	if end <= now {
		e.record(Change{Kind: DedupGone, Queue: q.ID, Name: key})
		return
	}
	q.dedup.add(e, key, first, end)
}
