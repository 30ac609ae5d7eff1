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
	Messages      int64 `json:"messages"`       // received
	Delivered     int64 `json:"delivered"`      // handed to the subscriber
	Deleted       int64 `json:"deleted"`        // messages
	Released      int64 `json:"released"`       // messages made visible again
	Extended      int64 `json:"extended"`       // leases, each time
	Lost          int64 `json:"lost"`           // leases lost during their execution
	Unsettled     int64 `json:"unsettled"`      // settles that could not be done

	DeleteCalls  int64 `json:"delete_calls"`
	ReleaseCalls int64 `json:"release_calls"`
	ExtendCalls  int64 `json:"extend_calls"`
	CountCalls   int64 `json:"count_calls"`

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

type failure struct {
	At    time.Time
	Error string
}

type counts struct {
	receives, empty, messages, delivered, deleted, released, extended, lost, unsettled atomic.Int64
	calls                                                                              [kinds]atomic.Int64
	counted, failures, entryFailures, throttles, unknown, restarts                     atomic.Int64
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
		Receives: c.receives.Load(), EmptyReceives: c.empty.Load(), Messages: c.messages.Load(), Delivered: c.delivered.Load(),
		Deleted: c.deleted.Load(), Released: c.released.Load(), Extended: c.extended.Load(), Lost: c.lost.Load(), Unsettled: c.unsettled.Load(),
		DeleteCalls: c.calls[deletion].Load(), ReleaseCalls: c.calls[release].Load(), ExtendCalls: c.calls[extension].Load(), CountCalls: c.counted.Load(),
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
	w.counts.leases.Store(int64(len(w.ledger.leases) - w.ledger.lost))
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
		if !l.lost {
			ends[id] = l.end
		}
	}
	select {
	case m.Reply <- ends:
	default: // no room: whoever asked is told by nothing, and nobody waits here
	}
}
