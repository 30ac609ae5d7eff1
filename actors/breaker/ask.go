package breaker

import (
	"errors"
	"sync"
)

var (
	errGone    = errors.New("the breaker actor has ended before it took this")
	errCrashed = errors.New("the breaker actor crashed over this")
)

// ask is one question of a handle to the actor, and room for the answer. Its
// caller waits for done and then owns it again.
type ask struct {
	mailbox *mailbox
	done    chan struct{} // capacity 1: answering never blocks
	do      func(*state, *ask)

	path   string
	result result
	from   *view

	slot uint64
	dec  decision
	view *view
	data any
	fail error
}

var asks = sync.Pool{New: func() any { return &ask{done: make(chan struct{}, 1)} }}

// ask sends a, waits for the answer, and sends it again if the actor was
// replaced before it took it. The caller gives a back with free.
func (b *Breaker) ask(a *ask) error {
	for {
		m := b.mailbox.Load()
		a.mailbox, a.fail = m, nil
		m.PostUserMessage(a)
		<-a.done
		if a.fail != errGone {
			return a.fail
		}
		if b.view.Load().kind == viewStopped {
			return ErrStopped
		}
	}
}

func (a *ask) free() {
	*a = ask{done: a.done}
	asks.Put(a)
}
