package chassistest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/task"
)

// book is what the world knows of all tasks and messages: what the queue did, and what
// the processes know of it.
type book struct {
	w        *World
	fates    map[string]*fate // by exec_id
	order    []*fate
	counters map[string]int // labels given, by the task's name
	messages map[string]*message
	receipts map[string]*delivery
	pools    map[string]bool
	deads    map[string]bool
	groups   map[string]*fate // the latest of each group of a FIFO pool
	expected int              // sends that are still to come
	open     int              // messages in the pools
	ticks    ticksLeft
}

// fate is what has become of one task: all messages with one exec_id.
type fate struct {
	label, name, execID, job, text string
	due                            time.Time // less its window; zero: at once

	ordered bool          // on a FIFO pool
	tick    bool          // on the queue of ticks
	came    time.Duration // its first message
	skipped bool          // a tick that was deleted and did not run

	messages   int // that it ever was
	deliveries int
	runs       []*run
	done       bool // a run has succeeded
	successes  int
	failures   int // runs that ended with a failure, and nothing had ended their ctx
	doubtful   int // others that may count as a failure: cut short, or not ended
	unbegun    int // others that lost their ctx before the handler began
	letters    int
	onFails    int
	redrives   int
	touches    int
	touched    map[Kind]int
}

// ends is how often the task has ended.
func (f *fate) ends() int { return f.successes + f.letters + f.onFails }

// ended reports whether the task has ended. The success of a run that was abandoned is no
// end of its own, but its process may delete the message for it.
func (f *fate) ended() bool { return f.done || f.skipped || f.ends() > 0 }

// message is one message on a queue.
type message struct {
	id, pool string
	at       time.Duration // of its coming
	fate     *fate
	hidden   time.Duration // until then, as far as the queue has said
	latest   *delivery
	gone     bool
	arrived  bool  // its send was seen
	doubled  bool  // the queue, or the network, has made it visible early
	failures int   // that it carries
	before   *fate // of the message before it in its group; nil: it is the first
}

// delivery is one message in the hands of one process.
type delivery struct {
	message *message
	p       *Process
	at      time.Duration
	until   time.Duration   // its lease, as far as the queue has said
	acked   bool            // the process knows that it is deleted
	failed  int             // failures of its runs
	steps   map[string]bool // that are done, as far as the next run knows
	journal int             // what they take, in bytes
	unsure  bool            // a run was cut short: what it has kept is not known
}

func newBook(w *World) *book {
	return &book{w: w, fates: map[string]*fate{}, counters: map[string]int{}, messages: map[string]*message{},
		receipts: map[string]*delivery{}, pools: map[string]bool{}, deads: map[string]bool{}, groups: map[string]*fate{}}
}

func (b *book) pool(pool, dead string) { b.pools[pool], b.deads[dead] = true, true }

// name gives the next label to a task of a name.
func (b *book) name(task string) string {
	n := b.counters[task]
	b.counters[task]++
	return task + "#" + strconv.Itoa(n)
}

func (b *book) expect(*Sent) { b.expected++ }

func (b *book) add(label, name, execID, job, text string) *fate {
	f := &fate{label: label, name: name, execID: execID, job: job, text: text, touched: map[Kind]int{}}
	b.fates[execID] = f
	b.order = append(b.order, f)
	return f
}

// sent notes a send of the play.
func (b *book) sent(s *Sent, pool, messageID string, out *task.Outgoing) {
	b.expected--
	f := b.add(s.Label, out.Name, out.ExecID, "", out.Body)
	if v, ok := out.Attributes[task.AttrJobID]; ok {
		f.job = *v.StringValue
	}
	f.due = out.When.Add(-s.window)
	b.put(messageID, pool, out.GroupID, f, 0)
}

// put notes a message that is on a queue now.
func (b *book) put(id, pool, group string, f *fate, failures int) *message {
	if m := b.messages[id]; m != nil {
		return m // a FIFO queue has taken it for a duplicate
	}
	m := &message{id: id, pool: pool, fate: f, failures: failures}
	b.messages[id] = m
	if b.pools[pool] {
		b.open++
		if m.at = b.w.Now(); f.messages == 0 {
			f.came = m.at
		}
		f.messages++
		if f.ordered = strings.HasSuffix(pool, ".fifo"); f.ordered {
			if strings.HasSuffix(pool, ticksSuffix) {
				f.tick = true
				b.ticks.open++
			}
			m.before, b.groups[pool+" "+group] = b.groups[pool+" "+group], f
		}
	}
	return m
}

// preview makes a text by which arrivals can be sorted before they have labels.
func (b *book) preview(a *arrival) {
	if a.run != nil {
		a.text = b.text(a.run.info.ExecID, a.run.info.Task, a.run.info.JobID, "")
		return
	}
	if a.req == nil {
		return
	}
	parts := make([]string, 0, len(a.req.entries))
	for _, e := range a.req.entries {
		e.sort = b.entryText(e)
		parts = append(parts, e.sort)
	}
	slices.SortStableFunc(a.req.entries, func(x, y *entry) int { return cmp.Compare(x.sort, y.sort) })
	slices.Sort(parts)
	a.text = strings.Join(parts, "\n")
}

func (b *book) entryText(e *entry) string {
	if e.attrs == nil {
		if d := b.receipts[e.receipt]; d != nil {
			return d.message.fate.label
		}
		return ""
	}
	return b.text(e.attrs[task.AttrExecID], e.attrs[task.AttrName], e.attrs[task.AttrJobID], e.text)
}

func (b *book) text(execID, name, job, text string) string {
	if f := b.fates[execID]; f != nil {
		return f.label
	}
	return name + "|" + job + "|" + text
}

// label finds the tasks that an arrival is about, and takes note of what the queue has
// done.
func (b *book) label(a *arrival) {
	switch {
	case a.run != nil:
		if a.step == OnStart {
			b.comes(a.run)
		}
		a.labels = []string{a.run.fate.label}
	case a.req != nil && a.answer:
		a.labels = b.observe(a.p, a.req)
	case a.req != nil:
		a.labels = b.resolve(a.req)
	}
}

// resolve finds the tasks of the entries of a request.
func (b *book) resolve(q *request) []string {
	labels := make([]string, 0, len(q.entries))
	for _, e := range q.entries {
		switch {
		case e.fate != nil:
		case e.attrs != nil:
			e.fate = b.fate(e)
		default:
			if d := b.receipts[e.receipt]; d != nil {
				e.fate = d.message.fate
			}
		}
		if e.fate != nil {
			labels = append(labels, e.fate.label)
		}
	}
	slices.Sort(labels)
	return labels
}

// fate is that of the task of an entry; a new one if it is not known.
func (b *book) fate(e *entry) *fate {
	execID, name := e.attrs[task.AttrExecID], e.attrs[task.AttrName]
	if f := b.fates[execID]; f != nil {
		return f
	}
	return b.add(b.name(name), name, execID, e.attrs[task.AttrJobID], e.text)
}

// observe notes what the queue has done for a request.
func (b *book) observe(p *Process, q *request) []string {
	if q.done {
		return b.resolve(q)
	}
	q.done = true
	labels := b.resolve(q)
	now, step := q.at, stepOf(q.op)
	entries := q.entries
	if step == OnSend && strings.HasSuffix(q.queue, ".fifo") { // the queue has taken them in the order of the request
		entries = slices.SortedFunc(slices.Values(entries), func(x, y *entry) int { return x.place - y.place })
	}
	for _, e := range entries {
		if e.failed || e.fate == nil {
			continue
		}
		switch step {
		case OnReceive:
			if b.pools[q.queue] {
				b.delivered(p, q, e, now)
			}
		case OnSend:
			m := b.put(e.messageID, q.queue, e.group, e.fate, count(e, task.AttrFailures))
			if !m.arrived { // else it is a duplicate
				m.arrived = true
				b.arrived(q, e)
				if !q.ghost {
					b.carries(p, e)
				}
			}
		case OnDelete:
			if d := b.receipts[e.receipt]; d != nil && !d.message.gone {
				b.gone(d.message)
			}
		case OnHide:
			if d := b.receipts[e.receipt]; d != nil && !d.message.gone {
				if d.message.latest != d {
					d.message.doubled = true // its holder knows nothing of this
				}
				d.until, d.message.hidden = now+e.hide, now+e.hide
			}
		}
	}
	return labels
}

// gone notes that a message is deleted.
func (b *book) gone(m *message) {
	m.gone = true
	b.open--
	if m.fate.tick {
		b.ticks.open--
		m.fate.skipped = m.fate.skipped || len(m.fate.runs) == 0
	}
}

func count(e *entry, attribute string) int {
	n, _ := strconv.Atoi(e.attrs[attribute]) // absent: none
	return n
}

// delivered notes that a process was given a message.
func (b *book) delivered(p *Process, q *request, e *entry, now time.Duration) {
	m := b.messages[e.messageID]
	if m == nil {
		m = b.put(e.messageID, q.queue, e.system["MessageGroupId"], e.fate, count(e, task.AttrFailures))
	}
	if m.latest != nil && now < m.hidden {
		m.doubled = true
		b.w.touch(m.fate, DeliverTwice)
	}
	m.fate.deliveries++
	d := &delivery{message: m, p: p, at: now, until: now + q.hide, steps: stepsIn(e.attrs[task.AttrSteps])}
	d.journal = len(e.attrs[task.AttrSteps])
	m.latest, m.hidden = d, now+q.hide
	b.receipts[e.receipt] = d
	p.held[d] = true
	if len(p.refused) > 0 {
		b.w.touch(m.fate, LoseRequest)
	}
	if b.w.weather.skew[p.number] != 0 {
		b.w.touch(m.fate, Skew)
	}
}

// arrived judges a message that a process has put on a queue.
func (b *book) arrived(q *request, e *entry) {
	f := e.fate
	switch {
	case b.deads[q.queue]:
		b.letter(f, e)
	case f.messages == 1 && len(f.runs) == 0 && e.attrs[task.AttrError] != "" && e.attrs[task.AttrFailures] == "":
		b.onFail(f) // what a user sends bears no error
	case b.deadBefore(f) && e.attrs[task.AttrFailures] == "":
		f.redrives++
	}
}

func (b *book) deadBefore(f *fate) bool { return f.letters > 0 }

// onFail finds the task that f stands for as its on_fail task: it has the same job and
// arguments, and one that has not ended comes before others.
func (b *book) onFail(f *fate) {
	var of *fate
	for _, other := range b.order {
		if other != f && other.job == f.job && other.text == f.text && other.name != f.name &&
			(of == nil || of.ends() > 0 && other.ends() == 0) {
			of = other
		}
	}
	if of != nil {
		of.onFails++
		b.endedTwice(of)
	}
}

// acknowledged notes that a process knows of its deletes.
func (b *book) acknowledged(a *arrival) {
	for _, e := range a.req.entries {
		if d := b.receipts[e.receipt]; d != nil && !e.failed {
			d.acked = true
			delete(a.p.held, d)
		}
	}
}

// left says what is on the queues.
func (b *book) left() string {
	var list []string
	for _, f := range b.order {
		n := 0
		for _, m := range b.messages {
			if m.fate == f && !m.gone && b.pools[m.pool] {
				n++
			}
		}
		if n > 0 {
			list = append(list, fmt.Sprintf("%s (%d)", f.label, n))
		}
	}
	return strings.Join(list, ", ")
}
