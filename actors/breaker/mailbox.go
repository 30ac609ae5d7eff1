package breaker

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox runs the actor on the goroutine that posts, one message at a time, as
// the library's synchronized dispatcher does, with these differences. It takes
// messages before the actor is ready (the library's panics, which a name that is
// spawned anew would run into). An ask that the actor left unanswered, because
// it panicked or had stopped, is answered by the mailbox: no caller ever hangs.
// And a caller serves at most runLimit messages of others.
//
// A stop that is not the breaker's own is turned into a restart: those who watch
// the actor hear of its end, and of nothing before. Nor does the mailbox take a
// SuspendMailbox from outside: it suspends itself until a restart is done.
type mailbox struct {
	user, system queue
	count        atomic.Int32 // user messages waiting
	status       atomic.Int32
	suspended    atomic.Bool
	dead         bool        // the actor has stopped for good; the runner's
	stays        func() bool // whether a Stop of the actor is not the breaker's own; nil if every one is
	invoker      actor.MessageInvoker
	open         *ask // the one being processed, until it is answered; the runner's
}

const (
	starting int32 = iota
	idle
	running
)

// runLimit is how many messages a caller's goroutine processes before it hands
// the rest to a goroutine of its own, which ends when the mailbox is empty.
const runLimit = 64

func (m *mailbox) PostUserMessage(message any) {
	m.count.Add(1)
	m.user.push(message)
	m.schedule()
}

func (m *mailbox) PostSystemMessage(message any) {
	m.system.push(message)
	m.schedule()
}

func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start comes after RegisterHandlers and the first system message.
func (m *mailbox) Start() {
	m.status.Store(idle)
	m.schedule()
}

func (m *mailbox) UserMessageCount() int { return int(m.count.Load()) }

func (m *mailbox) ready() bool {
	return !m.system.empty() || !m.suspended.Load() && !m.user.empty()
}

func (m *mailbox) schedule() {
	for m.ready() && m.status.CompareAndSwap(idle, running) {
		for left := runLimit; m.ready(); {
			if left <= 0 {
				go m.runAll()
				return
			}
			m.run(&left)
		}
		m.status.Store(idle)
	}
}

func (m *mailbox) runAll() {
	for m.ready() {
		left := runLimit
		m.run(&left)
	}
	m.status.Store(idle)
	m.schedule()
}

// run processes messages until there is none, left is used up, or one panics.
func (m *mailbox) run(left *int) {
	var message any
	defer func() {
		if r := recover(); r != nil {
			m.abandon(errCrashed)
			m.suspended.Store(true)
			m.invoker.EscalateFailure(r, message)
		}
	}()
	for ; *left > 0; *left-- {
		if message = m.system.pop(); message != nil {
			switch message.(type) {
			case *actor.Watch, *actor.Unwatch:
				m.invoker.InvokeSystemMessage(message)
				continue
			}
			if m.dead { // a restart that was under way would raise it from the dead
				continue
			}
			switch message.(type) {
			case *actor.SuspendMailbox:
			case *actor.Stop:
				if m.stays != nil && m.stays() {
					m.suspended.Store(true)
					message = &actor.Restart{}
				}
				m.invoker.InvokeSystemMessage(message)
			case *actor.ResumeMailbox:
				m.suspended.Store(false)
			default:
				m.invoker.InvokeSystemMessage(message)
			}
			continue
		}
		if m.suspended.Load() {
			return
		}
		if message = m.user.pop(); message == nil {
			return
		}
		m.count.Add(-1)
		m.open, _ = message.(*ask)
		if !m.dead {
			m.invoker.InvokeUserMessage(message)
		}
		m.abandon(errGone)
	}
}

func (m *mailbox) abandon(err error) {
	if a := m.open; a != nil {
		a.fail = err
		m.open = nil
		a.answer()
	}
}

// queue is a list that many push to and one pops from, in order.
type queue struct {
	pushed atomic.Pointer[item] // newest first
	first  *item                // oldest first; the one's who pops
	some   atomic.Bool          // first is not nil
}

type item struct {
	message any
	next    *item
}

func (q *queue) push(message any) {
	it := &item{message: message}
	for {
		it.next = q.pushed.Load()
		if q.pushed.CompareAndSwap(it.next, it) {
			return
		}
	}
}

func (q *queue) empty() bool { return !q.some.Load() && q.pushed.Load() == nil }

func (q *queue) pop() any {
	if q.first == nil {
		for it := q.pushed.Swap(nil); it != nil; {
			next := it.next
			it.next, q.first, it = q.first, it, next
		}
		if q.first == nil {
			return nil
		}
	}
	it := q.first
	q.first = it.next
	q.some.Store(q.first != nil)
	return it.message
}
