package breaker

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sambatech/chassis/actors/internal/inline"
)

var (
	errGone    = errors.New("the breaker actor has ended before it took this")
	errCrashed = errors.New("the breaker actor crashed over this")
)

// ask is one question of a handle to the actor, and room for the answer. Its
// caller waits for the answer and then owns it again.
type ask struct {
	mailbox *mailbox
	status  atomic.Int32
	wake    chan struct{} // made only if there is no answer yet when the message is sent
	do      func(*state, *ask)

	path   string
	term   term
	result result

	slot uint64
	dec  decision
	fail error
}

const (
	asked int32 = iota
	waiting
	answered
)

// asks holds no channels: one that was made in a synctest bubble is of no use outside.
var asks = sync.Pool{New: func() any { return new(ask) }}

// ask sends a, waits for the answer, and sends it again if the actor was
// replaced before it took it. The caller gives a back with free.
func (b *Breaker) ask(a *ask) error {
	for {
		m := b.mailbox.Load()
		a.mailbox, a.fail = m, nil
		m.PostUserMessage(a)
		a.wait()
		if a.fail != errGone {
			return a.fail
		}
		switch v := b.view.Load(); v.kind {
		case viewStopped:
			return ErrStopped
		case viewAsleep:
			b.wake(v)
		}
		runtime.Gosched() // its successor is being spawned
	}
}

// wait returns when the ask is answered: mostly at once, for mostly it is the
// caller's own goroutine that has run the actor.
func (a *ask) wait() {
	if a.status.Load() != answered {
		a.wake = make(chan struct{})
		if a.status.CompareAndSwap(asked, waiting) {
			<-a.wake
		}
	}
	a.status.Store(asked)
}

// answer hands a back to its caller, who may use it for something else at once.
func (a *ask) answer() {
	if a.status.Swap(answered) == waiting {
		close(a.wake)
	}
}

func (a *ask) free() {
	*a = ask{}
	asks.Put(a)
}

// mailbox runs the actor on the goroutine that posts. An ask that the actor left
// unanswered, because it panicked or had stopped, is answered by the mailbox, so
// that no caller ever hangs. A stop that is not the breaker's own is turned into
// a restart: watchers of the actor get its real end alone.
type mailbox struct {
	inline.Mailbox
	open *ask // the one in hand, until it is answered; the running goroutine's
}

func newMailbox() *mailbox {
	m := &mailbox{}
	m.Before = func(message any) { m.open, _ = message.(*ask) }
	m.After = func(panicked bool) {
		a := m.open
		if a == nil {
			return
		}
		m.open, a.fail = nil, errGone
		if panicked {
			a.fail = errCrashed
		}
		a.answer()
	}
	return m
}

// admit answers an ask for a slot.
func (s *state) admit(a *ask) {
	e := s.begin()
	a.slot, a.dec = e.admit(a.path, a.term)
	a.result.gen = e.gen
	if a.slot == 0 {
		e.free()
		return
	}
	s.commit(e)
}

// report sends how a call ended to the actor, and waits until it has published
// what follows from that. A stopped breaker wants no reports; an actor that
// crashes over a report has lost it.
func (b *Breaker) report(r result) {
	a := asks.Get().(*ask)
	a.do, a.result = (*state).report, r
	_ = b.ask(a)
	a.free()
}

// report answers an ask that says how a call ended.
func (s *state) report(a *ask) {
	e := s.begin()
	e.report(a.result)
	s.commit(e)
}
