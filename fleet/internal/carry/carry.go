// Package carry keeps what one member of a fleet has to bring to the others, until each has
// answered: what is lost on the way is sent again, and a member that does not answer holds
// up no other. It is pure: the time is an argument, and what is to be sent is a result.
//
//	o := c.Add(body, now)            // for each member
//	packets, next := c.Due(now)      // to be sent now; look again at next
//	c.Answered("n2", o.Number, 1, false) // of one member
//	o.Found, o.Asked, o.Answered     // what is known
package carry

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Bounds.
const (
	// MostWaiting is how many orders wait for the answer of one member. One that is
	// full gets no more, and counts as missing.
	MostWaiting = 4096

	// Window is how many of them are under way to a member at once: the next ones follow
	// as it answers. More would be lost in its buffers.
	Window = 128

	// KeepFor is how long an order is sent again.
	KeepFor = 5 * time.Second

	// MaxBodies bounds the sum of the bodies of one packet, in bytes, and MaxOrders their number.
	MaxBodies = 1100
	MaxOrders = 16
)

// First is the pause before an order is sent again; each further one is twice as long, up
// to most.
const (
	First = 20 * time.Millisecond
	most  = 640 * time.Millisecond
)

// Order is something that is brought to all members.
type Order struct {
	Number   uint64
	Body     json.RawMessage
	Found    int // what the members that have answered had, together
	Asked    int // members
	Answered int // of them
	Missing  int // of them, that have no room, have gone, or were silent for KeepFor

	since time.Duration
}

// Settled reports whether each member has answered, or will not.
func (o *Order) Settled() bool { return o.Answered+o.Missing >= o.Asked }

// Packet is what is to be sent to a member.
type Packet struct {
	Member string
	Bodies []json.RawMessage
}

// Carry is what a member carries. Its zero value carries nothing, to none.
type Carry struct {
	number uint64
	lanes  map[string]*lane
}

// lane is what one member has not answered, in the order of the numbers.
type lane struct{ waiting []*parcel }

type parcel struct {
	*Order
	sent int
	due  time.Duration // 0: at once
}

// Members sets who the others are. What waits for one that has gone is missing.
func (c *Carry) Members(names map[string]bool) (changed []*Order) {
	if c.lanes == nil {
		c.lanes = map[string]*lane{}
	}
	for name := range names {
		if c.lanes[name] == nil {
			c.lanes[name] = &lane{}
		}
	}
	for name, l := range c.lanes {
		if names[name] {
			continue
		}
		for _, p := range l.waiting {
			p.Missing++
			changed = append(changed, p.Order)
		}
		delete(c.lanes, name)
	}
	return changed
}

// Next is the number of the next order: its body names it.
func (c *Carry) Next() uint64 { return c.number + 1 }

// Add has an order brought to all members.
func (c *Carry) Add(body json.RawMessage, now time.Duration) *Order {
	c.number++
	o := &Order{Number: c.number, Body: body, Asked: len(c.lanes), since: now}
	for _, l := range c.lanes {
		if len(l.waiting) >= MostWaiting {
			o.Missing++
			continue
		}
		l.waiting = append(l.waiting, &parcel{Order: o})
	}
	return o
}

// Answered takes in the answer of a member: what it had, or that it has failed. It returns
// the order, or nil for an answer that comes twice, or to nothing.
func (c *Carry) Answered(member string, number uint64, found int, failed bool) *Order {
	l := c.lanes[member]
	if l == nil {
		return nil
	}
	i, there := slices.BinarySearchFunc(l.waiting, number, func(p *parcel, n uint64) int {
		return cmp.Compare(p.Number, n)
	})
	if !there {
		return nil
	}
	o := l.waiting[i].Order
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if failed {
		o.Missing++
		return o
	}
	o.Answered++
	o.Found += max(0, found)
	return o
}

// Due returns what is to be sent now, when the next look is due, and the orders that are
// not sent any more. Without anything that waits, next is 0.
func (c *Carry) Due(now time.Duration) (packets []Packet, next time.Duration, lapsed []*Order) {
	for name, l := range c.lanes {
		gone := 0
		for gone < len(l.waiting) && now-l.waiting[gone].since >= KeepFor {
			l.waiting[gone].Missing++
			lapsed = append(lapsed, l.waiting[gone].Order)
			gone++
		}
		l.waiting = slices.Delete(l.waiting, 0, gone)
		p, size := Packet{Member: name}, 0
		for _, w := range l.waiting[:min(len(l.waiting), Window)] {
			if now >= w.due {
				if size += len(w.Body) + 1; len(p.Bodies) == MaxOrders || size > MaxBodies && len(p.Bodies) > 0 {
					packets = append(packets, p)
					p, size = Packet{Member: name}, len(w.Body)+1
				}
				p.Bodies = append(p.Bodies, w.Body)
				w.due = now + min(First<<min(w.sent, 10), most)
				w.sent++
			}
			if next == 0 || w.due < next {
				next = w.due
			}
		}
		if len(p.Bodies) > 0 {
			packets = append(packets, p)
		}
	}
	return packets, next, lapsed
}
