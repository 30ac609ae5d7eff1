package engine

// ChangeKind is what a [Change] does to the store.
type ChangeKind uint8

// The kinds of changes and the fields of Change that each uses.
const (
	QueuePut    ChangeKind = iota // Record: a queue as it is now
	QueueGone                     // Queue: with all in it
	QueuePurged                   // Queue: all its messages and deduplication ids
	MessagePut                    // Queue, Seq, Meta, Content
	MessageMeta                   // Queue, Seq, Meta
	MessageGone                   // Queue, Seq
	MessageMove                   // From, FromSeq to Queue, Seq, with Meta; Content if it is not in the store yet
	DedupPut                      // Queue, Name, ID, Seq, Due
	DedupGone                     // Queue, Name
	TaskPut                       // Seq: its id, Task
	TaskGone                      // Seq: its id
	TimePut                       // Due: the time up to which the changes go
)

// Change is one step from a state of the engine to the next. Applied in order
// they make up the state; see [Engine.Restore].
type Change struct {
	Kind    ChangeKind
	Queue   int64
	Seq     uint64
	From    int64
	FromSeq uint64
	Name    string
	ID      [16]byte
	Due     int64
	Meta    Meta
	Content *Content
	Record  *QueueRecord
	Task    *MoveTask

	message *Message
}

// Meta is what the store keeps of a message apart from its content.
type Meta struct {
	ID                         [16]byte
	Sent, First, Received, Due int64
	Receives, Size             uint32
	Before                     uint32 // 0 without an Origin
	Group                      string
	Origin                     *Key
}

// QueueRecord is what the store keeps of a queue.
type QueueRecord struct {
	Key
	ID                        int64
	Created, Modified, Purged int64
	Attributes, Tags          map[string]string
	DedupScope                string `json:",omitempty"` // of its creation; empty: that of the attributes
}

const (
	scopeGroup = "messageGroup"
	scopeQueue = "queue"
)

// dedupScope is the queue's own scope where the attribute says something else.
func (q *Queue) dedupScope() string {
	switch {
	case q.dedupByGroup == q.shown().dedupByGroup:
		return ""
	case q.dedupByGroup:
		return scopeGroup
	}
	return scopeQueue
}

func (e *Engine) record(c Change) {
	if e.cfg.Durable {
		e.changes = append(e.changes, c)
	}
}

// timeStep is how exactly the store knows the time of the latest change.
const timeStep = second

// RecordTime records the time, so that a restart can see that the clock was set
// back. TakeChanges does so along with other changes; call it before the end.
func (e *Engine) RecordTime(now int64) {
	e.now, e.recorded = now, now
	e.record(Change{Kind: TimePut, Due: now})
}

// TakeChanges hands out what was changed since the last call, in order.
func (e *Engine) TakeChanges() []Change {
	if len(e.changes) > 0 && (e.now >= e.recorded+timeStep || e.now < e.recorded) {
		e.RecordTime(e.now)
	}
	c := e.changes
	e.changes = nil
	return c
}

func (m *Message) meta(due int64) Meta {
	return Meta{ID: m.ID, Sent: m.Sent, First: m.first, Received: m.received, Due: due,
		Receives: m.receives, Before: m.before, Size: m.size, Group: m.group.name, Origin: m.origin}
}

func (e *Engine) recordQueue(q *Queue) {
	if e.cfg.Durable {
		e.record(Change{Kind: QueuePut, Queue: q.ID, Record: &QueueRecord{Key: q.Key, ID: q.ID, Created: q.created,
			Modified: q.modified, Purged: q.purged, Attributes: q.shown().raw, Tags: q.tags, DedupScope: q.dedupScope()}})
	}
}

func (e *Engine) recordPut(m *Message, due int64) {
	if e.cfg.Durable {
		e.record(Change{Kind: MessagePut, Queue: m.group.queue.ID, Seq: m.Seq, Meta: m.meta(due), Content: m.content,
			message: m})
	}
}

func (e *Engine) recordMeta(m *Message, due int64) {
	if e.cfg.Durable {
		e.record(Change{Kind: MessageMeta, Queue: m.group.queue.ID, Seq: m.Seq, Meta: m.meta(due)})
	}
}

func (e *Engine) recordGone(q *Queue, seq uint64) {
	if e.cfg.Durable {
		e.record(Change{Kind: MessageGone, Queue: q.ID, Seq: seq})
	}
}

func (e *Engine) recordMove(m *Message, from *Queue, seq uint64) {
	if e.cfg.Durable {
		e.record(Change{Kind: MessageMove, From: from.ID, FromSeq: seq, Queue: m.group.queue.ID, Seq: m.Seq,
			Meta: m.meta(0), Content: m.content, message: m})
	}
}

// Committed says that changes are safe in the store: contents they hold need
// not be kept in memory any longer.
func (e *Engine) Committed(changes []Change) {
	for i := range changes {
		// A message that was moved since is in the store under its new Seq only
		// once the move is.
		if m := changes[i].message; m != nil && m.content == changes[i].Content && m.Seq == changes[i].Seq {
			m.content = nil
		}
	}
}
