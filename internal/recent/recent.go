// Package recent remembers values by id, each until a time, and of too many the newest.
//
//	m := recent.Map[string]{Most: 10_000}
//	m.Put("e1", "by dieter", now.Add(time.Hour), now)
//	reason, ok := m.Get("e1", now)
//
// A Map belongs to one goroutine, or to a lock of its owner. It takes the time as an
// argument, and is tested without a clock.
package recent

import (
	"iter"
	"strings"
	"time"
)

// Map holds values by id. Its zero value holds none: set Most first.
type Map[V any] struct {
	Most int // that are held; the oldest makes room

	byID  map[string]entry[V]
	order []string // of coming; an id that was put twice stands there once
}

type entry[V any] struct {
	value V
	until time.Time
}

// Put holds a value until a time, in place of the one before of its id. It keeps a copy of
// the id, which may be a part of a whole message.
func (m *Map[V]) Put(id string, value V, until, now time.Time) {
	if m.byID == nil {
		m.byID = map[string]entry[V]{}
	}
	if _, known := m.byID[id]; !known {
		m.expire(now)
		for len(m.order) >= m.Most && len(m.order) > 0 {
			m.drop()
		}
		id = strings.Clone(id)
		m.order = append(m.order, id)
	}
	m.byID[id] = entry[V]{value, until}
}

// Get returns the value of an id, if its time is not over. An empty Map costs nothing.
func (m *Map[V]) Get(id string, now time.Time) (value V, found bool) {
	if len(m.byID) == 0 {
		return value, false
	}
	e, found := m.byID[id]
	if !found || !now.Before(e.until) {
		m.expire(now)
		return value, false
	}
	return e.value, true
}

// All yields what holds at now, the oldest first, with the time of its end.
func (m *Map[V]) All(now time.Time) iter.Seq2[V, time.Time] {
	return func(yield func(V, time.Time) bool) {
		for _, id := range m.order {
			if e := m.byID[id]; now.Before(e.until) && !yield(e.value, e.until) {
				return
			}
		}
	}
}

// Len is how many are held, those included that have not been dropped yet after their time.
func (m *Map[V]) Len() int { return len(m.order) }

// expire drops the oldest until one of them holds.
func (m *Map[V]) expire(now time.Time) {
	for len(m.order) > 0 && !now.Before(m.byID[m.order[0]].until) {
		m.drop()
	}
}

func (m *Map[V]) drop() {
	delete(m.byID, m.order[0])
	m.order = m.order[1:]
}
