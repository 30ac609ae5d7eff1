package dispatcher

import (
	"slices"

	"github.com/sambatech/chassis/actors/poller"
)

// A standard queue may deliver a message a second time while its first delivery is
// still under way (SQS developer guide, "At-least-once delivery"). If that comes to
// the same process, the second delivery waits behind the execution of the first:
// the task does not run twice at a time, and the first one's end settles both.

// duplicates are the executions by message, and the deliveries behind them. Pure,
// no actor. The zero value is ready to use.
type duplicates struct {
	firsts map[string]*execution              // by message id
	behind map[*execution][]*poller.Delivered // in the order in which they came
	ending map[poller.LeaseID]bool            // settled, the poller has not answered yet
}

// begin notes that e is the execution of its message.
func (ds *duplicates) begin(e *execution) {
	if ds.firsts == nil {
		ds.firsts = map[string]*execution{}
	}
	ds.firsts[e.messageID] = e
}

// wait puts a delivery behind the execution of its message, and reports whether
// there is one.
func (ds *duplicates) wait(m *poller.Delivered) bool {
	first := ds.firsts[m.MessageID]
	if first == nil {
		return false
	}
	if ds.behind == nil {
		ds.behind = map[*execution][]*poller.Delivered{}
	}
	ds.behind[first] = append(ds.behind[first], m)
	return true
}

// end notes that e has left, and returns the deliveries behind it.
func (ds *duplicates) end(e *execution) []*poller.Delivered {
	if ds.firsts[e.messageID] != e {
		return nil
	}
	delete(ds.firsts, e.messageID)
	all := ds.behind[e]
	delete(ds.behind, e)
	return all
}

// settling notes that a delivery is settled towards the poller.
func (ds *duplicates) settling(lease poller.LeaseID) {
	if ds.ending == nil {
		ds.ending = map[poller.LeaseID]bool{}
	}
	ds.ending[lease] = true
}

// drop forgets a delivery that was settled, or has lost its lease.
func (ds *duplicates) drop(lease poller.LeaseID) {
	delete(ds.ending, lease)
	for e, all := range ds.behind {
		i := slices.IndexFunc(all, func(m *poller.Delivered) bool { return m.Lease == lease })
		if i < 0 {
			continue
		}
		if ds.behind[e] = slices.Delete(all, i, i+1); len(ds.behind[e]) == 0 {
			delete(ds.behind, e)
		}
		return
	}
}

// none reports whether no delivery waits or is being settled.
func (ds *duplicates) none() bool { return len(ds.behind)+len(ds.ending) == 0 }

// endDuplicates decides about the deliveries behind e, which has left: they are
// deleted if its message was, for SQS may go by the newest receipt alone. After a
// message that was given back or lost, the next delivery takes its place.
func (d *dispatcher) endDuplicates(e *execution) {
	for _, m := range d.duplicates.end(e) {
		if e.returned || e.lost {
			d.deliver(m)
			continue
		}
		d.duplicates.settling(m.Lease)
		d.ctx.Send(d.poller, &poller.Settle{Lease: m.Lease})
	}
}
