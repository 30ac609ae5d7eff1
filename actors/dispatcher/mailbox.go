package dispatcher

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is that of a function task's actor. It runs the actor on the
// goroutine that posts, one message at a time: a [runner] never waits and works
// for nanoseconds, and one goes with every task, so that its three turns on
// goroutines of their own, and the library's queues, were most of its price.
// Messages are queued only while another goroutine runs the actor, or while it
// is suspended by a failure.
type mailbox struct {
	invoker actor.MessageInvoker

	mu           sync.Mutex
	running      bool
	suspended    bool
	system, user []any
}

func newMailbox() actor.Mailbox { return new(mailbox) }

// RegisterHandlers comes before the first message: nobody knows the actor yet.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

func (m *mailbox) Start() {}

func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user)
}

func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	if m.running || m.suspended {
		m.user = append(m.user, message)
		m.mu.Unlock()
		return
	}
	m.running = true
	m.mu.Unlock()
	m.invokeUser(message)
	m.rest()
}

func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	if m.running {
		m.system = append(m.system, message)
		m.mu.Unlock()
		return
	}
	m.running = true
	m.mu.Unlock()
	m.invokeSystem(message)
	m.rest()
}

// rest runs what was posted meanwhile, system messages first.
func (m *mailbox) rest() {
	for {
		m.mu.Lock()
		switch {
		case len(m.system) > 0:
			message := m.system[0]
			m.system = m.system[1:]
			m.mu.Unlock()
			m.invokeSystem(message)
		case len(m.user) > 0 && !m.suspended:
			message := m.user[0]
			m.user = m.user[1:]
			m.mu.Unlock()
			m.invokeUser(message)
		default:
			m.running = false
			m.mu.Unlock()
			return
		}
	}
}

func (m *mailbox) invokeUser(message any) {
	defer m.escalate(message)
	m.invoker.InvokeUserMessage(message)
}

func (m *mailbox) invokeSystem(message any) {
	defer m.escalate(message)
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspend(true)
	case *actor.ResumeMailbox:
		m.suspend(false)
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

func (m *mailbox) suspend(yes bool) {
	m.mu.Lock()
	m.suspended = yes
	m.mu.Unlock()
}

func (m *mailbox) escalate(message any) {
	if r := recover(); r != nil {
		m.invoker.EscalateFailure(r, message)
	}
}
