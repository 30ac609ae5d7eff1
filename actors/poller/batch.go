package poller

import "time"

// batch gathers entries for the batch requests of SQS and decides which of
// them go into the next one, in the order in which they came. It is pure: the
// caller has the clock and makes the requests.
//
// Entries wait for company only where some can be expected, at most for the
// linger, and never once ten of them, or as many bytes as a request holds, are
// there.
type batch[T any] struct {
	linger  time.Duration
	size    func(T) int // bytes that an entry counts for; nil: no limit by size
	waiting []arrival[T]
	bytes   int
}

type arrival[T any] struct {
	entry T
	at    time.Time
}

func (b *batch[T]) add(entry T, now time.Time) {
	b.waiting = append(b.waiting, arrival[T]{entry, now})
	b.bytes += b.sizeOf(entry)
}

func (b *batch[T]) sizeOf(entry T) int {
	if b.size == nil {
		return 0
	}
	return b.size(entry)
}

func (b *batch[T]) len() int { return len(b.waiting) }

// due reports whether a request should go now. company says that more entries
// can be expected soon; without it nothing lingers.
func (b *batch[T]) due(now time.Time, company bool) bool {
	switch {
	case len(b.waiting) == 0:
		return false
	case !company, len(b.waiting) >= maxBatchEntries, b.bytes >= maxBatchBytes:
		return true
	}
	return !now.Before(b.deadline())
}

// deadline is when the oldest entry has lingered long enough. There must be one.
func (b *batch[T]) deadline() time.Time { return b.waiting[0].at.Add(b.linger) }

// cheapMove is how many entries are moved to the front rather than the front
// to them, which would use the slice up.
const cheapMove = 64

// take removes and returns the entries of the next request: the first that may
// go (nil: all may), as many as one request holds.
func (b *batch[T]) take(may func(T) bool) []T {
	var taken []T
	bytes, kept, i := 0, b.waiting[:0], 0
	for ; i < len(b.waiting) && len(taken) < maxBatchEntries; i++ {
		a := b.waiting[i]
		if may != nil && !may(a.entry) {
			kept = append(kept, a)
			continue
		}
		size := b.sizeOf(a.entry)
		if bytes+size > maxBatchBytes && len(taken) > 0 {
			break
		}
		bytes += size
		taken = append(taken, a.entry)
	}
	b.bytes -= bytes
	if rest := len(b.waiting) - i; len(kept) == 0 && rest > cheapMove {
		clear(b.waiting[:i])
		b.waiting = b.waiting[i:]
		return taken
	}
	n := len(kept) + copy(b.waiting[len(kept):], b.waiting[i:])
	clear(b.waiting[n:])
	b.waiting = b.waiting[:n]
	return taken
}

// remove takes out the entries that match, wherever they stand.
func (b *batch[T]) remove(match func(T) bool) []T {
	var removed []T
	kept := b.waiting[:0]
	for _, a := range b.waiting {
		if match(a.entry) {
			removed = append(removed, a.entry)
			b.bytes -= b.sizeOf(a.entry)
			continue
		}
		kept = append(kept, a)
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	return removed
}
