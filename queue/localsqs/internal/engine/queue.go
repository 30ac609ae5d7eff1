package engine

import (
	"maps"
	"sort"
	"strconv"
	"strings"
)

// Key names a queue within the account.
type Key struct{ Region, Name string }

// Queue is one queue. Its fields belong to the engine.
type Queue struct {
	Key
	engine            *Engine
	ID                int64 // unique in a server and its store, never used again
	created, modified int64
	purged            int64
	attrs             attributes
	tags              map[string]string
	dedupByGroup      bool // as the queue was made: a later change of the attribute has no effect

	groups                     map[string]*group
	plain                      *group              // groups[""], the messages without a group
	turn                       *group              // ring of the groups that have something to give
	fair                       *fairness           // of a standard queue with AsAWS, else nil
	scan                       *scan               // of a FIFO queue with AsAWS, else nil
	ages                       minHeap[*Message]   // all messages, by Sent
	handled                    map[uint64]*Message // those that were received at least once, by Seq
	visible, inflight, delayed int
	dirty                      bool // has become able to serve a waiter
	waiters                    waiterList
	dedup                      dedupWindow
	retention                  timer
	coming                     *attributes // that take effect later; nil: those that there are
	change                     timer       // when they do
	sampled                    *counts     // that are shown
	tasks                      []*MoveTask // the oldest first
}

const second = int64(1e9)

// ValidName checks a queue name or batch id: 1 to 80 of A-Z, a-z, 0-9, - and _.
func ValidName(name string) bool {
	if len(name) < 1 || len(name) > 80 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// CreateQueue makes a queue, or finds the one of this name if its attributes
// are the given ones.
func (e *Engine) CreateQueue(now int64, key Key, attrs, tags map[string]string) (*Queue, *Error) {
	base, fifo := strings.CutSuffix(key.Name, ".fifo")
	raw := (&attributes{}).merge(attrs)
	if raw["FifoQueue"] == "true" && (!fifo || !ValidName(base) || len(key.Name) > 80) {
		return nil, InvalidParameterValue("The name of a FIFO queue can only include alphanumeric characters, " +
			"hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	if raw["FifoQueue"] != "true" && !ValidName(key.Name) {
		return nil, InvalidParameterValue("Can only include alphanumeric characters, hyphens, or underscores. 1 " +
			"to 80 in length")
	}
	a, err := parseAttributes(raw, fifo)
	if err != nil {
		return nil, err
	}
	if old := e.queues[key]; old != nil {
		return old, old.sameAttributes(attrs)
	}
	if at, ok := e.recent[key]; ok {
		if e.cfg.Strict && now-at < 60*second {
			return nil, queueDeletedRecently()
		}
		delete(e.recent, key)
	}
	if err := e.checkRedrive(key, &a, a.redrive); err != nil {
		return nil, err
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	e.lastQueue++
	q := e.addQueue(&Queue{Key: key, ID: e.lastQueue, created: now, modified: now, attrs: a,
		dedupByGroup: a.dedupByGroup, tags: maps.Clone(tags)})
	e.recordQueue(q)
	return q, nil
}

func (e *Engine) addQueue(q *Queue) *Queue {
	q.engine = e
	q.order()
	q.groups = map[string]*group{}
	q.handled = map[uint64]*Message{}
	q.plain = newGroup(q, "")
	q.groups[""] = q.plain
	q.ages.place = func(m *Message, i int32) { m.agePos = i }
	q.change = newTimer(func(e *Engine, now int64) {
		a := *q.coming
		q.coming = nil
		e.takeEffect(now, q, a)
	})
	q.retention = newTimer(func(e *Engine, now int64) { e.expire(now, q) })
	q.dedup.init(q)
	if q.tags == nil {
		q.tags = map[string]string{}
	}
	e.queues[q.Key] = q
	e.byID[q.ID] = q
	return q
}

// sameAttributes compares what a second CreateQueue gives with what the queue
// has.
func (q *Queue) sameAttributes(attrs map[string]string) *Error {
	have := q.shown().withDefaults()
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !sameValue(name, have[name], normal(name, attrs[name])) {
			return queueExists(name)
		}
	}
	return nil
}

// Queue finds a queue, or nil.
func (e *Engine) Queue(key Key) *Queue { return e.queues[key] }

// DeleteQueue removes a queue and all in it. Long polls on it are answered
// with NoSuchQueue.
func (e *Engine) DeleteQueue(now int64, q *Queue) {
	for w := q.waiters.first; w != nil; w = q.waiters.first {
		e.unpark(w)
		w.Err = NoSuchQueue()
		e.woken = append(e.woken, w)
	}
	e.clear(q)
	e.timers.drop(&q.retention)
	e.timers.drop(&q.change)
	e.timers.drop(&q.dedup.timer)
	e.endMoves(q)
	delete(e.queues, q.Key)
	delete(e.byID, q.ID)
	if e.cfg.Strict {
		e.recent[q.Key] = now
	}
	e.record(Change{Kind: QueueGone, Queue: q.ID})
}

// Purge removes all messages of a queue, and forgets their deduplication ids.
func (e *Engine) Purge(now int64, q *Queue) *Error {
	if e.cfg.Strict && q.purged != 0 && now-q.purged < 60*second {
		return purgeInProgress(q.Name)
	}
	q.purged = now
	e.clear(q)
	e.timers.drop(&q.dedup.timer)
	q.dedup.init(q)
	e.record(Change{Kind: QueuePurged, Queue: q.ID})
	return nil
}

// order makes the order in which an empty queue serves its groups, if that is AWS's.
func (q *Queue) order() {
	switch {
	case q.engine.unkind == nil:
	case q.attrs.fifo:
		q.scan = &scan{queue: q, most: q.engine.cfg.Scan}
	default:
		q.fair = newFairness(q)
	}
}

func (e *Engine) clear(q *Queue) {
	for i := range q.ages.slots {
		m := q.ages.slots[i].item
		if m.state == delayed || m.state == inFlight {
			e.timers.heap.remove(m.pos)
		}
		m.state = gone
	}
	q.ages.slots = nil
	q.order()
	q.groups = map[string]*group{}
	q.handled = map[uint64]*Message{}
	q.plain = newGroup(q, "")
	q.groups[""] = q.plain
	q.turn = nil
	q.visible, q.inflight, q.delayed = 0, 0, 0
	e.timers.drop(&q.retention)
}

// ListQueues gives the names of a region's queues that begin with prefix and
// come after the name after, in order, at most limit (0: all), and whether
// there are more.
func (e *Engine) ListQueues(region, prefix, after string, limit int) (names []string, more bool) {
	for key := range e.queues {
		if key.Region == region && strings.HasPrefix(key.Name, prefix) && key.Name > after {
			names = append(names, key.Name)
		}
	}
	return page(names, limit)
}

func page(names []string, limit int) ([]string, bool) {
	sort.Strings(names)
	if limit > 0 && len(names) > limit {
		return names[:limit], true
	}
	return names, false
}

// ARN is the queue's Amazon resource name.
func (e *Engine) ARN(q *Queue) string { return e.arn(q.Key) }

func (e *Engine) arn(k Key) string {
	return "arn:aws:sqs:" + k.Region + ":" + e.cfg.Account + ":" + k.Name
}

// Attributes gives the attributes that names asks for; All asks for every one.
func (e *Engine) Attributes(q *Queue, names []string) (map[string]string, *Error) {
	if len(names) == 0 {
		return nil, nil
	}
	all, counts := q.shown().withDefaults(), q.counts()
	all["QueueArn"] = e.ARN(q)
	all["CreatedTimestamp"] = strconv.FormatInt(q.created/second, 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.modified/second, 10)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(counts.visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(counts.inflight)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(counts.delayed)
	picked := make(map[string]string, len(names))
	for _, name := range names {
		if name == "All" {
			return all, nil
		}
		if value, ok := all[name]; ok {
			picked[name] = value
		} else if _, isInt := intAttributes[name]; !isInt && oneOf[name] == nil && !removable(name) {
			return nil, unknownAttribute(name)
		}
	}
	return picked, nil
}

// SetAttributes changes a queue's attributes, all of them or none.
func (e *Engine) SetAttributes(now int64, q *Queue, changes map[string]string) *Error {
	if len(changes) == 0 {
		return MissingParameter("Attribute.Name")
	}
	for name, value := range changes {
		switch {
		case readOnly[name]:
			return unknownAttribute(name)
		case name == "FifoQueue" && q.attrs.fifo && normal(name, value) != "true":
			return unsuitable("Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not " +
				"supported.")
		}
	}
	a, err := parseAttributes(q.shown().merge(changes), q.attrs.fifo)
	if err != nil {
		return err
	}
	if _, set := changes["RedrivePolicy"]; set {
		if err := e.checkRedrive(q.Key, &a, a.redrive); err != nil {
			return err
		}
	}
	q.modified = now
	if e.unkind != nil {
		q.coming = &a
		e.timers.set(&q.change, now+changeDelay)
	} else {
		e.takeEffect(now, q, a)
	}
	e.recordQueue(q)
	e.serveAll(now)
	return nil
}

func checkTags(tags map[string]string) *Error {
	if len(tags) > 50 {
		return InvalidParameterValue("Too many tags added for queue. A queue can have at most 50 tags.")
	}
	for k, v := range tags {
		if n := len([]rune(k)); n < 1 || n > 128 {
			return InvalidParameterValue("Tag keys must be between 1 and 128 characters in length.")
		}
		if strings.HasPrefix(k, "aws:") {
			return InvalidParameterValue("Tag keys must not begin with aws:.")
		}
		if len([]rune(v)) > 256 {
			return InvalidParameterValue("Tag values must be between 0 and 256 characters in length.")
		}
	}
	return nil
}

// Tag adds tags or overwrites them.
func (e *Engine) Tag(q *Queue, tags map[string]string) *Error {
	if len(tags) == 0 {
		return MissingParameter("Tags")
	}
	all := maps.Clone(q.tags)
	maps.Copy(all, tags)
	if err := checkTags(all); err != nil {
		return err
	}
	q.tags = all
	e.recordQueue(q)
	return nil
}

// Untag removes tags; those that are not there are no error.
func (e *Engine) Untag(q *Queue, keys []string) *Error {
	if len(keys) == 0 {
		return MissingParameter("TagKeys")
	}
	all := maps.Clone(q.tags)
	for _, k := range keys {
		delete(all, k)
	}
	q.tags = all
	e.recordQueue(q)
	return nil
}

// Tags are the queue's tags; the map must not be changed.
func (q *Queue) Tags() map[string]string { return q.tags }
