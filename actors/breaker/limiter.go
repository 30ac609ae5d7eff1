package breaker

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/internal/limit"
)

// limiter counts the calls in flight of one service. A call that finds room takes two
// atomic additions and no lock; one of several measures its time, so that at any rate
// some hundred latencies a second are seen.
type limiter struct {
	set Adaptive

	value    atomic.Int64  // calls that may be in flight
	entered  atomic.Uint64 // by 32 bits: calls that have entered, and those that are in flight
	waiting  atomic.Int64  // calls in the queue; written under the mutex
	skip     atomic.Uint32 // a call is measured if none of these bits of its number is set
	typical  atomic.Int64  // ns that a call takes; 0: not known
	refusals atomic.Uint64
	warned   atomic.Int64 // when a refusal was logged last, ns; 0: never

	mu      sync.Mutex
	limit   *limit.Adaptive // nil: fixed
	queue   []*waiter       // first come first
	stopped bool            // the breaker has: no call waits any more
	samples int             // since counted
	counted time.Time
}

// waiter is a call in the queue. Its channel is closed when it has its place.
type waiter struct{ placed chan struct{} }

func newLimiter(set Adaptive, now time.Time) *limiter {
	l := &limiter{set: set, counted: now}
	l.value.Store(int64(set.Initial))
	if set.Min < set.Max {
		l.limit = limit.New(set.Initial, set.Min, set.Max, set.Tolerance, now)
	}
	return l
}

// errFull says that a call has found no place.
var errFull = errors.New("no place is free")

// oneEntry is what a call adds to entered, and inFlight is what of it is in flight.
const oneEntry = 1<<32 + 1

func inFlight(entered uint64) int64 { return int64(uint32(entered)) }

// enter takes a place for a call: at once or, if it is patient, after a wait. It returns
// how long that was, with errFull or the error of ctx if there is no place, and whether the
// call is to be measured.
func (l *limiter) enter(ctx context.Context, patient bool) (waited time.Duration, measured bool, err error) {
	if l.waiting.Load() == 0 {
		n := l.entered.Add(oneEntry)
		if inFlight(n) <= l.value.Load() {
			return 0, l.limit != nil && uint32(n>>32)&l.skip.Load() == 0, nil
		}
		l.leave()
	}
	if !patient {
		return 0, false, errFull
	}
	waited, err = l.wait(ctx)
	return waited, l.limit != nil, err
}

// leave gives a place back.
func (l *limiter) leave() {
	l.entered.Add(^uint64(0))
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		l.place()
		l.mu.Unlock()
	}
}

// place gives free places to those in the queue. Under the mutex. A call that leaves
// looks at waiting after it has given its place back, and one that waits looks at the
// places after it has raised waiting: one of them sees the other.
func (l *limiter) place() {
	for len(l.queue) > 0 {
		n := l.entered.Load()
		if inFlight(n) >= l.value.Load() {
			return
		}
		if l.entered.CompareAndSwap(n, n+oneEntry) {
			close(l.queue[0].placed)
			l.queue[0] = nil
			l.queue = l.queue[1:]
			l.waiting.Add(-1)
		}
	}
}

// stop lets all that wait go on: they find that the breaker has stopped.
func (l *limiter) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for _, w := range l.queue {
		l.entered.Add(oneEntry)
		close(w.placed)
	}
	l.waiting.Add(-int64(len(l.queue)))
	l.queue = nil
}

// doLimited handles Do in a view that is quiet but for the limit of calls in flight.
func (b *Breaker) doLimited(ctx context.Context, v *view, path string, fn guarded) (err error) {
	l := b.limit
	waited, measured, err := l.enter(ctx, true)
	if err != nil || waited > 0 && b.view.Load() != v {
		return b.doWaited(ctx, path, fn, waited, err)
	}
	begun := int64(0)
	if measured {
		begun = max(1, b.now())
	}
	err = ended{}
	defer func() {
		if begun != 0 && (err == nil || overloaded(err)) {
			l.observe(classOf(path), time.Duration(b.now()-begun), err != nil)
		}
		l.leave()
		if err != nil || b.view.Load() != v {
			b.quietEnd(ctx, v.gen, path, err)
		}
	}()
	err = fn(ctx)
	return err
}

// doWaited handles a call that got no place, or that met another state after its wait: it
// takes its place again by the way of that state.
func (b *Breaker) doWaited(ctx context.Context, path string, fn guarded, waited time.Duration, err error) error {
	switch err {
	case nil:
		b.limit.leave()
		return b.Do(ctx, path, fn)
	case errFull:
		return b.limited(waited)
	}
	return err
}

// wait takes a place in its turn. A call that was in the queue has waited for 1 ns at least.
func (l *limiter) wait(ctx context.Context) (waited time.Duration, err error) {
	begun := time.Now()
	l.mu.Lock()
	if l.stopped {
		l.entered.Add(oneEntry) // its caller looks at the state, and gives the place back
		l.mu.Unlock()
		return max(1, time.Since(begun)), nil
	}
	most := l.set.Queue
	if most == 0 {
		most = max(4, int(l.value.Load()))
	}
	if len(l.queue) >= most {
		l.mu.Unlock()
		return 0, errFull
	}
	w := &waiter{placed: make(chan struct{})}
	l.queue = append(l.queue, w)
	l.waiting.Add(1)
	l.place()
	l.mu.Unlock()
	timer := time.NewTimer(l.set.Wait)
	defer timer.Stop()
	defer func() { waited = max(1, time.Since(begun)) }()
	select {
	case <-w.placed:
		return 0, nil
	case <-timer.C:
		err = errFull
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	i := slices.Index(l.queue, w)
	if i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.waiting.Add(-1)
	}
	l.mu.Unlock()
	switch {
	case i >= 0:
		return 0, err
	case ctx.Err() != nil:
		l.leave()
		return 0, ctx.Err()
	}
	return 0, nil // the place came in the last moment
}

// Bounds of the number of calls that are measured in a time of countTime.
const (
	countTime   = 100 * time.Millisecond
	fewSamples  = 32
	manySamples = 256
)

// observe takes how long a call of a class took. busy says that the service refused it
// for its load, or left it without an answer.
func (l *limiter) observe(class int, took time.Duration, busy bool) {
	if !l.mu.TryLock() {
		return // one sample less
	}
	defer l.mu.Unlock()
	now := time.Now()
	l.samples++
	if now.Sub(l.counted) >= countTime {
		every := l.skip.Load() + 1
		if l.samples > manySamples || l.samples < fewSamples && every > 1 {
			wanted := max(1, uint64(every)*uint64(l.samples)/(2*fewSamples))
			l.skip.Store(uint32(1)<<(min(bits.Len64(wanted), 31)-1) - 1)
		}
		l.samples, l.counted = 0, now
	}
	others := int(inFlight(l.entered.Load()))
	if busy {
		l.limit.Drop(took, others, now)
	} else {
		l.limit.Observe(class, took, others, now)
	}
	l.typical.Store(int64(l.limit.Typical()))
	l.value.Store(int64(l.limit.Now()))
	l.place()
}

// limitClasses is the number of kinds of calls that are kept apart by their paths.
const limitClasses = 32

// classOf returns the class of a path: by its first two segments, which name what is done
// in most services. Each class has a time of its own that calls take alone.
func classOf(path string) int {
	h := uint32(2166136261) // FNV-1a
	for range 2 {
		var seg string
		seg, path = nextSegment(path)
		for i := range len(seg) {
			h = (h ^ uint32(seg[i])) * 16777619
		}
		h *= 16777619
	}
	return int(h>>16) % limitClasses
}
