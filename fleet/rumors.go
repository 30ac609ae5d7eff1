package fleet

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// rumors are messages that go from member to member: each is sent so many times, and then
// left to the others. It stands in for memberlist's TransmitLimitedQueue, which loses
// messages (hashicorp/memberlist#263): where a message replaces the only one, the next
// gets its number, and of two with one number, length and count one is dropped. Words are
// of one length, so that was one word in twenty outages.
type rumors struct {
	mu   sync.Mutex // guards all
	each map[string]*rumor
	seq  uint64
}

// rumor is the last message of a name.
type rumor struct {
	name string
	b    []byte
	seq  uint64
	sent int
}

// put queues a message, in place of the one before of its name. If there are too many, the
// one that was sent most makes room.
func (r *rumors) put(name string, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.each == nil {
		r.each = map[string]*rumor{}
	}
	r.seq++
	r.each[name] = &rumor{name, b, r.seq, 0}
	if len(r.each) > maxQueued {
		all := r.sorted()
		delete(r.each, all[len(all)-1].name)
	}
}

// sorted returns the messages: those that were sent least come first, of them the newest.
func (r *rumors) sorted() []*rumor {
	all := make([]*rumor, 0, len(r.each))
	for _, one := range r.each {
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y *rumor) int {
		return cmp.Or(cmp.Compare(x.sent, y.sent), cmp.Compare(y.seq, x.seq))
	})
	return all
}

// next returns messages for one member that fit into limit bytes, with overhead for each.
func (r *rumors) next(overhead, limit, members int) (list [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.each) == 0 {
		return nil
	}
	times := retransmits * int(math.Ceil(math.Log10(float64(members+1))))
	for _, one := range r.sorted() {
		if limit < overhead+len(one.b) {
			continue
		}
		limit -= overhead + len(one.b)
		list = append(list, one.b)
		if one.sent++; one.sent >= times {
			delete(r.each, one.name)
		}
	}
	return list
}
