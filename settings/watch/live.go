package watch

import "sync/atomic"

// Live is settings in force. It may be used from any number of goroutines.
type Live[T any] struct{ now atomic.Pointer[edition[T]] }

// edition is the settings between two changes.
type edition[T any] struct {
	value T
	next  chan struct{} // closed when there is another
}

// NewLive returns settings in force that never change.
func NewLive[T any](value T) *Live[T] {
	l := &Live[T]{}
	l.set(value)
	return l
}

// Get returns the settings in force: one atomic load. What is tagged live is as
// the files and the environment say now; the rest is as it was at the start. The
// value must not be written.
func (l *Live[T]) Get() *T { return &l.now.Load().value }

// Changed returns a channel that is closed when the settings in force are no
// longer those that Get returned last. Ask for it before Get:
//
//	for {
//		changed := live.Changed()
//		pool.Resize(live.Get().Mail.Batch)
//		select {
//		case <-changed:
//		case <-ctx.Done():
//			return
//		}
//	}
func (l *Live[T]) Changed() <-chan struct{} { return l.now.Load().next }

func (l *Live[T]) set(value T) {
	old := l.now.Swap(&edition[T]{value: value, next: make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}
