package engine

// DedupWindow is how long a deduplication id is remembered (Amazon SQS: 5
// minutes).
const DedupWindow = 300 * second

// dedupWindow are the deduplication ids of a FIFO queue's last five minutes.
type dedupWindow struct {
	seen  map[string]Sent
	order deque[dedupEntry] // by time
	timer timer
}

type dedupEntry struct {
	key string
	end int64
}

func (d *dedupWindow) find(key string) (Sent, bool) {
	s, ok := d.seen[key]
	return s, ok
}

// dedupKey scopes an id to the queue or to its group.
func (q *Queue) dedupKey(group, id string) string {
	if q.dedupByGroup {
		return id + "\x00" + group
	}
	return id
}

func (e *Engine) remember(now int64, q *Queue, key string, first Sent) {
	q.dedup.add(e, key, first, now+DedupWindow)
	e.record(Change{Kind: DedupPut, Queue: q.ID, Name: key, ID: first.ID, Seq: first.Seq, Due: now + DedupWindow})
}

func (d *dedupWindow) add(e *Engine, key string, first Sent, end int64) {
	d.seen[key] = first
	d.order.push(dedupEntry{key, end})
	if d.timer.pos < 0 {
		e.timers.set(&d.timer, end)
	}
}

func (d *dedupWindow) init(q *Queue) {
	d.seen = map[string]Sent{}
	d.timer = newTimer(func(e *Engine, now int64) {
		for d.order.len() > 0 && d.order.front().end <= now {
			key := d.order.pop().key
			delete(d.seen, key)
			e.record(Change{Kind: DedupGone, Queue: q.ID, Name: key})
		}
		if d.order.len() > 0 {
			e.timers.set(&d.timer, d.order.front().end)
		}
	})
}
