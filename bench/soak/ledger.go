package main

import (
	"fmt"
	"slices"
	"sync"
)

// ledger knows every task that is not over yet and counts the rest, so that it
// does not grow with the time that the soak lasts.
type ledger struct {
	mu     sync.Mutex
	open   map[int]*entry
	next   int
	sent   map[string]int // by kind
	done   int            // ended well
	buried int            // dead letters that were deleted
	back   int            // dead letters that were sent back
	late   int            // abandoned handlers that ended after all
	faults []string       // what must not be
	more   int            // faults that are not listed
}

type entry struct {
	kind     string
	sentBack bool // it was a dead letter once: now it succeeds
}

func newLedger() *ledger { return &ledger{open: map[int]*entry{}, sent: map[string]int{}} }

// enter makes the number of a task that is about to be sent.
func (l *ledger) enter(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.sent[kind]++
	l.open[l.next] = &entry{kind: kind}
	return l.next
}

// finish says that a task ended well; one that has ended before is a fault.
func (l *ledger) finish(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[id] == nil {
		l.fault("task %d ended well after it was over", id)
		return
	}
	delete(l.open, id)
	l.done++
}

// bury notes a task's dead letter, and reports whether to send it back: once, if
// a retry can succeed.
func (l *ledger) bury(id int) (sendBack bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.open[id]
	switch {
	case e == nil:
		l.fault("task %d is a dead letter after it was over", id)
	case !kinds[e.kind].dies:
		l.fault("task %d of kind %s is a dead letter", id, e.kind)
		delete(l.open, id)
	case e.kind == hopeless && !e.sentBack:
		e.sentBack = true
		l.back++
		return true
	default:
		delete(l.open, id)
		l.buried++
	}
	return false
}

func (l *ledger) wasSentBack(id int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.open[id]
	return e != nil && e.sentBack
}

func (l *ledger) endedLate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late++
}

// Fault notes what must not be.
func (l *ledger) Fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault(format, args...)
}

func (l *ledger) fault(format string, args ...any) {
	if len(l.faults) >= 50 {
		l.more++
		return
	}
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

func (l *ledger) outstanding() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// lost lists what is neither done nor dead.
func (l *ledger) lost() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for id, e := range l.open {
		all = append(all, fmt.Sprintf("task %d of kind %s", id, e.kind))
	}
	slices.Sort(all)
	return all
}
