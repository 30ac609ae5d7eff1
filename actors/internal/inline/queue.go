package inline

import "sync/atomic"

// queue is a list in order. Many goroutines push to it, and the runner pops.
type queue struct {
	pushed atomic.Pointer[item] // newest first
	first  *item                // oldest first; the runner's
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

// pop returns the oldest message, or nil.
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
