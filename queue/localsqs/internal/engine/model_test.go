package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The model is the service said plainly: a list of messages, each with a time
// from which it is visible. What the engine answers is checked against it, and
// after each step the engine's whole state is.

type modelMessage struct {
	id        [16]byte
	queue     *Queue
	group     string
	order     int // of arrival in its queue
	sent, due int64
	receives  int
	handles   []string
}

type model struct {
	t        *rapid.T
	e        *Engine
	now      int64
	queues   []*Queue // the first dead-letters to the second
	messages map[[16]byte]*modelMessage
	n        int
	stored   map[int64]map[uint64]Meta // what the changes make up
}

const modelMaxReceives = 3

func newModel(t *rapid.T, fifo bool) *model {
	m := &model{t: t, now: 1e18, messages: map[[16]byte]*modelMessage{}, stored: map[int64]map[uint64]Meta{}}
	m.e = New(Config{Account: "000000000000", Durable: true, NewID: m.newID})
	attrs, suffix := map[string]string{"MessageRetentionPeriod": "600"}, ""
	if fifo {
		attrs["FifoQueue"], suffix = "true", ".fifo"
	}
	dead := m.create("dead"+suffix, attrs)
	attrs = maps.Clone(attrs)
	attrs["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, m.e.ARN(dead), modelMaxReceives)
	m.queues = []*Queue{m.create("source"+suffix, attrs), dead}
	return m
}

func (m *model) newID() (id [16]byte) {
	m.n++
	copy(id[:], fmt.Sprintf("%016d", m.n))
	return id
}

func (m *model) create(name string, attrs map[string]string) *Queue {
	q, err := m.e.CreateQueue(m.now, Key{"r", name}, attrs, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return q
}

func (m *model) of(q *Queue) (list []*modelMessage) {
	for _, x := range m.messages {
		if x.queue == q {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *modelMessage) int { return cmp.Compare(a.order, b.order) })
	return list
}

func (m *model) send(t *rapid.T) {
	q := rapid.SampledFrom(m.queues).Draw(t, "queue")
	in := &SendInput{ID: m.newID(), Content: &Content{Body: "x"}, Delay: QueueDelay}
	if rapid.Bool().Draw(t, "grouped") || q.FIFO() {
		in.Group = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group")
	}
	if q.FIFO() {
		in.Content.DedupID = fmt.Sprint(m.n)
	} else if rapid.Bool().Draw(t, "delayed") {
		in.Delay = rapid.Int64Range(0, 30).Draw(t, "delay")
	}
	if err := q.CheckSend(in); err != nil {
		t.Fatal(err)
	}
	m.e.Send(m.now, q, in)
	m.e.Flush(m.now)
	x := &modelMessage{id: in.ID, queue: q, group: in.Group, order: m.n, sent: m.now, due: m.now}
	if in.Delay > 0 {
		x.due += in.Delay * second
	}
	m.messages[x.id] = x
}

func (m *model) receive(t *rapid.T) {
	q := rapid.SampledFrom(m.queues).Draw(t, "queue")
	w := &Waiter{Queue: q, Max: rapid.IntRange(1, 10).Draw(t, "max"), Visibility: rapid.Int64Range(0, 40).Draw(t, "visibility")}
	before := m.of(q)
	if !m.e.Receive(m.now, w) {
		t.Fatal("a receive that does not wait was parked")
	}
	m.e.Flush(m.now)
	got := map[[16]byte]bool{}
	hidden := map[string]int{} // by group: the order of the first in flight
	for _, x := range before {
		if q.FIFO() && x.due > m.now && hidden[x.group] == 0 {
			hidden[x.group] = x.order
		}
	}
	locked := func(x *modelMessage) bool { return hidden[x.group] != 0 && x.order > hidden[x.group] }
	last := map[string]int{}
	for i := range w.Messages {
		r := &w.Messages[i]
		x := m.messages[r.ID]
		switch {
		case x == nil || x.queue != q:
			t.Fatalf("received message %s, which is not there", r.ID)
		case got[r.ID]:
			t.Fatalf("received message %s twice in one answer", r.ID)
		case x.due > m.now:
			t.Fatalf("received message %s, which is invisible for %v", r.ID, x.due-m.now)
		case locked(x):
			t.Fatalf("received message %s, which is hidden by one in flight before it", r.ID)
		case q == m.queues[0] && x.receives >= modelMaxReceives:
			t.Fatalf("received message %s, which should be dead-lettered", r.ID)
		case x.order < last[x.group]:
			t.Fatalf("received message %s out of order", r.ID)
		}
		got[r.ID], last[x.group] = true, x.order
		x.receives++
		if int(r.Receives) != x.receives {
			t.Fatalf("message %s has been received %d times, want %d", r.ID, r.Receives, x.receives)
		}
		x.due = m.now + w.Visibility*second
		x.handles = append(x.handles, string(m.e.AppendReceipt(nil, r)))
	}
	m.deadLetter(q)
	for _, x := range before {
		if x.queue != q || x.due > m.now || got[x.id] || locked(x) {
			continue
		}
		if len(w.Messages) < w.Max {
			t.Fatalf("message %s was visible and the answer not full", x.id)
		}
		if q.FIFO() && x.order < last[x.group] {
			t.Fatalf("message %s was passed over in its group", x.id)
		}
	}
	if w.Visibility == 0 {
		m.e.Advance(m.now)
	}
}

// deadLetter follows the messages that a receive has moved.
func (m *model) deadLetter(q *Queue) {
	dead := m.queues[1]
	if q == dead {
		return
	}
	var moved []*modelMessage
	for _, msg := range messagesOf(dead) {
		x := m.messages[msg.ID]
		if x.queue == dead {
			continue
		}
		if x.receives < modelMaxReceives || x.due > m.now {
			m.t.Fatalf("message %s was dead-lettered after %d receives, due %d", x.id, x.receives, x.due-m.now)
		}
		moved = append(moved, x)
	}
	// they arrive behind all that is there, in the order they had
	slices.SortFunc(moved, func(a, b *modelMessage) int { return cmp.Compare(a.order, b.order) })
	for _, x := range moved {
		m.n++
		x.queue, x.receives, x.due, x.handles, x.order = dead, 0, m.now, nil, m.n
		if dead.FIFO() {
			x.sent = m.now // its retention starts again
		}
	}
}

func messagesOf(q *Queue) (list []*Message) {
	for i := range q.ages.slots {
		list = append(list, q.ages.slots[i].item)
	}
	slices.SortFunc(list, func(a, b *Message) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

// handle draws a message and one of its receipt handles.
func (m *model) handle(t *rapid.T) (x *modelMessage, handle string, latest bool) {
	var list []*modelMessage
	for _, q := range m.queues {
		for _, x := range m.of(q) {
			if len(x.handles) > 0 {
				list = append(list, x)
			}
		}
	}
	if len(list) == 0 {
		return nil, "", false // an action that skips itself fails a fuzz target if its input draws nothing else
	}
	x = rapid.SampledFrom(list).Draw(t, "message")
	i := rapid.IntRange(0, len(x.handles)-1).Draw(t, "handle")
	return x, x.handles[i], i == len(x.handles)-1
}

func (m *model) delete(t *rapid.T) {
	x, handle, latest := m.handle(t)
	if x == nil {
		return
	}
	err := m.e.Delete(x.queue, handle)
	m.e.Flush(m.now)
	if refused := x.queue.FIFO() && (!latest || x.due <= m.now); refused != (err != nil) {
		t.Fatalf("delete: %v, latest handle %v, invisible for %d", err, latest, x.due-m.now)
	}
	if err == nil {
		delete(m.messages, x.id)
	}
}

func (m *model) change(t *rapid.T) {
	x, handle, latest := m.handle(t)
	if x == nil {
		return
	}
	seconds := rapid.Int64Range(0, 60).Draw(t, "seconds")
	err := m.e.ChangeVisibility(m.now, x.queue, handle, seconds)
	m.e.Flush(m.now)
	late := !latest || x.due <= m.now
	if refused := late && x.queue.FIFO(); refused != (err != nil) {
		t.Fatalf("change: %v, latest handle %v, invisible for %d", err, latest, x.due-m.now)
	}
	if err == nil && x.due > m.now { // one that is visible again stays so
		x.due = m.now + seconds*second
	}
}

func (m *model) advance(t *rapid.T) {
	m.now += rapid.Int64Range(0, 90).Draw(t, "seconds") * second
	m.e.Advance(m.now)
	for id, x := range m.messages {
		if x.sent+600*second <= m.now {
			delete(m.messages, id)
		}
	}
}

func (m *model) purge(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		return // purging is rare
	}
	q := rapid.SampledFrom(m.queues).Draw(t, "queue")
	if err := m.e.Purge(m.now, q); err != nil {
		t.Fatal(err)
	}
	for _, x := range m.of(q) {
		delete(m.messages, x.id)
	}
}

// check compares the whole state, and that of an engine restored from the
// changes.
func (m *model) check(t *rapid.T) {
	m.store(m.e.TakeChanges())
	m.compare(t, m.queues)
	restored := New(Config{Account: "000000000000", Durable: true})
	restored.RestoreCounters(m.e.lastSeq, m.e.lastQueue)
	var queues []*Queue
	for _, q := range m.queues {
		r, err := restored.RestoreQueue(&QueueRecord{Key: q.Key, ID: q.ID, Attributes: q.attrs.raw})
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range slices.Sorted(maps.Keys(m.stored[q.ID])) {
			meta := m.stored[q.ID][seq]
			restored.RestoreMessage(m.now, r, seq, &meta)
		}
		queues = append(queues, r)
	}
	m.compare(t, queues)
}

func (m *model) store(changes []Change) {
	for _, c := range changes {
		if m.stored[c.Queue] == nil {
			m.stored[c.Queue] = map[uint64]Meta{}
		}
		switch c.Kind {
		case MessagePut, MessageMeta:
			m.stored[c.Queue][c.Seq] = c.Meta
		case MessageGone:
			delete(m.stored[c.Queue], c.Seq)
		case QueuePurged:
			clear(m.stored[c.Queue])
		case MessageMove:
			delete(m.stored[c.From], c.FromSeq)
			m.stored[c.Queue][c.Seq] = c.Meta
		}
	}
}

func (m *model) compare(t *rapid.T, queues []*Queue) {
	for i, q := range queues {
		want := m.of(m.queues[i])
		have := messagesOf(q)
		if len(have) != len(want) {
			t.Fatalf("%s holds %d messages, want %d", q.Name, len(have), len(want))
		}
		visible, hidden := 0, 0
		for _, msg := range have {
			x := m.messages[msg.ID]
			available := msg.state == ready || msg.state == returned
			if x == nil || x.queue != m.queues[i] || available != (x.due <= m.now) || int(msg.receives) != x.receives || msg.group.name != x.group {
				t.Fatalf("%s: message %s is %+v, want %+v", q.Name, msg.ID, msg, x)
			}
			if available {
				visible++
			} else {
				hidden++
			}
		}
		slices.SortStableFunc(have, func(a, b *Message) int { return cmp.Compare(a.group.name, b.group.name) })
		slices.SortStableFunc(want, func(a, b *modelMessage) int { return cmp.Compare(a.group, b.group) })
		for j, msg := range have {
			if msg.ID != want[j].id || msg.Sent != want[j].sent {
				t.Fatalf("%s: in group %q stands message %s sent at %d, want %s sent at %d", q.Name, msg.group.name, msg.ID, msg.Sent, want[j].id, want[j].sent)
			}
		}
		if q.visible != visible || q.inflight+q.delayed != hidden {
			t.Fatalf("%s counts %d visible, %d in flight and %d delayed; want %d and %d hidden", q.Name, q.visible, q.inflight, q.delayed, visible, hidden)
		}
	}
}

// A dead letter stands in its group where it arrived: behind what was in the
// dead-letter queue already, before what is sent there later. In a FIFO queue
// its time of sending is that of its arrival, so that its retention starts again.
func TestDeadLetterStandsInItsGroupWhereItArrived(t *testing.T) {
	e := New(Config{Account: "000000000000"})
	create := func(name string, attrs map[string]string) *Queue {
		attrs["FifoQueue"] = "true"
		q, err := e.CreateQueue(0, Key{"r", name}, attrs, nil)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	dead := create("dead.fifo", map[string]string{})
	source := create("source.fifo", map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, e.ARN(dead))})
	now := int64(1e18)
	send := func(q *Queue, id byte) {
		now += second
		e.Send(now, q, &SendInput{ID: [16]byte{id}, Group: "a", Content: &Content{Body: "x", DedupID: fmt.Sprint(id)}, Delay: QueueDelay})
		e.Flush(now)
	}
	receive := func(q *Queue, limit int) []Received {
		w := &Waiter{Queue: q, Max: limit}
		e.Receive(now, w)
		e.Advance(now) // visibility 0
		return w.Messages
	}
	send(source, 1)
	send(source, 2)
	send(dead, 3)
	for range 3 {
		if n := len(receive(source, 2)); n != 2 {
			t.Fatalf("received %d messages, want 2", n)
		}
	}
	now += second
	sent := now
	if n := len(receive(source, 2)); n != 0 {
		t.Fatalf("received %d messages once more than the policy allows", n)
	}
	send(dead, 4)
	send(dead, 5)
	for _, limit := range []int{2, 10} {
		var ids []byte
		for _, r := range receive(dead, limit) {
			ids = append(ids, r.ID[0])
			if r.ID[0] == 1 && (r.Sent != sent || r.Origin == nil || *r.Origin != source.Key) {
				t.Errorf("the dead letter was sent at %d to %v, want %d and %v", r.Sent, r.Origin, sent, source.Key)
			}
		}
		if want := []byte{3, 1, 2, 4, 5}[:min(limit, 5)]; !slices.Equal(ids, want) {
			t.Errorf("a receive of %d gives %v, want %v", limit, ids, want)
		}
	}
}

func checkModel(fifo bool) func(*rapid.T) {
	return func(t *rapid.T) {
		m := newModel(t, fifo)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"send":    m.send,
			"send2":   m.send,
			"receive": m.receive,
			"delete":  m.delete,
			"change":  m.change,
			"advance": m.advance,
			"purge":   m.purge,
		})
	}
}

func TestStandardQueueAgainstTheModel(t *testing.T) { rapid.Check(t, checkModel(false)) }

func TestFIFOQueueAgainstTheModel(t *testing.T) { rapid.Check(t, checkModel(true)) }

func FuzzStandardQueue(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkModel(false))) }

func FuzzFIFOQueue(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkModel(true))) }
