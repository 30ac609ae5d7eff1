package recent

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMap(t *testing.T) {
	m := Map[int]{Most: 3}
	now := time.Unix(1000, 0)
	if _, found := m.Get("a", now); found {
		t.Error("one that was never put")
	}
	m.Put("a", 1, now.Add(time.Minute), now)
	m.Put("b", 2, now.Add(time.Hour), now)
	if v, found := m.Get("a", now.Add(59*time.Second)); !found || v != 1 {
		t.Errorf("%v, %v", v, found)
	}
	if _, found := m.Get("c", now); found {
		t.Error("another one")
	}
	if _, found := m.Get("a", now.Add(time.Minute)); found || m.Len() != 1 {
		t.Errorf("its time is over, and %d are held", m.Len())
	}
	for i := range 10 {
		m.Put(fmt.Sprint(i), i, now.Add(time.Hour), now)
		m.Put(fmt.Sprint(i), i, now.Add(time.Hour), now) // twice is once
	}
	if _, found := m.Get("b", now); found || m.Len() != 3 || len(m.byID) != 3 {
		t.Errorf("%d are held, by id %d", m.Len(), len(m.byID))
	}
	if v, found := m.Get("7", now); !found || v != 7 {
		t.Error("the oldest that has room is not there")
	}
	m.Put("7", 77, now.Add(2*time.Hour), now) // again: another value, and another time, at its old place
	var got []int
	for v, until := range m.All(now.Add(time.Hour)) {
		got = append(got, v)
		if !until.Equal(now.Add(2 * time.Hour)) {
			t.Errorf("%d holds until %v", v, until)
		}
	}
	if fmt.Sprint(got) != "[77]" {
		t.Errorf("%v hold", got)
	}
	m.Put("new", 0, now.Add(4*time.Hour), now.Add(3*time.Hour)) // those that hold no more make room
	if m.Len() != 1 || len(m.byID) != 1 {
		t.Errorf("%d are held", m.Len())
	}
}
