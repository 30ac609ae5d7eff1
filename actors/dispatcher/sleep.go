package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// After a sleep of the machine every timer here comes late, for the monotonic
// clock has stood still (golang/go#24595). The poller notices it.

// deadlineOver is the tick of a deadline that was moved to the wall clock's time.
type deadlineOver struct{ a *attempt }

// onSlept moves what has a time of its own: held waits, and deadlines. Leases
// that ended are lost by the poller's word.
func (d *dispatcher) onSlept(m *poller.Slept) {
	now := time.Now()
	for _, e := range d.execs {
		switch {
		case e.phase == waiting:
			e.until = e.until.Add(-m.For)
			d.arm(e, max(e.until.Sub(now), 0))
		case e.phase == running && !e.cur.info.Deadline.IsZero():
			d.expire(e.cur, max(e.cur.info.Deadline.Sub(now)-m.For, 0))
		}
	}
}

// expire ends an attempt's ctx after a time, as its deadline does.
func (d *dispatcher) expire(a *attempt, after time.Duration) {
	root, self := d.system.Root, d.self
	time.AfterFunc(after, func() { root.Send(self, &deadlineOver{a}) })
}

func (d *dispatcher) onDeadlineOver(m *deadlineOver) {
	if a := m.a; a.exec.cur == a && d.execs[a.exec.lease] == a.exec && !a.graced {
		d.interrupt(a, ErrDeadline)
	}
}
