package dispatcher_test

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/actors/poller"
)

// queue is the dispatcher's partner in these tests: a poller with its queue in
// memory. It speaks the whole protocol of package poller, keeps SQS's rules of
// visibility, delays, receive counts and groups, and writes down what it gets.
type queue struct {
	pool     string
	lease    time.Duration // visibility; leases of living subscribers are kept
	self     *actor.PID
	sub      *actor.PID
	epoch    uint64
	system   *actor.ActorSystem
	messages []*message
	leases   map[poller.LeaseID]*message
	next     poller.LeaseID
	serial   int
	demand   int
	draining bool
	polls    int // receives under way that a drain does not end, of a message each
	paused   bool
	timer    *time.Timer

	others   map[string][]poller.Outgoing // sent to other pools
	settles  []*poller.Settle
	counts   int
	wants    []int
	longer   []*poller.Lengthen
	refuse   func(*poller.Settle) error // settles that fail
	silent   bool                       // settles are not answered
	length   int                        // what Count answers; -1: the truth
	inFlight int
	maxHeld  int
}

// longPoll is how long the receives under way last at most.
const longPoll = 20 * time.Second

type message struct {
	id       string
	body     string
	attrs    map[string]types.MessageAttributeValue
	group    string
	receives int
	visible  time.Time
	sent     time.Time
	first    time.Time
	lease    poller.LeaseID // 0: not in flight
	trace    string
}

type (
	put  struct{ m *message }
	look struct {
		f    func(*queue)
		done chan struct{}
	}
	stir  struct{}
	crash struct{} // the subscriber's process dies: leases run out
)

func newQueue(pool string) *queue {
	return &queue{pool: pool, lease: 120 * time.Second, leases: map[poller.LeaseID]*message{}, others: map[string][]poller.Outgoing{}, length: -1}
}

func (q *queue) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		q.self, q.system = ctx.Self(), ctx.ActorSystem()
	case *actor.Stopping:
		q.stopTimer()
	case *poller.Subscribe:
		q.sub, q.epoch, q.demand, q.draining = m.To, m.Epoch, 0, false
		for id, msg := range q.leases {
			msg.lease, msg.visible = 0, time.Now()
			delete(q.leases, id)
		}
	case *poller.Want:
		if !q.draining {
			q.demand += m.Credits
		}
		q.wants = append(q.wants, m.Credits)
	case *poller.Settle:
		q.settle(m)
	case *poller.Drain:
		q.draining, q.demand = true, q.polls
		if q.polls == 0 {
			ctx.Send(q.sub, &poller.Drained{})
		}
	case *poller.Pause:
		q.paused = true
	case *poller.Resume:
		q.paused = false
	case *poller.Flush:
		ctx.Send(q.sub, &poller.Flushed{})
	case *poller.Lengthen:
		q.longer = append(q.longer, m)
	case *poller.Count:
		q.counts++
		n := q.length
		if n < 0 {
			n = len(q.messages) - len(q.leases)
		}
		ctx.Send(q.sub, &poller.Counted{Visible: n, InFlight: q.inFlight})
	case *put:
		q.messages = append(q.messages, m.m)
	case *crash:
		for id, msg := range q.leases {
			msg.lease, msg.visible = 0, time.Now().Add(q.lease)
			delete(q.leases, id)
		}
		q.sub, q.demand = nil, 0
	case *look:
		m.f(q)
		close(m.done)
	case *stir:
	default:
		return
	}
	q.deliver()
}

func (q *queue) settle(s *poller.Settle) {
	q.settles = append(q.settles, s)
	if q.silent {
		return
	}
	msg := q.leases[s.Lease]
	if msg == nil {
		q.send(&poller.Settled{Lease: s.Lease, Err: fmt.Errorf("lease %d is not held", s.Lease)})
		return
	}
	if q.refuse != nil {
		if err := q.refuse(s); err != nil {
			q.send(&poller.Settled{Lease: s.Lease, Err: err})
			return
		}
	}
	for _, o := range s.Send {
		if o.Delay < 0 || o.Delay > 15*time.Minute || o.Delay%time.Second != 0 || len(o.Attributes) > 10 {
			panic(fmt.Sprintf("SQS would refuse this message: %+v", o))
		}
		if o.Pool != "" && o.Pool != q.pool {
			q.others[o.Pool] = append(q.others[o.Pool], o)
			continue
		}
		copied := q.made(o.Body, o.Attributes, o.GroupID, o.Delay)
		copied.trace = o.TraceHeader
		q.messages = append(q.messages, copied)
	}
	delete(q.leases, s.Lease)
	if s.Release {
		if s.Visible < 0 || s.Visible > 12*time.Hour {
			panic(fmt.Sprintf("SQS would refuse this visibility: %v", s.Visible))
		}
		msg.lease, msg.visible = 0, time.Now().Add(s.Visible)
		if s.AfterReceives && q.demand > 0 {
			msg.visible = time.Now().Add(max(s.Visible, longPoll))
		}
	} else {
		for i, m := range q.messages {
			if m == msg {
				q.messages = append(q.messages[:i], q.messages[i+1:]...)
				break
			}
		}
	}
	q.send(&poller.Settled{Lease: s.Lease})
}

func (q *queue) send(m any) {
	if q.sub != nil {
		q.system.Root.Send(q.sub, m)
	}
}

func (q *queue) made(body string, attrs map[string]types.MessageAttributeValue, group string, delay time.Duration) *message {
	q.serial++
	now := time.Now()
	return &message{
		id: fmt.Sprintf("m%d", q.serial), body: body, attrs: maps.Clone(attrs), group: group,
		sent: now.Truncate(time.Millisecond), visible: now.Add(delay),
	}
}

func (q *queue) deliver() {
	now := time.Now()
	q.maxHeld = max(q.maxHeld, len(q.leases))
	var next time.Time
	blocked := map[string]bool{}
	fifo := strings.HasSuffix(q.pool, ".fifo")
	if fifo {
		for _, m := range q.leases {
			blocked[m.group] = true
		}
	}
	for _, m := range q.messages {
		switch {
		case m.lease != 0:
			continue
		case m.visible.After(now):
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
			if fifo {
				blocked[m.group] = true
			}
			continue
		case q.sub == nil || q.demand <= 0 || q.draining && q.polls == 0 || q.paused || fifo && blocked[m.group]:
			continue
		}
		q.demand--
		q.next++
		m.receives++
		m.lease = q.next
		if m.first.IsZero() {
			m.first = now.Truncate(time.Millisecond)
		}
		q.leases[q.next] = m
		q.send(&poller.Delivered{
			Lease: q.next, MessageID: m.id, Body: m.body, Attributes: m.attrs, GroupID: m.group,
			ReceiveCount: m.receives, Visibility: q.lease, Sent: m.sent, FirstReceived: m.first, TraceHeader: m.trace, Epoch: q.epoch,
		})
	}
	q.stopTimer()
	if !next.IsZero() && q.sub != nil {
		self, root := q.self, q.system.Root
		q.timer = time.AfterFunc(next.Sub(now), func() { root.Send(self, &stir{}) })
	}
}

func (q *queue) stopTimer() {
	if q.timer != nil {
		q.timer.Stop()
	}
}
