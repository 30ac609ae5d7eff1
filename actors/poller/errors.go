package poller

import (
	"errors"
	"time"
)

// MaxLease is how long SQS keeps a message invisible after it was received, in
// all: 12 hours, however often that is extended (SQS developer guide,
// "Visibility timeout").
const MaxLease = 12 * time.Hour

var (
	// ErrLeaseLost says that a message may be with another process by now.
	ErrLeaseLost = errors.New("poller: the lease on the message is lost")
	// ErrLeaseLimit is an [ErrLeaseLost] whose reason is [MaxLease].
	ErrLeaseLimit = limitError{}
	// ErrSettling answers a second [Settle] while the first is under way.
	ErrSettling = errors.New("poller: the lease is being settled already")
)

type limitError struct{}

func (limitError) Error() string {
	return "poller: SQS keeps no message for more than 12 hours after it was received: the lease has ended"
}

func (limitError) Is(target error) bool { return target == ErrLeaseLost }
