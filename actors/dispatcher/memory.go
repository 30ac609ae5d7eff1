package dispatcher

import (
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// What this process knows of messages that may come back to it although it has
// decided what becomes of them: the queue refused what was to be done, the lease
// was lost, or the dispatcher was restarted. The message itself says nothing of
// that. Pure, no actor.

// fate is what was decided of a delivery.
type fate uint8

const (
	undecided fate = iota
	ended          // to be deleted
	copied         // to go on in a copy, or here
	givenUp        // to be deleted after its dead letter or on_fail task is sent
)

// memory is one message as its last delivery here left it.
type memory struct {
	fate     fate
	reason   string // givenUp
	receives int
	failures int
	silent   int
	attempts int
	unknown  int
	error    string
	next     []poller.Outgoing // ended: to be sent before it is deleted
	due      bool              // it was not early any more
	rest     time.Time         // copied: end of the wait; zero: its own times say
}

// mostRemembered bounds the memories: a message that does not come back to this
// process is never asked for.
const mostRemembered = 10_000

type memories map[string]memory

func (ms memories) keep(messageID string, m memory) {
	if len(ms) >= mostRemembered {
		clear(ms)
	}
	m.error = strings.Clone(m.error) // a part of the whole message, as the id is
	ms[strings.Clone(messageID)] = m
}

// take returns what is known of a message, once.
func (ms memories) take(messageID string) (m memory, known bool) {
	if m, known = ms[messageID]; known {
		delete(ms, messageID)
	}
	return m, known
}

// restore gives a ledger what the last delivery here left. Of the receives since
// then, those that were not of this process may be silent ends; presumed is their
// number by the queue's word.
func (m memory) restore(l ledger, receives int) ledger {
	l.failures = max(l.failures, m.failures)
	l.silent = m.silent + min(max(receives-m.receives-1, 0), l.silent)
	return l
}

// memory is what is to be known of e should it come back. If it is to run then, its
// silent ends are presumed to be failures again.
func (e *execution) memory(f fate) memory {
	failures := e.ledger.failures
	if f != givenUp {
		failures -= e.ledger.presumed
	}
	return memory{
		fate: f, reason: e.reason, receives: int(e.receives), failures: failures, silent: e.ledger.silent,
		attempts: e.before + e.runs, unknown: e.msg.Unknown, error: e.msg.LastError, due: e.msg.Due, rest: e.rest,
		next: e.next,
	}
}

// recall gives e what this process knows of its message, and reports what was
// decided of it.
func (d *dispatcher) recall(e *execution, now time.Time) fate {
	if j := d.journals.take(e.messageID); j != nil {
		e.journal = j
	}
	m, known := d.memories.take(e.messageID)
	if !known {
		return undecided
	}
	e.ledger = m.restore(e.ledger, int(e.receives))
	e.before, e.reason, e.next = max(e.before, m.attempts), m.reason, m.next
	e.msg.Unknown, e.msg.LastError = m.unknown, m.error
	switch {
	case d.ordered || m.fate != copied:
	case m.rest.After(now):
		e.msg.Due, e.msg.NotBefore = false, e.theirs(m.rest)
	case m.due, !m.rest.IsZero() && !e.ours(e.due(d.WhenWindow)).After(now):
		e.msg.Due, e.msg.NotBefore = true, time.Time{}
	}
	return m.fate
}

// remember keeps what is known of a message that a restart of the dispatcher or a
// lost lease breaks off. A run that a restart broke off is a silent end, or a task
// that stops its dispatcher would do that for ever.
func (d *dispatcher) remember(e *execution) {
	d.journals.keep(e.messageID, e.journal)
	switch {
	case e.cur != nil:
		m := e.memory(copied)
		m.silent++
		d.memories.keep(e.messageID, m)
	case e.phase == waiting:
		e.rest = e.until
		d.memories.keep(e.messageID, e.memory(copied))
	default:
		d.memories.keep(e.messageID, e.memory(max(e.fate, copied)))
	}
}
