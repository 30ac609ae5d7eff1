package pools

import (
	"context"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/recent"
)

// Bounds of the notices that are known again when they come by a second way, or again by the
// same one: longer than any way takes.
const (
	knownFor  = 10 * time.Minute
	mostKnown = 10_000
)

// taken knows the notices that this process has taken, or is taking. Its zero value is ready.
type taken struct {
	mu   sync.Mutex // guards byID
	byID recent.Map[*taking]
}

// taking is one notice. The rest is set before done is closed.
type taking struct {
	done  chan struct{}
	found int
	err   error
}

// once returns what take returns for the first notice of an id. Others with that id wait for
// it, until ctx ends. A failure is not kept: the next one takes again. Without an id it just
// takes.
func (t *taken) once(ctx context.Context, id string, take func() (int, error)) (int, error) {
	if id == "" {
		return take()
	}
	now := time.Now()
	t.mu.Lock()
	t.byID.Most = mostKnown
	first, known := t.byID.Get(id, now)
	if known && first.failed() {
		known = false
	}
	if !known {
		first = &taking{done: make(chan struct{})}
		t.byID.Put(id, first, now.Add(knownFor), now)
	}
	t.mu.Unlock()
	if !known {
		defer close(first.done)
		first.found, first.err = take()
		return first.found, first.err
	}
	select {
	case <-first.done:
		return first.found, first.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// failed reports whether it has ended with an error.
func (t *taking) failed() bool {
	select {
	case <-t.done:
		return t.err != nil
	default:
		return false
	}
}
