package dispatcher

import (
	"testing"
	"time"
)

func TestDeparturesAreInTheirOrderAndLeaveWhenTheyEnd(t *testing.T) {
	var l departures
	var list [4]attempt
	for i := range list {
		l.add(&list[i], time.Unix(int64(i), 0))
		l.add(&list[i], time.Unix(99, 0)) // a second time
	}
	l.remove(&list[1].departure)
	l.remove(&list[1].departure)
	l.remove(&list[3].departure)
	if l.waiting != 2 || l.first != &list[0].departure || l.first.next != &list[2].departure || l.last != l.first.next || l.last.prev != l.first {
		t.Errorf("%+v", l)
	}
	l.remove(&list[0].departure)
	l.remove(&list[2].departure)
	if l.waiting != 0 || l.first != nil || l.last != nil {
		t.Errorf("%+v", l)
	}
}
