package life

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Restarts counts the restarts of one actor of the chassis, and pauses them. It
// outlives the actor's incarnations, and its processes if it is spawned again. Use
// it by pointer; it must not be copied.
type Restarts struct {
	// OnFailure, if not nil, gets each failure of a child before the actor does,
	// on the goroutine of the child and above the stack of its panic.
	OnFailure func(*actor.Failure)

	// OneEnvelope saves an allocation for each message behind a receiver middleware:
	// all messages come in one envelope. The actor must not keep it beyond its Receive,
	// as Forward, Stash and ReenterAfter do.
	OneEnvelope bool

	mu      sync.Mutex // guards what follows
	streak  streak
	begun   bool
	current *mailbox // of the process that was spawned last
}

// pause returns how long an incarnation has to wait before it begins.
func (r *Restarts) pause(message any, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, started := message.(*actor.Started); started && !r.begun {
		r.begun = true
		return 0
	}
	return ownPace.before(r.streak.add(now))
}

// Mailbox makes a mailbox of the actor, for actor.WithMailbox.
func (r *Restarts) Mailbox() actor.Mailbox {
	m := &mailbox{Mailbox: actor.Unbounded()(), restarts: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = m
	return m
}

// latest returns the mailbox that was made last.
func (r *Restarts) latest() *mailbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// mailbox holds system messages back while an incarnation waits for its begin.
type mailbox struct {
	actor.Mailbox
	restarts  *Restarts
	failing   atomic.Bool             // a failure of the actor is being escalated
	waiting   atomic.Bool             // there is a timer
	successor atomic.Pointer[mailbox] // of the process that follows after a respawn

	mu        sync.Mutex // guards what follows
	held      []any      // in order
	timer     *time.Timer
	releasing bool
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.Mailbox.RegisterHandlers(newFailures(invoker, m), dispatcher)
}

// failures notes the time in which a suspension is the actor's own.
type failures struct {
	actor.MessageInvoker
	mailbox  *mailbox
	envelope *actor.MessageEnvelope // of the message in hand; nil: Proto.Actor makes one for each
}

// newFailures makes the envelope that all messages share, where the actor allows it.
// The metrics of an actor system name the type of each message, and would name an
// envelope's.
func newFailures(invoker actor.MessageInvoker, m *mailbox) *failures {
	f := &failures{MessageInvoker: invoker, mailbox: m}
	c, ok := invoker.(actor.Context)
	if ok && m.restarts.OneEnvelope && c.ActorSystem().Config.MetricsProvider == nil {
		f.envelope = &actor.MessageEnvelope{}
	}
	return f
}

// InvokeUserMessage implements actor.MessageInvoker. It passes what still comes to a
// process that was spawned again on to the new one.
func (f *failures) InvokeUserMessage(message any) {
	if successor := f.mailbox.successor.Load(); successor != nil {
		successor.PostUserMessage(message)
		return
	}
	if _, wrapped := message.(*actor.MessageEnvelope); wrapped || f.envelope == nil {
		f.MessageInvoker.InvokeUserMessage(message)
		return
	}
	f.envelope.Message = message
	defer func() { *f.envelope = actor.MessageEnvelope{} }()
	f.MessageInvoker.InvokeUserMessage(f.envelope)
}

// EscalateFailure implements actor.MessageInvoker.
func (f *failures) EscalateFailure(reason, message any) {
	f.mailbox.failing.Store(true)
	defer f.mailbox.failing.Store(false)
	f.MessageInvoker.EscalateFailure(reason, message)
}

// PostUserMessage implements actor.Mailbox. It drops nil, which makes Proto.Actor's
// mailbox spin for ever, and messages of an actor's life that were sent as ordinary
// ones.
func (m *mailbox) PostUserMessage(message any) {
	switch actor.UnwrapEnvelopeMessage(message).(type) {
	case nil, *actor.Started, *actor.Restarting, *actor.Stopping, *actor.Stopped, *actor.Terminated:
		return
	}
	m.Mailbox.PostUserMessage(message)
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	var pause time.Duration
	switch message := message.(type) {
	case *actor.SuspendMailbox:
		if !m.failing.Load() {
			return
		}
	case *actor.Terminated:
		if message.Who == nil { // forged
			return
		}
	case *actor.Failure:
		if message.Who == nil {
			return
		}
		if m.restarts.OnFailure != nil {
			m.restarts.OnFailure(message)
		}
	case *actor.Started, *actor.Restart:
		if !m.waiting.Load() {
			pause = m.restarts.pause(message, time.Now())
		}
	}
	if pause == 0 && !m.waiting.Load() {
		m.Mailbox.PostSystemMessage(message)
		return
	}
	m.hold(message, pause)
}

// hold keeps message until the pause is over, or the actor is stopped.
func (m *mailbox) hold(message any, pause time.Duration) {
	m.mu.Lock()
	m.waiting.Store(true)
	m.held = append(m.held, message)
	if m.timer == nil && !m.releasing {
		if _, started := message.(*actor.Started); started { // else it is suspended already
			m.Mailbox.PostSystemMessage(&actor.SuspendMailbox{})
			m.held = append(m.held, &actor.ResumeMailbox{})
		}
		m.timer = time.AfterFunc(pause, m.release)
	}
	m.mu.Unlock()
	if _, stop := message.(*actor.Stop); stop {
		m.release()
	}
}

// release posts what is held. Posting may run the actor, which may post again.
func (m *mailbox) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.releasing {
		return
	}
	m.releasing = true
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	for len(m.held) > 0 {
		message := m.held[0]
		m.held = m.held[1:]
		m.mu.Unlock()
		m.Mailbox.PostSystemMessage(message)
		m.mu.Lock()
	}
	m.releasing = false
	m.waiting.Store(false)
}
