package poller

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/skew"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// worker is the state of the actor. It is touched by the actor alone and
// outlives its restarts.
type worker struct {
	*Poller
	self *actor.PID
	root *actor.RootContext
	ctx  context.Context // of every request
	end  context.CancelFunc

	subscriber *actor.PID
	inBatches  bool   // the subscriber takes a Batch
	reports    []any  // to the subscriber, until the message in hand is handled
	epoch      uint64 // the subscriber's
	demand     demand
	patience   patience
	queueClock skew.Bounds
	ledger     *ledger
	batches    [2]batch[*lease] // what waits for a deletion, and for a release
	later      []postponement
	laterAt    time.Time // the first of them
	calls      map[*call]bool
	ongoing    [kinds]int // calls under way of each kind

	receives  map[*receiving]bool
	recall    chan struct{} // closed by a drain
	paused    bool
	drain     *draining
	flushes   []flush
	unflushed []*settlement // in order of their coming; those that are over leave from the front
	settles   uint64

	looks     map[string]*look // by pool
	refusals  refusals
	sendsFail map[string]failing // by pool
	// deletesFail is since when no delete got through; zero: the last one did.
	deletesFail time.Time

	complained time.Time // last record of a failure
	muted      int       // failures since

	receiveMessages sqsclient.Messages
	deleteBatch     sqsclient.DeleteBatch

	timer *time.Timer
	armed time.Time
	now   time.Time // of the message in hand

	current any // the message in hand; what is left of it after a panic
	retried bool
	started bool
}

func newWorker(p *Poller, ctx actor.Context) *worker {
	w := &worker{
		Poller:   p,
		self:     ctx.Self(),
		root:     actor.NewRootContext(ctx.ActorSystem(), nil),
		ledger:   newLedger(p.set.LeaseNotice),
		calls:    map[*call]bool{},
		receives: map[*receiving]bool{},
		looks:    map[string]*look{"": {}},
		recall:   make(chan struct{}),

		receiveMessages: sqsclient.MessagesOf(p.cfg.Client),
		deleteBatch:     sqsclient.DeleteBatchOf(p.cfg.Client),
	}
	w.ctx, w.end = context.WithCancel(sqsclient.WithShortcut(p.base))
	context.AfterFunc(w.ctx, p.crew.Close)
	w.patience = newPatience(p.set.receiveWait())
	w.demand = demand{maxReceives: p.set.MaxReceives, wait: p.set.receiveWait(), random: p.cfg.Random}
	linger := p.set.SettleLinger
	if isFIFO(p.cfg.QueueURL) {
		w.demand.oneByOne(p.clock.Now().Add(w.careful()))
		linger = min(linger, fifoLinger)
	}
	for k := range w.batches {
		w.batches[k].linger = linger
	}
	return w
}

// careful is for how long a FIFO queue is received from one message at a time, after the
// start and after a message that was delivered before: what has ended a process comes
// again within a lease.
func (w *worker) careful() time.Duration { return 2 * w.set.TaskTimeout }

// keptGoroutines is the number of goroutines that stay for the next request.
const keptGoroutines = 32

// fifoLinger bounds the linger of a FIFO queue, where the next message of a
// group waits for the delete of the one before.
const fifoLinger = 2 * time.Millisecond

// heartbeat is how often the actor shows that it lives.
const heartbeat = 5 * time.Second

// clockEvery is how often the clock is read while leases are held: after a
// sleep of the machine a lease that is over is lost within this.
const clockEvery = 500 * time.Millisecond

func (w *worker) onStarted(ctx actor.Context) {
	if w.started {
		w.recover(ctx)
	}
	w.started = true
	w.now = w.clock.Now()
	w.counts.alive.Store(time.Now().UnixNano())
	w.looksDue()
	w.after()
}

func (w *worker) onStopping() {
	w.end()
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *worker) handle(ctx actor.Context, m any) {
	w.current = m
	w.readClock()
	w.dispatch(ctx, m)
	w.current, w.retried = nil, false
	w.after()
}

// readClock sets now. After a sleep of the machine leases may be over that no
// timer has ended.
func (w *worker) readClock() {
	before := w.clock.Slept()
	w.now = w.clock.Now()
	if slept := w.clock.Slept() - before; slept > 0 && !w.now.IsZero() {
		w.log.Warn("the wall clock has run ahead: this machine slept, or its clock was set; "+
			"leases that ended meanwhile are lost", "by", slept)
		w.answer(w.subscriber, &Slept{For: slept})
		w.leasesDue()
	}
}

func (w *worker) dispatch(ctx actor.Context, m any) {
	if actors.Nil(m) {
		w.refuse(ctx, m)
		return
	}
	switch m := m.(type) {
	case *Settle:
		w.onSettle(m)
	case *Want:
		w.demand.want(m.Credits, m.Slots)
	case *received:
		w.onReceived(m)
	case *called:
		w.onCalled(m)
	case *posted:
		w.onPosted(m)
	case *tick:
		w.onTick()
	case *Lengthen:
		w.onLengthen(m)
	case *Count:
		w.onCount(w.asker(ctx))
	case *Look:
		w.onLook(m)
	case *looked:
		w.onLooked(m)
	case *Inspect:
		w.answer(w.asker(ctx), w.inspect())
	case *InspectLeases:
		w.onInspectLeases(m)
	case *Flush:
		w.onFlush(w.asker(ctx))
	case *Pause:
		w.paused = true
	case *Resume:
		w.paused = false
	case *Drain:
		w.onDrain(w.asker(ctx), m)
	case *Subscribe:
		w.onSubscribe(ctx, m.To)
		w.epoch, w.inBatches = m.Epoch, m.Batches
	case *actor.Terminated:
		w.onTerminated(ctx, m.Who)
	default:
		if p := pointer(m); p != nil {
			w.dispatch(ctx, p)
		} else {
			w.refuse(ctx, m)
		}
	}
}

// refuse answers a message that a poller does not take.
func (w *worker) refuse(ctx actor.Context, m any) {
	if w.retried || actors.Refuse(ctx, hint) { // a retry has no sender
		w.counts.unknown.Add(1)
		w.log.Warn("unknown message", "type", fmt.Sprintf("%T", m))
	}
}

// onTerminated gives everything back when the subscriber has stopped, unless it was
// spawned again: then it will subscribe.
func (w *worker) onTerminated(ctx actor.Context, who *actor.PID) {
	if w.subscriber == nil || who == nil || !w.subscriber.Equal(who) {
		return
	}
	if _, alive := ctx.ActorSystem().ProcessRegistry.Get(who); alive {
		ctx.Watch(who)
		return
	}
	w.log.Warn("the subscriber has stopped: its messages are released",
		"subscriber", who.Id, "leases", w.ledger.unsettled())
	w.onSubscribe(ctx, nil)
}

// after does what the message in hand has made due.
func (w *worker) after() {
	w.settleDue()
	w.receiveDue()
	w.conclude()
	w.arm()
	w.publish()
	w.sendReports()
}

type tick struct{}

// IgnoreDeadLetterLogging keeps a timer that fires after the end out of the log.
func (*tick) IgnoreDeadLetterLogging() {}

func (w *worker) onTick() {
	w.armed = time.Time{}
	w.counts.alive.Store(time.Now().UnixNano())
	w.looksDue()
	w.leasesDue()
	w.postponedDue()
	w.drainDue()
}

// arm sets the one timer for the next thing that time alone brings about.
func (w *worker) arm() {
	wake := w.now.Add(heartbeat)
	if w.ledger.unsettled() > 0 {
		wake = w.now.Add(clockEvery)
	}
	earlier := func(t time.Time, ok bool) {
		if ok && t.Before(wake) {
			wake = t
		}
	}
	earlier(w.ledger.wake())
	if l := w.looks[""]; !l.ended && !l.underWay && w.drain == nil {
		earlier(l.next, true)
	}
	if w.receiving() {
		earlier(w.demand.wake(w.now))
	}
	for k := range w.batches {
		if w.batches[k].len() > 0 && w.ongoing[k] < w.set.MaxRequests {
			earlier(w.batches[k].deadline(), true)
		}
	}
	earlier(w.laterAt, len(w.later) > 0)
	if w.drain != nil && !w.drain.overdue && len(w.receives) > 0 {
		earlier(w.drain.until, true)
	}
	earlier(w.giveUpAt())
	if !w.armed.IsZero() && !wake.Before(w.armed) {
		return
	}
	w.armed = wake
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(wake.Sub(w.now), func() { w.root.Send(w.self, &tick{}) })
}

func (w *worker) onSubscribe(ctx actor.Context, to *actor.PID) {
	w.sendReports() // they are the earlier one's
	if w.subscriber != nil && !w.subscriber.Equal(to) {
		ctx.Unwatch(w.subscriber)
	}
	if to != nil && !to.Equal(w.subscriber) {
		ctx.Watch(to)
	}
	w.subscriber = to
	w.demand.begin()
	if to != nil {
		w.demand.credits = -w.ledger.count[heldBack] // they are handed to the new subscriber
	}
	for l := range w.ledger.inOrder() {
		switch {
		case l.stage == lost:
			w.ledger.close(l)
		case l.stage == delivered, l.stage == heldBack && to == nil:
			w.giveBack(l)
		}
	}
}

// asker is who gets the answer to the message in hand.
func (w *worker) asker(ctx actor.Context) *actor.PID {
	if sender := ctx.Sender(); sender != nil {
		return sender
	}
	return w.subscriber
}

// answer sends m to the subscriber, or to another asker. The mailbox of that one
// may be user's code: a goroutine of the crew posts to it.
func (w *worker) answer(to *actor.PID, m any) {
	switch {
	case to == nil:
	case to.Equal(w.subscriber):
		w.report(m)
	default:
		w.crew.Run(func() { w.root.Send(to, m) })
	}
}

// report sends m to the subscriber: once the message in hand is handled, with all else
// that is for it, if it takes a Batch.
func (w *worker) report(m any) {
	if !w.inBatches {
		w.root.Send(w.subscriber, m)
		return
	}
	if w.reports == nil {
		w.reports = make([]any, 0, maxBatchEntries)
	}
	w.reports = append(w.reports, m)
}

func (w *worker) sendReports() {
	reports := w.reports
	w.reports = nil
	switch {
	case len(reports) == 1:
		w.root.Send(w.subscriber, reports[0])
	case len(reports) > 1:
		w.root.Send(w.subscriber, &Batch{Messages: reports})
	}
}
