package breaker

import "sync/atomic"

// flight is a call in flight, watched for hanging.
type flight struct {
	path   string
	gen    uint64
	begun  atomic.Int64 // since when the service is waited for, ns; never while it is not
	status atomic.Int32
	next   *flight
}

const (
	flying int32 = iota
	landed
	hanging
)

// land ends the flight. It returns false if the flight had been found hanging.
func (f *flight) land() bool { return f.status.CompareAndSwap(flying, landed) }

// takeOff begins to watch a call: one allocation, and no message unless it is
// the first after a pause.
func (b *Breaker) takeOff(p Permit) *flight {
	f := &flight{path: p.path, gen: p.gen}
	f.begun.Store(b.now())
	for {
		f.next = b.own.aloft.Load()
		if b.own.aloft.CompareAndSwap(f.next, f) {
			break
		}
	}
	if !b.own.sweeping.Load() && b.own.sweeping.CompareAndSwap(false, true) {
		b.mailbox.Load().PostUserMessage(tick{})
	}
	return f
}

// sweepsPerHang is how finely a hanging call is found: at most an eighth late.
const sweepsPerHang = 8

// sweep finds the calls that hang and asks for the next sweep while any are in flight.
func (s *state) sweep(e *edit) {
	o := &s.b.own
	if !o.sweeping.Load() {
		return
	}
	more := o.more()
	for f := o.aloft.Swap(nil); f != nil; f = f.next {
		more.flights = append(more.flights, f)
	}
	still := more.flights[:0]
	for _, f := range more.flights {
		switch {
		case f.status.Load() != flying:
		case e.now-f.begun.Load() < int64(e.set.HangTime):
			f.next = nil
			still = append(still, f)
		case f.status.CompareAndSwap(flying, hanging):
			e.report(result{path: f.path, gen: f.gen, kind: evHang})
		}
	}
	clear(more.flights[len(still):])
	more.flights = still
	if len(still) == 0 {
		more.flights = nil
		o.sweeping.Store(false)
		if o.aloft.Load() == nil || !o.sweeping.CompareAndSwap(false, true) {
			return
		}
	}
	e.dues = append(e.dues, due{e.now + max(1, int64(e.set.HangTime)/sweepsPerHang), sweepDue})
}

// sweepDue is the path of a due that only wants a tick: no entry has it.
const sweepDue = "sweep"
