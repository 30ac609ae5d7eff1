package poller

import (
	"errors"
	"fmt"
	"time"
)

// Settings of one poller. The zero value means the defaults.
type Settings struct {
	// TaskTimeout is the length of a lease: for so long SQS hides a message
	// from others after it was received and after each extension, and so long
	// it takes until another process gets it after a crash. 1 s to 12 h, whole
	// seconds; zero means 120 s.
	TaskTimeout time.Duration `key:"task_timeout" rule:"optional,min=1s,max=12h" doc:"lease on a message while its task runs; extended until the task ends; whole seconds, default 120"`

	// ReceiveWait is how long a receive waits for a first message (a long
	// poll). 1 to 20 s, whole seconds; zero means 20 s, the most that SQS
	// allows, by which an idle pool costs 4 320 requests a day. It is also how
	// long the end of a drain may take. More than half a TaskTimeout is cut to
	// that.
	ReceiveWait time.Duration `key:"receive_wait" rule:"optional,min=1s,max=20s" doc:"long poll of a receive; whole seconds, 1s to 20s, default 20s"`

	// MaxReceives bounds the receives under way at once. One is under way
	// while there is little to do, more as they come back full. 1 to 100; zero
	// means 32.
	MaxReceives int `key:"max_receives" rule:"optional,min=1,max=100" doc:"receives under way at once, at most; default 32"`

	// MaxRequests bounds, each for itself, the deletes and the visibility
	// changes under way at once. 1 to 1 000; zero means 64.
	MaxRequests int `key:"max_requests" rule:"optional,min=1,max=1000" doc:"deletes under way at once, at most, and visibility changes; default 64"`

	// SettleLinger is how long a delete or a release may wait for others, to
	// share a request. Zero means 20 ms, in which 500 tasks a second fill
	// their requests; a negative value not at all. On a FIFO queue it is at
	// most 2 ms, for the next message of the group waits.
	SettleLinger time.Duration `key:"settle_linger" rule:"optional,nonzero,max=1s" doc:"wait of a delete for others to share its request, negative: none; default 20ms"`

	// RequestTimeout bounds any request but a receive, with the SDK's own
	// tries. Zero means 10 s. A receive gets ReceiveWait and twice this.
	RequestTimeout time.Duration `key:"queue_request_timeout" rule:"optional,min=1ms,max=1m" doc:"longest time of a request to the queue, long polls aside; default 10s"`

	// LeaseNotice is how long before SQS's limit of 12 hours LeaseExpiring comes.
	// Zero means 5 min.
	LeaseNotice time.Duration `key:"lease_notice" rule:"optional,min=1ms,max=6h" doc:"warning before the 12 hours of a message are over; default 5m"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings { return Settings{}.withDefaults() }

func (s Settings) withDefaults() Settings {
	orDefault(&s.TaskTimeout, 120*time.Second)
	orDefault(&s.ReceiveWait, maxWait)
	orDefault(&s.MaxReceives, 32)
	orDefault(&s.MaxRequests, 64)
	orDefault(&s.SettleLinger, 20*time.Millisecond)
	orDefault(&s.RequestTimeout, 10*time.Second)
	orDefault(&s.LeaseNotice, 5*time.Minute)
	return s
}

func orDefault[T comparable](v *T, d T) {
	if *v == *new(T) {
		*v = d
	}
}

// maxWait is the longest long poll of SQS (WaitTimeSeconds).
const maxWait = 20 * time.Second

// Validate returns every setting that is out of its range, all in one error.
func (s Settings) Validate() error {
	s = s.withDefaults()
	var errs []error
	within := func(name string, v, lo, hi any, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("poller: setting %s is %v, it must be from %v to %v", name, v, lo, hi))
		}
	}
	duration := func(name string, v, lo, hi time.Duration, whole bool) {
		within(name, v, lo, hi, v >= lo && v <= hi)
		if whole && v%time.Second != 0 {
			errs = append(errs, fmt.Errorf("poller: setting %s is %v, SQS counts in whole seconds", name, v))
		}
	}
	duration("task_timeout", s.TaskTimeout, time.Second, MaxLease, true)
	duration("receive_wait", s.ReceiveWait, time.Second, maxWait, true)
	duration("queue_request_timeout", s.RequestTimeout, time.Millisecond, time.Minute, false)
	duration("lease_notice", s.LeaseNotice, time.Millisecond, MaxLease/2, false)
	within("settle_linger", s.SettleLinger, "none", time.Second, s.SettleLinger <= time.Second)
	within("max_receives", s.MaxReceives, 1, 100, s.MaxReceives >= 1 && s.MaxReceives <= 100)
	within("max_requests", s.MaxRequests, 1, 1000, s.MaxRequests >= 1 && s.MaxRequests <= 1000)
	return errors.Join(errs...)
}

// receiveWait leaves at least half of the lease for the task, even if the
// message was handed out at the very start of the long poll.
func (s Settings) receiveWait() time.Duration {
	return max(min(s.ReceiveWait, (s.TaskTimeout/2).Truncate(time.Second)), time.Second)
}
