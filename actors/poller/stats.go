package poller

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// Stats are the counts of a poller since it was made, and what it has in hand.
// JSON-able; a value that does not change any more. Times are zero if there
// was none.
type Stats struct {
	QueueURL string `json:"queue_url"`

	Receives      int64 `json:"receives"`       // receives begun
	EmptyReceives int64 `json:"empty_receives"` // that brought nothing
	Received      int64 `json:"received"`       // messages
	Delivered     int64 `json:"delivered"`      // handed to the subscriber
	Deleted       int64 `json:"deleted"`        // messages
	Released      int64 `json:"released"`       // messages made visible again
	Extended      int64 `json:"extended"`       // leases, each time
	Lost          int64 `json:"lost"`           // leases lost during their execution
	Unsettled     int64 `json:"unsettled"`      // settles that could not be done

	// LeftOut is the number of optional messages that could not be sent: answers to askers
	// that are gone.
	LeftOut int64 `json:"left_out"`

	Requests Requests `json:"requests"`

	Failures      int64 `json:"failures"`       // calls that failed as a whole
	EntryFailures int64 `json:"entry_failures"` // entries refused in calls that did not
	Throttles     int64 `json:"throttles"`      // failures by which the queue asks for fewer calls
	Unknown       int64 `json:"unknown"`        // messages that are none of the protocol's
	Restarts      int64 `json:"restarts"`       // of the actor, after a panic

	Wanted           int64 `json:"wanted"`             // credits not used up; may be negative
	ReceivesUnderWay int64 `json:"receives_under_way"` // now
	Leases           int64 `json:"leases"`             // held now

	OldestLease time.Time `json:"oldest_lease,omitzero"` // when its message was received
	LastSuccess time.Time `json:"last_success,omitzero"` // last call that the queue answered well
	LastFailure time.Time `json:"last_failure,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
	Refused     []Refusal `json:"refused,omitempty"` // rights that the service refuses now
	Alive       time.Time `json:"alive,omitzero"`    // last sign of life of the actor, every 5 s at least

	Client sqsclient.Stats `json:"client"` // of all that share the poller's client
}

// Requests counts the requests of a poller by what they are for.
type Requests struct {
	Receive int64 `json:"receive"`
	Delete  int64 `json:"delete"`
	Release int64 `json:"release"`
	Extend  int64 `json:"extend"`
	Count   int64 `json:"count"` // of the messages on the queue
}

// Add makes s the sum of two pollers. Of two times it keeps the one that says
// more: the older lease and sign of life, the last error. QueueURL and Client
// stay as they are: all pollers of a process share one client.
func (s *Stats) Add(o *Stats) {
	for _, n := range []struct{ into, from *int64 }{
		{&s.Receives, &o.Receives}, {&s.EmptyReceives, &o.EmptyReceives}, {&s.Received, &o.Received},
		{&s.Delivered, &o.Delivered}, {&s.Deleted, &o.Deleted}, {&s.Released, &o.Released}, {&s.Extended, &o.Extended},
		{&s.Lost, &o.Lost}, {&s.Unsettled, &o.Unsettled}, {&s.LeftOut, &o.LeftOut}, {&s.Failures, &o.Failures}, {&s.EntryFailures, &o.EntryFailures},
		{&s.Throttles, &o.Throttles}, {&s.Unknown, &o.Unknown}, {&s.Restarts, &o.Restarts}, {&s.Wanted, &o.Wanted},
		{&s.ReceivesUnderWay, &o.ReceivesUnderWay}, {&s.Leases, &o.Leases},
		{&s.Requests.Receive, &o.Requests.Receive}, {&s.Requests.Delete, &o.Requests.Delete},
		{&s.Requests.Release, &o.Requests.Release}, {&s.Requests.Extend, &o.Requests.Extend}, {&s.Requests.Count, &o.Requests.Count},
	} {
		*n.into += *n.from
	}
	for _, t := range []struct{ into, from *time.Time }{
		{&s.OldestLease, &o.OldestLease}, {&s.LastSuccess, &o.LastSuccess}, {&s.Alive, &o.Alive},
	} {
		if !t.from.IsZero() && (t.into.IsZero() || t.from.Before(*t.into)) {
			*t.into = *t.from
		}
	}
	for _, r := range o.Refused { // two pools may have one on_fail pool
		same := func(x Refusal) bool { return x.Action == r.Action && x.Queue == r.Queue }
		if !slices.ContainsFunc(s.Refused, same) {
			s.Refused = append(slices.Clip(s.Refused), r)
		}
	}
	if o.LastFailure.After(s.LastFailure) {
		s.LastFailure, s.LastError = o.LastFailure, o.LastError
	}
}

type failure struct {
	At    time.Time
	Error string
}

type counts struct {
	receives, empty, received, delivered, deleted, released, extended, lost, unsettled atomic.Int64
	calls                                                                              [kinds]atomic.Int64
	counted, failures, entryFailures, throttles, unknown, restarts, leftOut            atomic.Int64
	wanted, underWay, leases, oldest, success, alive                                   atomic.Int64
	lastError                                                                          atomic.Pointer[failure]
	refused                                                                            atomic.Pointer[[]Refusal]
}

// Stats may be called from any goroutine, before, during and after the actor's
// life. Its counts are each exact, but not of one instant.
func (p *Poller) Stats() Stats {
	c := &p.counts
	s := Stats{
		QueueURL: p.cfg.QueueURL,
		Receives: c.receives.Load(), EmptyReceives: c.empty.Load(), Received: c.received.Load(), Delivered: c.delivered.Load(),
		Deleted: c.deleted.Load(), Released: c.released.Load(), Extended: c.extended.Load(), Lost: c.lost.Load(), Unsettled: c.unsettled.Load(), LeftOut: c.leftOut.Load(),
		Requests: Requests{
			Receive: c.receives.Load(), Delete: c.calls[deletion].Load(), Release: c.calls[release].Load(),
			Extend: c.calls[extension].Load(), Count: c.counted.Load(),
		},
		Failures: c.failures.Load(), EntryFailures: c.entryFailures.Load(), Throttles: c.throttles.Load(), Unknown: c.unknown.Load(), Restarts: c.restarts.Load(),
		Wanted: c.wanted.Load(), ReceivesUnderWay: c.underWay.Load(), Leases: c.leases.Load(),
		OldestLease: instant(&c.oldest), LastSuccess: instant(&c.success), Alive: instant(&c.alive),
		Client: sqsclient.StatsOf(p.cfg.Client),
	}
	if f := c.lastError.Load(); f != nil {
		s.LastFailure, s.LastError = f.At, f.Error
	}
	if r := c.refused.Load(); r != nil {
		s.Refused = slices.Clone(*r)
	}
	return s
}

func instant(n *atomic.Int64) time.Time {
	if ns := n.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// inspect is [Poller.Stats] of this very instant.
func (w *worker) inspect() *Stats {
	w.publish()
	s := w.Stats()
	return &s
}

func (w *worker) publish() {
	w.counts.wanted.Store(int64(w.demand.credits))
	w.counts.underWay.Store(int64(len(w.receives)))
	w.counts.leases.Store(int64(w.ledger.held()))
	if len(w.refusals.all) > 0 || w.counts.refused.Load() != nil {
		w.publishRefusals()
	}
	var oldest int64
	if l := w.ledger.oldest(); l != nil {
		oldest = l.received.UnixNano()
	}
	w.counts.oldest.Store(oldest)
}

func (w *worker) publishRefusals() {
	if list := w.refusals.list(w.now); len(list) > 0 {
		w.counts.refused.Store(&list)
	} else {
		w.counts.refused.Store(nil)
	}
}

func (w *worker) onInspectLeases(m *InspectLeases) {
	ends := make(map[LeaseID]time.Time, len(w.ledger.leases))
	for id, l := range w.ledger.leases {
		if !l.over() {
			ends[id] = l.end
		}
	}
	select {
	case m.Reply <- ends:
	default: // no room: the asker gets no answer, and nothing waits here
	}
}
