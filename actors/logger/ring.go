package logger

import (
	"bytes"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// chunk is a run of whole encoded records. It is appended to under the ring's
// lock and, once taken, read by the one writer alone.
type chunk struct {
	data  []byte
	first uint64 // sequence number of its first record
	n     int    // records
	off   int    // bytes that the output has taken; outlives a restart of the actor
	kept  bool   // it has an audit record: it is dropped after all that have none
}

// ring is the bounded buffer between the callers and one output: chunks that
// are full, one being filled, and the one being written. It holds no goroutine
// and knows no actor; its lock is held for a copy of one record at most.
type ring struct {
	mu    sync.Mutex
	space sync.Cond // callers that wait for room

	limit     int // bytes, in chunk capacities
	policy    Policy
	dropBelow slog.Level

	cur     *chunk
	queue   []*chunk
	writing *chunk
	free    []*chunk
	held    int // capacity of cur, queue and writing

	direct bool // the callers write, no actor does
	busy   bool // the actor has been woken and has not yet found the ring empty
	lossy  bool // the output has failed for long: drop the oldest rather than wait
	idles  int  // times that the ring was found empty

	accepted, written, dropped uint64
	bytes                      uint64
	unreported                 uint64 // dropped and not yet reported in the output
	blocked                    int    // callers waiting for room now
	stalls                     uint64 // calls that had to wait for room
	peak                       int    // highest held
	waiters                    []waiter
}

// waiter is a call that wants everything up to seq to be out of the ring.
type waiter struct {
	seq  uint64
	done chan struct{}
}

// maxFree chunks are kept for reuse after a burst. Of those above keptFree one is left to the
// garbage collector at every trimEvery-th time that the ring is empty: bursts that come again and
// again then need no new memory, and a single one does not keep it.
const (
	maxFree   = 32
	keptFree  = 8
	trimEvery = 64
)

func newRing(limit int, policy Policy, dropBelow slog.Level) *ring {
	r := &ring{limit: limit, policy: policy, dropBelow: dropBelow, direct: true}
	r.space.L = &r.mu
	return r
}

// verdict is what an append asks of its caller.
type verdict struct {
	seq    uint64 // of the record; 0 if it was dropped
	wake   bool   // the ring was idle: wake the actor
	direct bool   // no actor: the caller must drain
	full   bool   // no actor and no room: not taken, the caller must drain first
}

// append takes one encoded record. It waits for room only under a policy that
// says so, and never if nowait is set.
func (r *ring) append(line []byte, level slog.Level, nowait bool) verdict {
	r.mu.Lock()
	c := r.cur
	if c == nil || len(c.data)+len(line) > cap(c.data) {
		var full bool
		if c, full = r.room(len(line), level, nowait); full {
			r.mu.Unlock()
			return verdict{full: true}
		}
		if c == nil {
			r.accepted++
			r.dropped++
			r.unreported++
			v := r.next()
			r.mu.Unlock()
			return v
		}
	}
	r.add(c, line)
	c.kept = c.kept || level >= LevelEmergency
	v := r.next()
	v.seq = r.accepted
	r.mu.Unlock()
	return v
}

// next returns what the caller has to do after its append.
func (r *ring) next() verdict {
	if r.direct {
		return verdict{direct: true}
	}
	wake := !r.busy
	r.busy = true
	return verdict{wake: wake}
}

// room returns a chunk with room for n bytes, or nil if the record is to be
// dropped. The lock is held, and given up while it waits; with no actor to wait
// for it says that the ring is full.
func (r *ring) room(n int, level slog.Level, nowait bool) (c *chunk, full bool) {
	size := max(chunkSize, n)
	waited := false
	for {
		if c := r.cur; c != nil {
			if len(c.data)+n <= cap(c.data) {
				return c, false
			}
			r.queue = append(r.queue, c)
			r.cur = nil
		}
		if r.held+size <= r.limit {
			r.cur = r.chunk(size)
			return r.cur, false
		}
		switch {
		case r.lossy || r.policy == PolicyDropOldest:
			if !r.dropOldest(level) {
				return nil, false
			}
			continue
		case nowait, r.policy == PolicyDropBelow && level < r.dropBelow:
			return nil, false
		case r.direct:
			return nil, true
		}
		if !waited {
			waited = true
			r.stalls++
		}
		r.blocked++
		r.space.Wait()
		r.blocked--
	}
}

// wait counts a call that waits for room on its own.
func (r *ring) wait(d time.Duration) {
	r.mu.Lock()
	r.stalls++
	r.blocked++
	r.mu.Unlock()
	time.Sleep(d)
	r.mu.Lock()
	r.blocked--
	r.mu.Unlock()
}

func (r *ring) chunk(size int) *chunk {
	r.held += size
	r.peak = max(r.peak, r.held)
	if n := len(r.free); size == chunkSize && n > 0 {
		c := r.free[n-1]
		r.free[n-1] = nil
		r.free = r.free[:n-1]
		return c
	}
	return &chunk{data: make([]byte, 0, size)}
}

// dropOldest makes room for a record of that level. A chunk with an audit record
// gives way to another audit record only, and when all have one.
func (r *ring) dropOldest(level slog.Level) bool {
	i := slices.IndexFunc(r.queue, func(c *chunk) bool { return !c.kept })
	if i < 0 && level >= LevelEmergency {
		i = 0
	}
	if i < 0 || len(r.queue) == 0 {
		return false // all that is held is being written, or weighs more
	}
	c := r.queue[i]
	r.queue = slices.Delete(r.queue, i, i+1)
	r.dropped += uint64(c.n)
	r.unreported += uint64(c.n)
	r.release(c)
	r.settle()
	return true
}

func (r *ring) pop() *chunk {
	c := r.queue[0]
	r.queue = slices.Delete(r.queue, 0, 1)
	return c
}

// take hands the oldest chunk to the writer: the one that it was writing when
// it was interrupted, or the next. With none left the ring is idle.
func (r *ring) take() *chunk {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.writing != nil:
	case len(r.queue) > 0:
		r.writing = r.pop()
	case r.cur != nil && r.cur.n > 0:
		r.writing, r.cur = r.cur, nil
	default:
		r.busy = false
		r.trim()
	}
	return r.writing
}

// trim frees the memory of a burst step by step.
func (r *ring) trim() {
	r.idles++
	if n := len(r.free); n > keptFree && r.idles%trimEvery == 0 {
		r.free[n-1] = nil
		r.free = r.free[:n-1]
	}
}

// done says that the chunk taken is written.
func (r *ring) done(c *chunk) {
	r.mu.Lock()
	r.writing = nil
	r.written += uint64(c.n)
	r.bytes += uint64(len(c.data))
	r.release(c)
	r.settle()
	r.mu.Unlock()
}

func (r *ring) release(c *chunk) {
	r.held -= cap(c.data)
	if cap(c.data) == chunkSize && len(r.free) < maxFree {
		c.data, c.n, c.off, c.first, c.kept = c.data[:0], 0, 0, 0, false
		r.free = append(r.free, c)
	}
	if r.blocked > 0 {
		r.space.Broadcast()
	}
}

// oldest is the sequence number of the oldest record still held; all below it
// are written or dropped.
func (r *ring) oldest() uint64 {
	switch {
	case r.writing != nil:
		return r.writing.first
	case len(r.queue) > 0:
		return r.queue[0].first
	case r.cur != nil && r.cur.n > 0:
		return r.cur.first
	}
	return r.accepted + 1
}

// settle wakes the calls that wait for records that are out.
func (r *ring) settle() {
	if len(r.waiters) == 0 {
		return
	}
	oldest := r.oldest()
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		if w.seq < oldest {
			close(w.done)
		}
		return w.seq < oldest
	})
}

// out reports whether every record up to seq is out.
func (r *ring) out(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return seq < r.oldest()
}

// await blocks until every record up to seq is out. It gives up, with false,
// when limit (0: never) has passed, when done is closed, or while the output
// is known to fail. direct says that no actor writes: the caller must drain.
func (r *ring) await(seq uint64, limit time.Duration, done <-chan struct{}) (out, direct bool) {
	var expired <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		expired = t.C
	}
	for {
		r.mu.Lock()
		if seq < r.oldest() {
			r.mu.Unlock()
			return true, false
		}
		if r.lossy || r.direct {
			direct = r.direct
			r.mu.Unlock()
			return false, direct
		}
		w := waiter{seq: seq, done: make(chan struct{})}
		r.waiters = append(r.waiters, w)
		r.mu.Unlock()
		select {
		case <-w.done:
		case <-expired:
			r.forget(w)
			return false, false
		case <-done:
			r.forget(w)
			return false, false
		}
	}
}

func (r *ring) forget(w waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters = slices.DeleteFunc(r.waiters, func(o waiter) bool { return o.done == w.done })
}

// setDirect says who writes from now on. It reports whether records are held
// that wait for a wake-up.
func (r *ring) setDirect(direct bool) (pending bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.direct = direct
	pending = r.oldest() <= r.accepted
	r.busy = !direct && pending
	r.wakeAll()
	return pending
}

// setLossy says that the output has failed for long, or works again.
func (r *ring) setLossy(lossy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lossy = lossy
	if lossy {
		r.wakeAll()
	}
}

func (r *ring) wakeAll() {
	for _, w := range r.waiters {
		close(w.done)
	}
	clear(r.waiters)
	r.waiters = r.waiters[:0]
	r.space.Broadcast()
}

func (r *ring) last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}

// waiting reports whether records are held.
func (r *ring) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.oldest() <= r.accepted
}

func (r *ring) hasDrops() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unreported > 0
}

func (r *ring) takeDrops() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.unreported
	r.unreported = 0
	return n
}

// force takes a record of the logger's own, over the limit if need be, and
// wakes no actor: its caller is the writer.
func (r *ring) force(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cur
	if c == nil || len(c.data)+len(line) > cap(c.data) {
		if c != nil {
			r.queue = append(r.queue, c)
		}
		c = r.chunk(max(chunkSize, len(line)))
		r.cur = c
	}
	r.add(c, line)
}

// add puts a record into a chunk with room for it.
func (r *ring) add(c *chunk, line []byte) {
	r.accepted++
	if c.n == 0 {
		c.first = r.accepted
	}
	c.n++
	c.data = append(c.data, line...)
}

// rewind goes back to the start of the record that the output got a part of.
func (r *ring) rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.writing; c != nil {
		c.off = bytes.LastIndexByte(c.data[:c.off], '\n') + 1
	}
}

func (r *ring) pending() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted - r.written - r.dropped
}
