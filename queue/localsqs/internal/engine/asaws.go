package engine

import "math/rand/v2"

// unkind is what AWS does where this engine is kinder (SQS developer guide,
// "Standard queues", "Short and long polling", SetQueueAttributes): standard
// queues keep no strict order and deliver now and then twice, a short poll asks
// some of the servers only, counts lag, and changes of attributes take effect
// after up to a minute. Standard queues are fair ([fairness]), and a FIFO queue is
// looked through up to a limit ([scan]). The draws are made by a seed.
type unkind struct{ *rand.Rand }

const (
	disorder    = 32          // places by which messages are out of order, at most
	doubleOneIn = 100         // one delivery in so many is followed by another
	doubleAfter = second      // at most, after the first
	emptyOneIn  = 4           // one short poll in so many finds nothing
	countsAge   = 30 * second // of the counts that are shown, at most
	changeDelay = 60 * second // until a change of attributes takes effect
)

func newUnkind(seed uint64) *unkind { return &unkind{rand.New(rand.NewPCG(seed, seed))} }

// place is where a message stands in the order of its group.
func (u *unkind) place(m *Message) int64 { return int64(m.Seq) + u.Int64N(disorder) }

// double is after how many ns a message that is delivered now comes again, or
// hidden, the time for which its receiver has it.
func (u *unkind) double(hidden int64) int64 {
	if hidden == 0 || u.IntN(doubleOneIn) > 0 {
		return hidden
	}
	return min(hidden, u.Int64N(doubleAfter))
}

// sample is how many messages a short poll finds of up to n.
func (u *unkind) sample(n int) int {
	if u.IntN(emptyOneIn) == 0 {
		return 0
	}
	return 1 + u.IntN(n)
}

// counts are a queue's numbers at a time.
type counts struct {
	at                         int64
	visible, inflight, delayed int
}

// counts are the queue's numbers as they are shown.
func (q *Queue) counts() counts {
	e := q.engine
	if now := (counts{e.now, q.visible, q.inflight, q.delayed}); e.unkind == nil || q.sampled == nil ||
		e.now-q.sampled.at >= countsAge {
		q.sampled = &now
		return now
	}
	return *q.sampled
}

// shown are the queue's attributes as they are shown: a change is seen at once,
// also where it takes effect later.
func (q *Queue) shown() *attributes {
	if q.coming != nil {
		return q.coming
	}
	return &q.attrs
}

// takeEffect makes a queue's new attributes those that count.
func (e *Engine) takeEffect(now int64, q *Queue, a attributes) {
	delayChanged := a.delay != q.attrs.delay
	q.attrs = a
	if delayChanged && a.fifo {
		e.redelay(now, q)
	}
	e.armRetention(q)
}
