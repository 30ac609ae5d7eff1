package breaker

import "sync/atomic"

// hangWatch is a call in flight that is watched for hanging.
type hangWatch struct {
	path   string
	gen    uint64
	begun  atomic.Int64 // since when the service is waited for, ns; never while it is not
	status atomic.Int32
	next   *hangWatch
}

// The status of a hangWatch.
const (
	callRuns int32 = iota
	callEnded
	callHangs
)

// end ends the watch. It returns false if the call had been found hanging.
func (w *hangWatch) end() bool { return w.status.CompareAndSwap(callRuns, callEnded) }

// watchHang begins to watch a call: one allocation, and no message unless it is
// the first after a pause.
func (b *Breaker) watchHang(p Permit) *hangWatch {
	w := &hangWatch{path: p.path, gen: p.gen}
	w.begun.Store(b.now())
	for {
		w.next = b.own.watched.Load()
		if b.own.watched.CompareAndSwap(w.next, w) {
			break
		}
	}
	if !b.own.sweeping.Load() && b.own.sweeping.CompareAndSwap(false, true) {
		b.mailbox.Load().PostUserMessage(tick{})
	}
	return w
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
	for w := o.watched.Swap(nil); w != nil; w = w.next {
		more.watches = append(more.watches, w)
	}
	still := more.watches[:0]
	for _, w := range more.watches {
		switch {
		case w.status.Load() != callRuns:
		case e.now-w.begun.Load() < int64(e.set.HangTime):
			w.next = nil
			still = append(still, w)
		case w.status.CompareAndSwap(callRuns, callHangs):
			e.report(result{path: w.path, gen: w.gen, kind: evHang})
		}
	}
	clear(more.watches[len(still):])
	more.watches = still
	if len(still) == 0 {
		more.watches = nil
		o.sweeping.Store(false)
		if o.watched.Load() == nil || !o.sweeping.CompareAndSwap(false, true) {
			return
		}
	}
	e.dues = append(e.dues, due{e.now + max(1, int64(e.set.HangTime)/sweepsPerHang), sweepDue})
}

// sweepDue is the path of a due that only wants a tick: no entry has it.
const sweepDue = "sweep"
