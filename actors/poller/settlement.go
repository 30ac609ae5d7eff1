package poller

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// settleStage says where a settlement stands. A settlement is over when its
// lease is closed, or is with the subscriber again.
//
//	stage      event                                 step       next
//	ready      it has messages to send               send       sending
//	           they may not be sent now              putOff     ready, as a release
//	           deletes fail for a moment             postpone   postponed
//	           its release meets an extension        block      blocked
//	           else                                  request    batched
//	sending    all are sent                          proceed    ready
//	           a right is refused, a queue is away   putOff     ready, as a release
//	           they can never be sent                takeBack   -, the lease is delivered
//	           the lease is over                     finish     -
//	           they failed for a passing reason      postpone   postponed
//	blocked    the extension is answered             proceed    ready
//	batched    its request is made                              requested
//	requested  the queue did it, or never will       finish     -
//	           the request failed                    postpone   postponed
//	postponed  its time has come                     proceed    ready
//	any        the drain ends                        finish     -
type settleStage uint8

const (
	ready     settleStage = iota // its next step is to be decided
	sending                      // the sender has its messages
	blocked                      // a release waits for the answer to an extension, which would hide the message again
	batched                      // it waits for others, to share a request
	requested                    // it is in a request
	postponed                    // it waits for its next try
)

func (s settleStage) String() string {
	return [...]string{"ready", "sending", "blocked", "batched", "requested", "postponed"}[s]
}

// settlement is how a lease is to end. Its kind is deletion or release; what
// is to be sent goes before.
type settlement struct {
	kind      kind
	stage     settleStage
	own       bool       // the subscriber did not ask for it, and gets no answer
	answered  bool       // with success, an error, or nothing if it is our own
	visibleAt time.Time  // of a release
	unsent    []Outgoing // each with its pool
	refused   error      // why the message is hidden instead of what was asked for; nil: it is not
	call      *call      // the request it is in
	since     time.Time
	tries     int
	serial    uint64 // in order of coming, for Flush
	link      *trace.Link
}

// deleting reports whether only the delete is left to do.
func (s *settlement) deleting() bool { return s.kind == deletion && len(s.unsent) == 0 }

// outlivesLease reports whether the settlement goes on when its lease is lost.
// Nothing is sent for a lost lease, and nothing is released.
func (s *settlement) outlivesLease() bool {
	return s.deleting() || s.kind == deletion && s.stage == sending
}

// step is what the poller does next about a settlement.
type step uint8

const (
	proceed  step = iota // decide again
	send                 // hand the messages to the sender
	block                // let the extension end
	request              // join the next request of the kind
	postpone             // try the same again, at or after a pause
	putOff               // hide the message until at, in place of what was asked for
	takeBack             // answer with the error; another settle may come
	finish               // close the lease, and answer with the error if any
)

func (s step) String() string {
	return [...]string{"proceed", "send", "block", "request", "postpone", "put off", "take back", "finish"}[s]
}

// decision is a step and what belongs to it.
type decision struct {
	step step
	at   time.Time // of postpone and putOff; zero: as soon as a try makes sense
	err  error
}

// obstacle is why messages are not to be sent now. The zero value is no obstacle.
type obstacle struct {
	err   error
	at    time.Time // when it may be gone
	brief bool      // it has lasted for a moment only: the lease is kept meanwhile
}

func (o obstacle) decide() decision {
	if o.brief {
		return decision{step: postpone}
	}
	return decision{putOff, o.at, o.err}
}

// next decides how a settlement in the stage ready goes on.
func (s *settlement) next(extending bool, o obstacle) decision {
	switch {
	case len(s.unsent) > 0 && o.err != nil:
		return o.decide()
	case len(s.unsent) > 0:
		return decision{step: send}
	case s.kind == release && extending:
		return decision{step: block}
	}
	return decision{step: request}
}

// afterSend decides how it goes on once the sender has answered. failure is of
// one that was not sent, o concerns those that are left, over is the lease's,
// and patient is false when the settlement lasts for longer than a lease.
func (s *settlement) afterSend(failure error, o obstacle, over, patient bool) decision {
	switch {
	case failure == nil:
		return decision{step: proceed}
	case over:
		return decision{step: finish, err: ErrLeaseLost}
	case o.err != nil && (isDenied(failure) || !isHopeless(failure)):
		return o.decide()
	case isDenied(failure):
		return decision{step: putOff, err: failure}
	case isHopeless(failure) || !patient:
		return decision{step: takeBack, err: failure}
	}
	return decision{step: postpone}
}

// afterRequest decides how it goes on once the queue has answered. What failed
// together is tried again together, at again; zero: at a time of its own. While
// the poller drains, a refused right ends it, and all else is tried soon.
func (s *settlement) afterRequest(err error, again time.Time, over, draining bool) decision {
	switch {
	case err == nil:
		return decision{step: finish}
	case isBadHandle(err):
		return decision{step: finish, err: fmt.Errorf("%w: %w", ErrLeaseLost, err)}
	case over && s.kind == release:
		return decision{step: finish, err: ErrLeaseLost}
	case !draining:
		return decision{step: postpone, at: again}
	case isDenied(err):
		return decision{step: finish, err: err}
	}
	return decision{step: postpone}
}

// hide makes a release of it, because of why.
func (s *settlement) hide(until time.Time, why error) {
	s.kind, s.unsent, s.refused, s.visibleAt = release, nil, why, until
	s.stage = ready
}

// isHopeless reports whether sending the same again cannot help.
func isHopeless(err error) bool {
	var entry *BatchError
	return errors.As(err, &entry) && entry.SenderFault || errors.Is(err, ErrInvalidMessage) ||
		errors.Is(err, ErrQueueName) || errors.Is(err, ErrSenderClosed) || errors.Is(err, ErrOrder)
}
