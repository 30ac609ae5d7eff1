package dispatcher

import (
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// group is the messages of one FIFO group that are here, in their order. Only
// the head runs; the next one comes when the head is settled.
type group struct {
	id    string
	queue []*execution

	pacing *pacing // of a tenant with a rate; nil: it has none
}

func (g *group) head() *execution { return g.queue[0] }

func (d *dispatcher) join(e *execution) {
	g := d.groups[e.groupID]
	if g == nil {
		g = &group{id: e.groupID}
		d.groups[e.groupID] = g
		d.pace(g, e)
	}
	g.queue = append(g.queue, e)
	e.group = g
}

// advance takes e out of its group. After one that was given back or lost, those
// behind it are given back too: they may only run after it.
func (d *dispatcher) advance(e *execution) {
	g := e.group
	e.group = nil
	i := slices.Index(g.queue, e)
	if i < 0 {
		return
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	if len(g.queue) == 0 {
		delete(d.groups, g.id)
		return
	}
	if e.returned || e.lost {
		d.returnFollowers(g, i)
		return
	}
	if i > 0 {
		return
	}
	if next := g.head(); next.phase == queued && d.drain == nil {
		next.ledger.silent = 0 // its earlier deliveries ended with those of its head: it has never been one
		d.place(next, time.Now())
	}
}

// returnFollowers gives a group back from place i on, the last first.
func (d *dispatcher) returnFollowers(g *group, i int) {
	for _, e := range slices.Backward(slices.Clone(g.queue[i:])) {
		if e.phase == queued || e.phase == waiting {
			if e.phase == waiting {
				d.unhold(e)
			} else {
				d.unqueue(e)
				m := e.memory(undecided) // of this delivery and those before it: see advance
				m.silent = 0
				d.memories.keep(e.messageID, m)
			}
			e.returned = true
			d.settle(e, &poller.Settle{Lease: e.lease, Release: true})
		}
	}
}
