package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
)

// QueueDelay stands for the queue's own delay.
const QueueDelay = math.MinInt64

// SendInput is one message to send. Its content is the engine's afterwards.
type SendInput struct {
	ID      [16]byte
	Content *Content
	Delay   int64 // s, or QueueDelay
	Group   string
}

// Sent answers a send.
type Sent struct {
	ID  [16]byte
	Seq uint64 // only of a FIFO queue
}

// FIFO reports the kind of the queue.
func (q *Queue) FIFO() bool { return q.attrs.fifo }

// CheckSend finds what is wrong with a message for this queue, or nil.
func (q *Queue) CheckSend(in *SendInput) *Error {
	c := in.Content
	if c.Size() > q.attrs.maxSize {
		return tooLong(q.attrs.maxSize)
	}
	if in.Delay != QueueDelay && (in.Delay > MaxDelay || in.Delay < 0) {
		return InvalidParameter(in.Delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	}
	if in.Group != "" && !validToken(in.Group) {
		return InvalidParameter(in.Group, "MessageGroupId",
			"MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if c.DedupID != "" && !validToken(c.DedupID) {
		return InvalidParameter(c.DedupID, "MessageDeduplicationId",
			"MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if !q.attrs.fifo {
		if c.DedupID != "" {
			return InvalidParameter(c.DedupID, "MessageDeduplicationId",
				"The request include parameter that is not valid for this queue type.")
		}
		return nil
	}
	if in.Delay > 0 {
		return InvalidParameter(in.Delay, "DelaySeconds",
			"The request include parameter that is not valid for this queue type.")
	}
	return q.CheckFIFO(in.Group, c.DedupID)
}

// CheckFIFO finds whether a message for a FIFO queue lacks its group or
// deduplication id. One that does has its whole batch refused.
func (q *Queue) CheckFIFO(group, dedupID string) *Error {
	switch {
	case !q.attrs.fifo:
		return nil
	case group == "":
		return missingGroup()
	case dedupID == "" && !q.attrs.contentDedup:
		return InvalidParameterValue("The queue should either have ContentBasedDeduplication enabled or " +
			"MessageDeduplicationId provided explicitly")
	}
	return nil
}

// validToken checks a group or deduplication id: 1 to 128 alphanumeric and
// punctuation characters of ASCII.
func validToken(s string) bool {
	if len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Send puts a message, which CheckSend has passed, on the queue. A duplicate
// on a FIFO queue is answered with what the first send was. Waiters are served
// by the Flush that must follow, so that a batch is handed out as one.
func (e *Engine) Send(now int64, q *Queue, in *SendInput) Sent {
	delay := in.Delay
	if delay == QueueDelay || q.attrs.fifo {
		delay = q.attrs.delay
	}
	if q.attrs.fifo {
		if in.Content.DedupID == "" {
			sum := sha256.Sum256([]byte(in.Content.Body))
			in.Content.DedupID = hex.EncodeToString(sum[:])
		}
		if first, ok := q.dedup.find(q.dedupKey(in.Group, in.Content.DedupID)); ok {
			return first
		}
	}
	e.lastSeq++
	m := &Message{ID: in.ID, Seq: e.lastSeq, Sent: now, content: in.Content, size: uint32(in.Content.Size()), pos: -1,
		agePos: -1}
	sent := Sent{ID: in.ID}
	if q.attrs.fifo {
		sent.Seq = m.Seq
		e.remember(now, q, q.dedupKey(in.Group, in.Content.DedupID), sent)
	}
	due := int64(0)
	if delay > 0 {
		due = now + delay*second
	}
	e.insert(q, m, in.Group)
	if q.fair != nil {
		q.fair.of(m.group).sent = now
	}
	e.enqueue(m, due, now)
	e.recordPut(m, due)
	return sent
}

// Flush hands what was sent to the waiters.
func (e *Engine) Flush(now int64) { e.serveAll(now) }

// insert makes m one of q's messages, in no state yet.
func (e *Engine) insert(q *Queue, m *Message, groupName string) {
	g := q.plain
	if groupName != "" {
		if g = q.groups[groupName]; g == nil {
			g = newGroup(q, groupName)
			q.groups[groupName] = g
		}
	}
	g.members++
	m.group = g
	if q.scan != nil {
		q.scan.enter(m)
	}
	q.ages.push(m.Sent, m.Seq, m)
	if m.agePos == 0 {
		e.armRetention(q)
	}
	if m.receives > 0 {
		q.handled[m.Seq] = m
	}
}

// enqueue makes a message that is in no state available, now or at due.
func (e *Engine) enqueue(m *Message, due, now int64) {
	if due > now {
		m.state = delayed
		m.group.queue.delayed++
		e.timers.heap.push(due, m.Seq, m)
		return
	}
	m.group.offer(m, m.receives == 0)
}

// remove ends a message: it leaves its queue for good.
func (e *Engine) remove(m *Message) {
	g, q := m.group, m.group.queue
	switch m.state {
	case ready, returned:
		g.withdraw(m)
	case delayed:
		q.delayed--
		e.timers.heap.remove(m.pos)
	case inFlight:
		q.inflight--
		e.timers.heap.remove(m.pos)
		if q.fair != nil {
			q.fair.ended(m, e.now)
		}
	}
	m.state = gone
	q.ages.remove(m.agePos)
	if m.receives > 0 {
		delete(q.handled, m.Seq)
	}
	g.members--
	g.turn()
	if q.scan != nil {
		q.scan.left(m.Seq)
	}
	if q.turn != nil {
		e.offered(q) // a FIFO group may give again, or there is room in flight again
	}
	if g.members == 0 && g != q.plain {
		delete(q.groups, g.name)
	}
}

// release makes a delayed or invisible message available.
func (e *Engine) release(m *Message) {
	g := m.group
	if m.state == delayed {
		g.queue.delayed--
	} else {
		g.queue.inflight--
		if f := g.queue.fair; f != nil {
			f.ended(m, e.now)
		}
	}
	g.offer(m, false)
}

// offered notes that q may have something for its waiters.
func (e *Engine) offered(q *Queue) {
	if q.waiters.first != nil && !q.dirty {
		q.dirty = true
		e.dirty = append(e.dirty, q)
	}
}

// redelay gives the delayed messages of a FIFO queue the queue's new delay.
func (e *Engine) redelay(now int64, q *Queue) {
	var moved []*Message
	for i := range q.ages.slots {
		if m := q.ages.slots[i].item; m.state == delayed {
			moved = append(moved, m)
		}
	}
	for _, m := range moved {
		e.timers.heap.remove(m.pos)
		q.delayed--
		due := m.Sent + q.attrs.delay*second
		e.enqueueAgain(m, due, now)
		e.recordMeta(m, due)
	}
}

func (e *Engine) enqueueAgain(m *Message, due, now int64) {
	if due > now {
		e.enqueue(m, due, now)
		return
	}
	m.group.offer(m, false)
}

// armRetention sets the queue's retention timer for its oldest message.
func (e *Engine) armRetention(q *Queue) {
	if q.ages.len() == 0 {
		e.timers.drop(&q.retention)
		return
	}
	e.timers.set(&q.retention, q.ages.slots[0].key+q.attrs.retention*second)
}

// expire removes the messages that are older than the queue's retention.
func (e *Engine) expire(now int64, q *Queue) {
	for q.ages.len() > 0 && q.ages.slots[0].key+q.attrs.retention*second <= now {
		m := q.ages.slots[0].item
		e.remove(m)
		e.recordGone(q, m.Seq)
	}
	e.armRetention(q)
}
