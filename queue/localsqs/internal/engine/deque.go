package engine

// deque is a first-in first-out list of chunks: nothing is copied when it
// grows, and memory goes back as it is drained. Chunks begin small, for there
// may be as many groups as messages.
type deque[T any] struct {
	first, last *chunk[T]
	head, n     int // head: the oldest in first
}

type chunk[T any] struct {
	items []T // appended up to its capacity
	next  *chunk[T]
}

const (
	firstChunk   = 4
	largestChunk = 512
)

func (d *deque[T]) len() int { return d.n }

func (d *deque[T]) push(v T) {
	if d.last == nil {
		d.first = &chunk[T]{items: make([]T, 0, firstChunk)}
		d.last = d.first
	} else if c := cap(d.last.items); len(d.last.items) == c {
		d.last.next = &chunk[T]{items: make([]T, 0, min(2*c, largestChunk))}
		d.last = d.last.next
	}
	d.last.items = append(d.last.items, v)
	d.n++
}

// front is the oldest; the deque must not be empty.
func (d *deque[T]) front() T { return d.first.items[d.head] }

func (d *deque[T]) pop() T {
	var zero T
	v := d.first.items[d.head]
	d.first.items[d.head] = zero
	d.head++
	d.n--
	switch {
	case d.n == 0: // the last chunk is used again
		d.first, d.head = d.last, 0
		d.last.items = d.last.items[:0]
	case d.head == len(d.first.items):
		d.first, d.head = d.first.next, 0
	}
	return v
}
