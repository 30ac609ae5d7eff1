package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sambatech/chassis/settings"
)

// Away is the error of an update that leaves the values as they were, because a store of settings cannot be read.
// The store goes on trying, and the next update says that this is over.
type Away struct{ Err error }

// Error says why the store cannot be read.
func (a *Away) Error() string { return "a store of settings cannot be read: " + a.Err.Error() }

// Unwrap returns the cause.
func (a *Away) Unwrap() error { return a.Err }

// news is what a store says of itself.
type news struct {
	store int
	err   error
}

// follow watches the stores until ctx ends. The channel has their news; wait returns once all have ended.
func follow(ctx context.Context, stores []settings.Store) (heard <-chan news, wait func()) {
	var all sync.WaitGroup
	out := make(chan news)
	for i, store := range stores {
		notify := func(err error) {
			select {
			case out <- news{i, err}:
			case <-ctx.Done():
			}
		}
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					notify(fmt.Errorf("it is not followed any more, because its Watch panicked: %v", p))
				}
			}()
			store.Watch(ctx, notify)
		})
	}
	return out, all.Wait
}

// hear handles the news of a store.
func (w *Watcher[T]) hear(n news) {
	current := w.current.Load()
	if n.err != nil {
		stats := *w.stats.Load()
		stats.Failures++
		stats.LastError = n.err.Error()
		w.stats.Store(&stats)
		w.away[n.store] = true
		if w.notify != nil {
			w.notify(Update[T]{Old: current, New: current, Err: &Away{n.err}})
		}
		return
	}
	over := w.away[n.store]
	delete(w.away, n.store)
	var u Update[T]
	if left := w.times.settle - time.Since(w.changed); left > 0 && w.look.fs != nil {
		w.quiet.Reset(left) // files may be changing
	} else {
		u = w.step(false)
	}
	if over && len(u.Changes) == 0 && u.Err == nil && w.notify != nil {
		w.notify(Update[T]{Old: current, New: current})
	}
}
