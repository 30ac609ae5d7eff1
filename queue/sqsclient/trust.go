package sqsclient

import (
	"sync"
	"sync/atomic"
)

// trust decides whether the shortcut may be taken. A refusal (401 or 403)
// leaves requests to the SDK until one of these succeeds. If the shortcut is
// then refused again, it waits for twice as many successes each time: something
// other than the SDK may never be able to sign for this service.
type trust struct {
	wait atomic.Int64  // successes of the SDK to come before the shortcut is taken again; 0 or less: it is taken
	term atomic.Uint64 // counts refusals: requests from before the latest have a lower one
	last atomic.Int64  // what wait was set to by the latest refusal; 0: the shortcut has succeeded since

	mu sync.Mutex
}

// mostWait is the largest number of successes of the SDK between two tries of
// the shortcut.
const mostWait = 1024

// taken reports whether the shortcut is taken now. term is to be handed to
// refused or succeeded.
func (t *trust) taken() (term uint64, yes bool) {
	term = t.term.Load()
	return term, t.wait.Load() <= 0
}

// refused notes a refusal. Those of requests that were under way during an
// earlier one count once together.
func (t *trust) refused(term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if term != t.term.Load() {
		return
	}
	next := min(max(1, 2*t.last.Load()), mostWait)
	t.last.Store(next)
	t.wait.Store(next)
	t.term.Add(1)
}

// succeeded notes a success of the shortcut.
func (t *trust) succeeded(term uint64) {
	if t.last.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if term == t.term.Load() {
		t.last.Store(0)
	}
}

// vouched notes a success of the SDK.
func (t *trust) vouched() {
	if t.wait.Load() > 0 {
		t.wait.Add(-1)
	}
}
