package poller

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/task"
)

// LeaseID names one delivery of one message for as long as its poller lives.
// The receipt handle behind it never leaves the poller.
type LeaseID uint64

// Messages that a subscriber sends, as pointers or as values, immutable once
// sent. Any other message is answered with [*actors.Unhandled].
type (
	// Subscribe makes To the receiver of [Delivered], [LeaseLost] and
	// [Settled]. It begins a new epoch: demand starts at zero, and what an
	// earlier subscriber had not settled is released at once: the executions
	// behind those leases are gone.
	//
	// Epoch is the subscriber's number for it and comes back on each [Delivered].
	// A subscriber that was restarted recognizes by it what is in its mailbox
	// from before, and released.
	//
	// Batches lets several messages to the subscriber come in one [*Batch].
	Subscribe struct {
		To      *actor.PID
		Epoch   uint64
		Batches bool
	}

	// Want adds to the demand: the subscriber has Credits more free slots.
	// Each [Delivered] uses up one. A negative number takes demand back;
	// what is already being received may still come and must be taken.
	// The demand is the plain sum of all credits of the epoch less its
	// deliveries; both sides count it so, and it may fall below zero.
	//
	// Slots is the number of credits that there may be at once in the near
	// future: those outstanding and those of executions that are likely to end
	// soon. By it few credits wait for more, to share a receive, or do not. 0:
	// as before, and at first the most credits that were outstanding.
	Want struct{ Credits, Slots int }

	// Settle ends a lease. First every message in Send is sent, then the
	// delivered one is deleted (Release false), or made visible again
	// after Visible (Release true). If something cannot be sent the message
	// is not deleted: it is tried again while the lease holds. A Settle for
	// a lease that is lost still does its best by the old handle, except
	// that nothing is sent; the answer is [Settled] with [ErrLeaseLost].
	//
	// AfterReceives hides a released message at least until the receives are over that
	// this poller has under way: each of them could bring it again.
	Settle struct {
		Lease         LeaseID
		Send          []Outgoing
		Release       bool
		Visible       time.Duration // with Release: 0 to 12 h less the time since the receive
		AfterReceives bool          // with Release
		Link          *trace.Link   // to the message's trace, from the spans of its settlement; nil for none
	}

	// Pause stops new receives until [Resume]; leases are kept.
	Pause struct{}
	// Resume ends a [Pause].
	Resume struct{}

	// Drain stops new receives for good. One under way is let end, for at
	// most 20 s, and what it brings is released at once. Leases that are
	// held are kept until settled. When no receive is under way the sender
	// of Drain gets [Drained].
	//
	// With HandOver what the receive under way brings is not released but
	// [Delivered] as ever, before Drained: a plain release raises the receive
	// count, and only the subscriber can give a message back (by a fresh copy
	// in a [Settle]) so that the delivery is not taken for a crash.
	//
	// Settles that wait for their next try are tried at once. While a drain
	// lasts, a settle ends with the error when its right is refused again, and at
	// Until, or 5 s after it began if that is later, when it has no answer by then:
	// the message stays on the queue and comes back when its lease ends. A zero
	// Until is no limit. A second Drain with an earlier Until shortens the first.
	Drain struct {
		HandOver bool
		Until    time.Time
	}

	// Lengthen makes For the length of this lease, from now on and at each
	// extension, instead of the poller's task_timeout (a task's own lease
	// policy). 1 s to 12 h, whole seconds.
	Lengthen struct {
		Lease LeaseID
		For   time.Duration
	}

	// Count asks for [Counted], the queue's approximate numbers. It costs one
	// request to the queue.
	Count struct{}

	// Look asks for [QueueRead], the attributes of a queue that messages of
	// the pool go to, and again whenever they have changed: they are read now
	// and every 30 minutes, one request each. Ensure says whether the queue is
	// made if it is not there. An empty Pool is the poller's own queue.
	Look struct {
		Pool   string
		Ensure EnsureOptions
	}

	// Flush asks for [Flushed] once everything settled before it is done
	// (deletes and visibility changes answered or given up).
	Flush struct{}

	// Inspect asks for [*Stats]. It costs no request.
	Inspect struct{}

	// InspectLeases asks for the end of each lease that is held, as it is
	// unless it is extended before. The answer goes to Reply, which must have
	// room for it. It costs no request, but time in proportion to the leases.
	InspectLeases struct{ Reply chan<- map[LeaseID]time.Time }
)

// Outgoing is a message to be sent, by a [Sender] or as part of a [Settle]. In
// a Settle an empty Pool is the poller's own queue.
type Outgoing = task.Outgoing

// hint names what a poller takes, for the sender of something else.
const hint = "takes *Subscribe, *Want, *Settle, *Lengthen, *Pause, *Resume, *Drain, *Count, *Flush, *Look, " +
	"*Inspect and *InspectLeases"

// pointer returns a pointer to a message that was sent as a value, or nil.
func pointer(message any) any {
	switch m := message.(type) {
	case Subscribe:
		return &m
	case Want:
		return &m
	case Settle:
		return &m
	case Pause:
		return &m
	case Resume:
		return &m
	case Drain:
		return &m
	case Lengthen:
		return &m
	case Count:
		return &m
	case Flush:
		return &m
	case Inspect:
		return &m
	case Look:
		return &m
	case InspectLeases:
		return &m
	}
	return nil
}

// Messages that a poller sends, all as pointers. [Delivered], [LeaseLost],
// [LeaseExpiring], [Settled], [QueueRead] and [Slept] go to the subscriber; an
// answer goes to the asker or, if the question has no sender, to the subscriber.
type (
	// Delivered hands one message over. Its lease is held and extended
	// until [Settle], [LeaseLost] or the end of the poller.
	Delivered struct {
		Lease         LeaseID
		MessageID     string
		Body          string
		Attributes    map[string]types.MessageAttributeValue // read them by Message
		Texts         task.Texts                             // in place of Attributes, if all hold text
		GroupID       string
		ReceiveCount  int           // ApproximateReceiveCount, this delivery included
		Sent          time.Time     // SentTimestamp
		FirstReceived time.Time     // ApproximateFirstReceiveTimestamp
		Visibility    time.Duration // for which the receive hid it
		Ahead         time.Duration // of the queue's clock before ours, at least; 0 if it is not known
		TraceHeader   string        // AWSTraceHeader, empty if none
		Epoch         uint64        // of the Subscribe that it answers
	}

	// Batch is several of these messages, in their order: what one answer of the queue
	// brings, for example. It comes to a subscriber that has asked for it.
	Batch struct{ Messages []any }

	// LeaseLost says that a lease ended, or can no longer be kept: the
	// message may be delivered to another process from now on. It comes a
	// little before the lease ends, for the execution to be cancelled. What it
	// finished nevertheless may still be settled: see [Settle].
	LeaseLost struct {
		Lease LeaseID
		Err   error
	}

	// LeaseExpiring says that SQS will end the lease at At, because it holds
	// no message for more than 12 hours after it was received ([MaxLease]), or
	// because the queue's retention ends and the message with it.
	// It comes once, lease_notice before At. To carry on, end the execution and
	// settle with a fresh copy in Send: that one gets 12 hours of its own. What is
	// not settled by At is [LeaseLost] with [ErrLeaseLimit].
	LeaseExpiring struct {
		Lease LeaseID
		At    time.Time
	}

	// Settled answers a [Settle]: nil, or why it could not be done. After an
	// error other than [ErrLeaseLost] the lease is not extended any more, but
	// until it ends it may be settled in another way.
	Settled struct {
		Lease LeaseID
		Err   error
	}

	// Counted answers [Count].
	Counted struct {
		Visible, InFlight, Delayed int
		Err                        error
	}

	// QueueRead says what a queue does with messages, as a [Look] asked for
	// it. With an error the attributes are not known.
	QueueRead struct {
		Pool       string // as in the Look
		Attributes QueueAttributes
		Err        error
	}

	// Slept says that the machine stood still for a time, by which held
	// waits, deadlines and timers of the subscriber come late: the wall clock
	// has gone on, the monotonic clock has not.
	Slept struct{ For time.Duration }

	// Drained answers [Drain].
	Drained struct{}
	// Flushed answers [Flush].
	Flushed struct{}
)

// Message returns the message, and its defects, as [task.Decode] does.
func (d *Delivered) Message() (task.Message, error) {
	if d.Texts != nil {
		return task.DecodeTexts(d.Body, d.Texts)
	}
	return task.Decode(d.Body, d.Attributes)
}

// LogValue leaves out the body and the attributes, which may be private.
func (d *Delivered) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("lease", uint64(d.Lease)),
		slog.String("message_id", d.MessageID), slog.String("group_id", d.GroupID),
		slog.Int("receive_count", d.ReceiveCount), slog.Time("sent", d.Sent), slog.Int("bytes", len(d.Body)))
}

// LogValue implements [slog.LogValuer].
func (l *LeaseLost) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("lease", uint64(l.Lease)), slog.Any("error", l.Err))
}

// LogValue implements [slog.LogValuer].
func (l *LeaseExpiring) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("lease", uint64(l.Lease)), slog.Time("at", l.At))
}

// LogValue implements [slog.LogValuer].
func (s *Settled) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("lease", uint64(s.Lease)), slog.Any("error", s.Err))
}
