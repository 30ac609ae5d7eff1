package engine

import (
	"maps"
	"strings"
)

// RestoreCounters sets the last numbers given out. It comes first.
func (e *Engine) RestoreCounters(seq uint64, queue int64) { e.lastSeq, e.lastQueue = seq, queue }

// RestoreTime compares the time of the latest change that was recorded, 0
// if it is unknown, with the time of the restart. If the clock was set back since,
// what is timed goes on with the time that it had left. It comes before the queues.
func (e *Engine) RestoreTime(now, latest int64) {
	e.now, e.recorded = now, latest
	e.setBack = max(0, latest-now)
}

// RestoreQueue makes a queue as it was recorded.
func (e *Engine) RestoreQueue(r *QueueRecord) (*Queue, *Error) {
	a, err := parseAttributes(r.Attributes, strings.HasSuffix(r.Name, ".fifo"))
	if err != nil {
		return nil, err
	}
	q := e.addQueue(&Queue{Key: r.Key, ID: r.ID, created: r.Created, modified: r.Modified, purged: r.Purged,
		attrs: a, dedupByGroup: a.dedupByGroup, tags: maps.Clone(r.Tags)})
	if r.DedupScope != "" {
		q.dedupByGroup = r.DedupScope == scopeGroup
	}
	e.lastQueue = max(e.lastQueue, r.ID)
	if q.purged != 0 && e.setBack > 0 {
		q.purged -= e.setBack
		e.recordQueue(q)
	}
	return q, nil
}

// RestoreMessage puts a message back where it was: delayed, in flight or
// available. Messages must come in the order of their seq. One that would be
// hidden for longer than is possible, in a file from before the time was
// recorded, is available.
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
	again := due > now && e.setBack > 0 // hidden once more by the time that was
	if again {
		due, m.received = due-e.setBack, m.received-e.setBack
	}
	if due > now+longest*second {
		due = now
	}
	if due > now && m.receives > 0 {
		m.state = inFlight
		q.inflight++
		if q.fair != nil {
			q.fair.began(m.group)
		}
		m.group.hide(m)
		e.timers.heap.push(due, m.Seq, m)
		m.group.turn()
	} else {
		e.enqueue(m, due, now)
	}
	if again {
		e.recordMeta(m, due)
	}
}

// RestoreDedup puts a deduplication id back, unless its time is over. They must
// come in the order of their ends.
func (e *Engine) RestoreDedup(now int64, q *Queue, key string, first Sent, end int64) {
	if end -= e.setBack; end <= now {
		e.record(Change{Kind: DedupGone, Queue: q.ID, Name: key})
		return
	}
	q.dedup.add(e, key, first, end)
	if e.setBack > 0 {
		e.record(Change{Kind: DedupPut, Queue: q.ID, Name: key, ID: first.ID, Seq: first.Seq, Due: end})
	}
}
