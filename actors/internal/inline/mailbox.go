package inline

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Mailbox is the mailbox of one actor. The zero value is ready to use, and its
// hooks may be nil. Set the hooks before the actor is spawned.
type Mailbox struct {
	// Before is called with each user message before the actor gets it.
	Before func(message any)
	// After is called after each user message. It reports in panicked whether the
	// actor panicked, and is called before the failure is escalated. A message to
	// an actor that has ended passes Before and After too.
	After func(panicked bool)
	// Stays reports whether a Stop that was posted restarts the actor instead.
	// Watchers of the actor then get no Terminated.
	Stays func() bool

	user, system queue
	waiting      atomic.Int32 // user messages in the queue
	status       atomic.Int32
	suspended    atomic.Bool
	closed       bool // the runner's
	invoker      actor.MessageInvoker
}

// New makes a mailbox without hooks, for actor.WithMailbox.
func New() actor.Mailbox { return new(Mailbox) }

// The states of a mailbox. The goroutine that moves it from idle to running is
// the runner.
const (
	starting int32 = iota
	idle
	running
)

// runLimit is the number of messages that the goroutine of a poster runs.
const runLimit = 64

// RegisterHandlers implements actor.Mailbox.
func (m *Mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start implements actor.Mailbox. The mailbox has started with its Started message.
func (*Mailbox) Start() {}

// UserMessageCount implements actor.Mailbox: the number of messages that wait.
func (m *Mailbox) UserMessageCount() int { return int(m.waiting.Load()) }

// PostUserMessage implements actor.Mailbox. It runs the actor, unless another
// goroutine does. It drops nil, and messages of an actor's life that were sent as
// ordinary ones: a forged Stopped would end an actor that lives on.
func (m *Mailbox) PostUserMessage(message any) {
	switch actor.UnwrapEnvelopeMessage(message).(type) {
	case nil, *actor.Started, *actor.Restarting, *actor.Stopping, *actor.Stopped, *actor.Terminated:
		return
	}
	if !m.status.CompareAndSwap(idle, running) {
		m.waiting.Add(1)
		m.user.push(message)
		m.schedule()
		return
	}
	if m.suspended.Load() || !m.system.empty() || !m.user.empty() {
		m.waiting.Add(1)
		m.user.push(message)
	} else {
		m.invokeUser(message)
	}
	m.drain(runLimit)
}

// Turn runs f as the actor would run, if no message runs or waits, and reports whether
// it has. What comes meanwhile runs after it. It is for work that takes no
// message: f sees what the actor sees, and must not block. A panic of f is the actor's.
func (m *Mailbox) Turn(f func()) bool {
	if m.status.Load() != idle || !m.status.CompareAndSwap(idle, running) {
		return false
	}
	free := !m.closed && !m.suspended.Load() && m.system.empty() && m.user.empty()
	if free {
		m.turn(f)
	}
	m.drain(runLimit)
	return free
}

func (m *Mailbox) turn(f func()) {
	defer m.escalate(nil, nil)
	f()
}

// PostSystemMessage implements actor.Mailbox. What was posted before the
// spawner's Started waits for it.
func (m *Mailbox) PostSystemMessage(message any) {
	_, first := message.(*actor.Started)
	if !(first && m.status.CompareAndSwap(starting, running) || m.status.CompareAndSwap(idle, running)) {
		m.system.push(message)
		m.schedule()
		return
	}
	if !first && !m.system.empty() {
		m.system.push(message)
	} else {
		m.invokeSystem(message)
	}
	m.drain(runLimit)
}

// Close drops every later message, for an actor that has stopped for good. A
// message that was under way, a restart for example, would begin the actor again.
// User messages still pass Before and After, those that were suspended as well.
func (m *Mailbox) Close() {
	m.closed = true
	m.suspended.Store(false)
}

// ready reports whether a message can be run.
func (m *Mailbox) ready() bool {
	return !m.system.empty() || !m.suspended.Load() && !m.user.empty()
}

// schedule runs what waits, unless another goroutine does.
func (m *Mailbox) schedule() {
	if m.ready() && m.status.CompareAndSwap(idle, running) {
		m.drain(runLimit)
	}
}

// drain is the work of the runner: up to limit messages, system messages first.
func (m *Mailbox) drain(limit int) {
	for {
		for m.next() {
			if limit--; limit == 0 {
				go m.drain(runLimit)
				return
			}
		}
		m.status.Store(idle)
		if !m.ready() || !m.status.CompareAndSwap(idle, running) { // a message may have come meanwhile
			return
		}
	}
}

// next runs one message and reports whether there was one.
func (m *Mailbox) next() bool {
	if message := m.system.pop(); message != nil {
		m.invokeSystem(message)
		return true
	}
	if m.suspended.Load() {
		return false
	}
	message := m.user.pop()
	if message == nil {
		return false
	}
	m.waiting.Add(-1)
	m.invokeUser(message)
	return true
}

func (m *Mailbox) invokeUser(message any) {
	if m.Before != nil {
		m.Before(message)
	}
	defer m.escalate(message, m.After)
	if !m.closed {
		m.invoker.InvokeUserMessage(message)
	}
	if m.After != nil {
		m.After(false)
	}
}

func (m *Mailbox) invokeSystem(message any) {
	defer m.escalate(message, nil)
	switch message.(type) {
	case *actor.Watch, *actor.Unwatch:
		m.invoker.InvokeSystemMessage(message)
		return
	}
	if m.closed {
		return
	}
	switch message.(type) {
	case *actor.SuspendMailbox:
	case *actor.ResumeMailbox:
		m.suspended.Store(false)
	case *actor.Stop:
		if m.Stays != nil && m.Stays() {
			m.suspended.Store(true)
			message = &actor.Restart{}
		}
		m.invoker.InvokeSystemMessage(message)
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

// escalate gives the actor's panic, if there is one, to its supervisor.
func (m *Mailbox) escalate(message any, after func(panicked bool)) {
	r := recover()
	if r == nil {
		return
	}
	if after != nil {
		after(true)
	}
	m.suspended.Store(true)
	m.invoker.EscalateFailure(r, message)
}
