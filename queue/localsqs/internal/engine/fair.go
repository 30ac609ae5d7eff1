package engine

// fairness is the order in which a standard queue serves its message groups as AWS
// does it (SQS developer guide, "How Amazon SQS fair queues work"): oldest first, but
// the groups that are noisy come after all others. A group is noisy from when it is
// about to be served and has either more than a tenth of what is in flight, and at
// least noisyFrom messages; or more than a tenth of the recent processing time. It is
// noisy until nothing of it waits, or it was sent nothing for quietAfter. Of several
// noisy groups the one with the fewest messages in flight is next.
//
// A message without a group is a tenant of its own, and never noisy. AWS does not
// say how long "recent" is: here processing time counts for half after each
// recentHalf. It ends with the delete of a message, or its return.
type fairness struct {
	queue    *Queue
	tenants  map[string]*tenant // by the name of their group; some have no messages any more
	quiet    minHeap[*tenant]   // that have something to give, by the place of the next message
	noisy    minHeap[*tenant]   // by messages in flight
	spent    int64              // recent processing time of all, in ns
	halvings int64              // of the recent processing times, since the epoch
	looked   int64              // when the noisy were last looked at
}

// tenant is what is known of a message group. Its group may be made again.
type tenant struct {
	group    *group
	pos      int32 // in quiet or noisy; -1: in neither
	isNoisy  bool
	inFlight int
	spent    int64 // recent processing time, in ns
	sent     int64 // time of the latest send
}

const (
	noisyFrom  = 30           // messages in flight
	noisyShare = 10           // one part in so many
	quietAfter = 300 * second // without a send
	recentHalf = 60 * second
)

func newFairness(q *Queue) *fairness {
	f := &fairness{queue: q, tenants: map[string]*tenant{}}
	f.quiet.place = func(t *tenant, i int32) { t.pos = i }
	f.noisy.place = f.quiet.place
	return f
}

// of returns what is known of a group.
func (f *fairness) of(g *group) *tenant {
	t := f.tenants[g.name]
	if t == nil {
		t = &tenant{pos: -1}
		f.tenants[g.name] = t
	}
	t.group = g
	return t
}

// settle puts a group where it belongs after a change of what it has to give.
func (f *fairness) settle(t *tenant) {
	if t.pos >= 0 {
		f.heap(t).remove(t.pos)
	}
	m := t.group.head()
	if m == nil {
		t.isNoisy = false
		return
	}
	if t.isNoisy {
		f.noisy.push(int64(t.inFlight), m.Seq, t)
	} else {
		f.quiet.push(t.group.back.slots[0].key, m.Seq, t)
	}
}

func (f *fairness) heap(t *tenant) *minHeap[*tenant] {
	if t.isNoisy {
		return &f.noisy
	}
	return &f.quiet
}

// next returns the group that is served next, or nil.
func (f *fairness) next(now int64) *group {
	f.decay(now)
	f.hush(now)
	for f.quiet.len() > 0 {
		t := f.quiet.slots[0].item
		if !f.tooMuch(t) {
			return t.group
		}
		f.mark(t, true)
	}
	if f.noisy.len() > 0 {
		return f.noisy.slots[0].item.group
	}
	return nil
}

// tooMuch reports whether a group uses more than its share.
func (f *fairness) tooMuch(t *tenant) bool {
	return t.group.name != "" &&
		(t.inFlight >= noisyFrom && t.inFlight*noisyShare > f.queue.inflight || t.spent > f.spent/noisyShare)
}

func (f *fairness) mark(t *tenant, noisy bool) {
	f.heap(t).remove(t.pos)
	t.isNoisy = noisy
	f.settle(t)
}

// hush ends, once a second, the noise of the groups that were sent nothing for long.
func (f *fairness) hush(now int64) {
	if now-f.looked < second {
		return
	}
	f.looked = now
	for i := len(f.noisy.slots) - 1; i >= 0; i-- {
		if i < len(f.noisy.slots) && now-f.noisy.slots[i].item.sent >= quietAfter {
			f.mark(f.noisy.slots[i].item, false)
		}
	}
}

// began counts a message that is now in flight.
func (f *fairness) began(g *group) { f.move(f.of(g), 1) }

// ended counts a message that is in flight no longer.
func (f *fairness) ended(m *Message, now int64) {
	f.decay(now)
	t, took := f.of(m.group), max(now-m.received, 0)
	t.spent += took
	f.spent += took
	f.move(t, -1)
}

func (f *fairness) move(t *tenant, n int) {
	t.inFlight += n
	if t.isNoisy && t.pos >= 0 {
		f.settle(t)
	}
}

// decay halves the processing times as often as is due. A tenant without a
// message and without a time is forgotten.
func (f *fairness) decay(now int64) {
	times := now/recentHalf - f.halvings
	if times <= 0 {
		return
	}
	f.halvings += times
	f.spent = 0
	for name, t := range f.tenants {
		t.spent >>= min(times, 63)
		f.spent += t.spent
		if t.spent == 0 && t.group.members == 0 {
			delete(f.tenants, name)
		}
	}
}

// scan is the part of a FIFO queue that AWS looks through for groups that have
// something to give: its first messages, in whatever state. What was sent later is
// not received before some of those are gone (SQS developer guide, "Avoid large
// message backlogs with the same message group ID").
type scan struct {
	queue  *Queue
	most   int // messages that are looked through
	within int
	last   uint64 // Seq of the last that is
	beyond deque[scanned]
}

// scanned is a message as it was when it came: a move gives it another Seq.
type scanned struct {
	*Message
	seq uint64
}

// scanLimit is how many messages AWS looks through.
const scanLimit = 120_000

func (s *scan) enter(m *Message) {
	if s.within < s.most && s.beyond.len() == 0 {
		s.within, s.last = s.within+1, m.Seq
		return
	}
	s.beyond.push(scanned{m, m.Seq})
}

// left notes that the message of a Seq is gone, and lets others take its place.
func (s *scan) left(seq uint64) {
	if seq > s.last {
		return // still in beyond, and skipped there
	}
	s.within--
	for s.within < s.most && s.beyond.len() > 0 {
		m := s.beyond.pop()
		if m.Seq != m.seq || m.state == gone || m.group.queue != s.queue {
			continue
		}
		s.within, s.last = s.within+1, m.seq
		m.group.turn()
	}
}
