package engine

// minHeap is a 4-ary heap ordered by (key, tie). The keys stand in the slots,
// so that a sift reads a cache line or two a level and not the items. Items know
// their place, so that one can be taken out from anywhere.
type minHeap[T any] struct {
	slots []slot[T]
	place func(T, int32) // notes the index of an item; -1 when it has left
}

type slot[T any] struct {
	key  int64
	tie  uint64
	item T
}

func (a *slot[T]) less(b *slot[T]) bool {
	return a.key < b.key || a.key == b.key && a.tie < b.tie
}

func (h *minHeap[T]) len() int { return len(h.slots) }

func (h *minHeap[T]) push(key int64, tie uint64, item T) {
	h.slots = append(h.slots, slot[T]{})
	h.up(len(h.slots)-1, slot[T]{key, tie, item})
}

// remove takes out the item at index i.
func (h *minHeap[T]) remove(i int32) {
	last := len(h.slots) - 1
	h.place(h.slots[i].item, -1)
	moved := h.slots[last]
	h.slots[last] = slot[T]{}
	h.slots = h.slots[:last]
	if int(i) == last {
		h.shrink()
		return
	}
	if i > 0 && moved.less(&h.slots[(i-1)/4]) {
		h.up(int(i), moved)
	} else {
		h.down(int(i), moved)
	}
	h.shrink()
}

func (h *minHeap[T]) pop() T {
	item := h.slots[0].item
	h.remove(0)
	return item
}

func (h *minHeap[T]) up(i int, s slot[T]) {
	for i > 0 {
		parent := (i - 1) / 4
		if !s.less(&h.slots[parent]) {
			break
		}
		h.slots[i] = h.slots[parent]
		h.place(h.slots[i].item, int32(i))
		i = parent
	}
	h.slots[i] = s
	h.place(s.item, int32(i))
}

func (h *minHeap[T]) down(i int, s slot[T]) {
	n := len(h.slots)
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < n && c < first+4; c++ {
			if h.slots[c].less(&h.slots[least]) {
				least = c
			}
		}
		if !h.slots[least].less(&s) {
			break
		}
		h.slots[i] = h.slots[least]
		h.place(h.slots[i].item, int32(i))
		i = least
	}
	h.slots[i] = s
	h.place(s.item, int32(i))
}

// shrink gives memory back once a heap that was large is nearly empty.
func (h *minHeap[T]) shrink() {
	if c := cap(h.slots); c > 1024 && len(h.slots) < c/4 {
		h.slots = append(make([]slot[T], 0, c/2), h.slots...)
	}
}
