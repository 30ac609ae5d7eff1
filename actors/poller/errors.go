package poller

import "errors"

var (
	// ErrLeaseLost says that a message may be with another process by now.
	ErrLeaseLost = errors.New("poller: the lease on the message is lost")
	// ErrLeaseLimit is the [ErrLeaseLost] of a lease that has reached [MaxLease].
	ErrLeaseLimit = limitError{}
	// ErrSettling answers a second [Settle] while the first is under way.
	ErrSettling = errors.New("poller: the lease is being settled already")
	// ErrDeletesFail answers a [Settle] that would send a copy of a message while
	// deletes do not get through: both would be there afterwards, and twice as many
	// after the next attempt.
	ErrDeletesFail = errors.New("poller: deletes do not get through: no copy is sent of a message that could not be deleted")
	// ErrDrained answers a [Settle] that has no answer of the queue at the end of
	// [Drain.Until]. The message comes back when its lease ends.
	ErrDrained = errors.New("poller: the drain has ended before the queue answered a settle")
)

type limitError struct{}

func (limitError) Error() string {
	return "poller: SQS keeps no message for more than 12 hours after it was received: the lease has ended"
}

func (limitError) Is(target error) bool { return target == ErrLeaseLost }
