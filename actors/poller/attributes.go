package poller

import "time"

// QueueAttributes are what a queue does with its messages, by its own word. A
// zero field is not known, or not set.
type QueueAttributes struct {
	Retention      time.Duration // MessageRetentionPeriod: 1 min to 14 days
	MaxMessageSize int           // MaximumMessageSize: bytes with the attributes, 1 KiB to 1 MiB
}
