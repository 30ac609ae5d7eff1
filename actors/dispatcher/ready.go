package dispatcher

// ready is the queue of executions that wait for a slot: the highest priority
// first, then the oldest. A binary heap.
type ready struct {
	heap []*execution
	next uint64
}

func (r *ready) len() int { return len(r.heap) }

func (r *ready) less(i, j int) bool {
	a, b := r.heap[i], r.heap[j]
	if pa, pb := a.entry.spec.Priority, b.entry.spec.Priority; pa != pb {
		return pa > pb
	}
	return a.order < b.order
}

func (r *ready) push(e *execution) {
	r.next++
	e.order = r.next
	r.heap = append(r.heap, e)
	for i := len(r.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !r.less(i, parent) {
			return
		}
		r.heap[i], r.heap[parent] = r.heap[parent], r.heap[i]
		i = parent
	}
}

func (r *ready) pop() *execution {
	if len(r.heap) == 0 {
		return nil
	}
	top := r.heap[0]
	last := len(r.heap) - 1
	r.heap[0] = r.heap[last]
	r.heap[last] = nil
	r.heap = r.heap[:last]
	r.down(0)
	return top
}

func (r *ready) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(r.heap) {
			return
		}
		if right := child + 1; right < len(r.heap) && r.less(right, child) {
			child = right
		}
		if !r.less(child, i) {
			return
		}
		r.heap[i], r.heap[child] = r.heap[child], r.heap[i]
		i = child
	}
}

// remove takes e out, wherever it is.
func (r *ready) remove(e *execution) bool {
	for i, other := range r.heap {
		if other == e {
			r.heap = append(r.heap[:i], r.heap[i+1:]...)
			for j := len(r.heap)/2 - 1; j >= 0; j-- {
				r.down(j)
			}
			return true
		}
	}
	return false
}
