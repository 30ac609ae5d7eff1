package poller

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// receiving is a receive that is under way.
type receiving struct {
	asked   int
	start   time.Time
	wait    time.Duration // of the long poll
	attempt string        // ReceiveRequestAttemptId, FIFO only
	cancel  context.CancelFunc
}

func byStart(a, b *receiving) int { return a.start.Compare(b.start) }

// received is its answer. What is left of messages is still to be entered.
type received struct {
	receive  *receiving
	messages []incoming
	got      int
	err      error
	ended    time.Time
}

// IgnoreDeadLetterLogging keeps an answer that comes after the end out of the log.
func (*received) IgnoreDeadLetterLogging() {}

type incoming struct {
	handle    string
	delivered *Delivered
}

// receiving reports whether new receives may begin. None begins before the
// queue's own attributes were asked for: what a message may wait depends on them.
func (w *worker) receiving() bool {
	return w.looks[""].ended && w.drain == nil && !w.paused && w.subscriber != nil
}

func (w *worker) receiveDue() {
	for w.receiving() {
		n := w.demand.plan(w.now)
		if n == 0 {
			return
		}
		w.receive(n)
	}
}

func (w *worker) receive(n int) {
	r := &receiving{asked: n, start: w.now, wait: w.patience.wait}
	if isFIFO(w.cfg.QueueURL) {
		// The same id after a failed receive brings the same messages within
		// five minutes, which otherwise would block their groups.
		r.attempt = w.demand.attempt
		if r.attempt == "" {
			r.attempt = uuid.NewString()
		}
		w.demand.attempt = ""
	}
	w.demand.began(n)
	w.receives[r] = true
	w.counts.receives.Add(1)
	var ctx context.Context
	base := w.ctx
	if w.cfg.Recall != nil {
		base = w.cfg.Recall(base, w.recall)
	}
	ctx, r.cancel = context.WithTimeout(base, r.wait+2*w.set.RequestTimeout)
	w.crew.Run(func() {
		defer r.cancel()
		m := &received{receive: r}
		m.err = safely(func() error {
			return w.receiveMessages(ctx, w.receiveInput(r), func(messages []sqsclient.Message) {
				m.messages = incomings(messages)
				m.got = len(m.messages)
			})
		})
		m.ended = w.clock.Now()
		w.cfg.Tracing.received(w.cfg.QueueURL, m)
		w.root.Send(w.self, m)
	})
}

var (
	allAttributes    = []string{"All"}
	systemAttributes = []types.MessageSystemAttributeName{
		types.MessageSystemAttributeNameApproximateReceiveCount,
		types.MessageSystemAttributeNameSentTimestamp,
		types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp,
		types.MessageSystemAttributeNameMessageGroupId,
		types.MessageSystemAttributeNameAWSTraceHeader,
	}
)

func (w *worker) receiveInput(r *receiving) *sqs.ReceiveMessageInput {
	in := &sqs.ReceiveMessageInput{
		QueueUrl:                    &w.cfg.QueueURL,
		MaxNumberOfMessages:         int32(r.asked),
		WaitTimeSeconds:             wholeSeconds(r.wait),
		VisibilityTimeout:           wholeSeconds(w.set.TaskTimeout),
		MessageAttributeNames:       allAttributes,
		MessageSystemAttributeNames: systemAttributes,
	}
	if r.attempt != "" {
		in.ReceiveRequestAttemptId = &r.attempt
	}
	return in
}

func incomings(messages []sqsclient.Message) []incoming {
	ins := make([]incoming, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		if m.Handle == "" { // cannot be settled: left to come again
			continue
		}
		ins = append(ins, incoming{handle: m.Handle, delivered: &Delivered{
			MessageID: m.ID, Body: m.Body, Attributes: m.Attributes, Texts: task.Texts(m.Texts), GroupID: m.Group,
			ReceiveCount: max(m.Receives, 1), Sent: timestamp(m.Sent), FirstReceived: timestamp(m.First),
			TraceHeader: m.TraceHeader,
		}})
	}
	return ins
}

// timestamp reads one in milliseconds of the epoch; zero if it is not there.
func timestamp(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (w *worker) onReceived(m *received) {
	r := m.receive
	if w.receives[r] {
		delete(w.receives, r)
		w.noteReceive(m)
	}
	w.readQueueClock(m)
	again := func(in incoming) bool { return in.delivered.ReceiveCount > 1 }
	if isFIFO(w.cfg.QueueURL) && slices.ContainsFunc(m.messages, again) {
		w.demand.oneByOne(w.now.Add(w.careful()))
	}
	ahead := w.ahead()
	for len(m.messages) > 0 {
		in := m.messages[0]
		m.messages = m.messages[1:]
		in.delivered.Ahead = ahead
		w.enter(in, r.start)
	}
}

func (w *worker) noteReceive(m *received) {
	r := m.receive
	if m.err != nil {
		throttled := isThrottle(m.err)
		w.demand.failed(w.now, r.asked, throttled)
		w.demand.attempt = r.attempt
		w.failedCall(m.err)
		if isDenied(m.err) {
			w.deny(ActionReceive, w.cfg.QueueURL, m.err)
			return
		}
		if isUnanswered(m.err) && w.patience.unanswered(w.now, r.wait) {
			w.demand.wait = w.patience.wait
			w.log.Warn("no answer came to a receive: something between here and the queue may forget connections "+
				"that are silent for so long. Receives wait for less from now on; set receive_wait to what passes",
				"waited", r.wait, "wait", w.patience.wait, "error", m.err)
		}
		w.complain("receiving failed; it is tried again until it works", m.err, "throttled", throttled)
		return
	}
	if w.demand.failures > 0 {
		w.log.Info("receiving works again", "failures", w.demand.failures)
	}
	w.refusals.renewed()
	w.refusals.worked(ActionReceive, w.cfg.QueueURL)
	w.counts.success.Store(time.Now().UnixNano())
	if w.patience.answered(w.now) {
		w.demand.wait = w.patience.wait
	}
	w.counts.received.Add(int64(m.got))
	if m.got == 0 {
		w.counts.empty.Add(1)
	}
	w.demand.received(w.now, r.asked, m.got, m.ended.Sub(r.start))
}

// answerSlack is how much longer than its wait a receive is taken to last.
const answerSlack = time.Second

// receivesOver returns when the receives under way are over: what is visible by then may
// come here. A drain ends those in process at once. It is zero if none is under way.
func (w *worker) receivesOver() (over time.Time) {
	for r := range w.receives {
		end := r.start.Add(r.wait)
		if w.drain != nil && w.cfg.Recall != nil {
			end = w.now
		}
		if end = end.Add(answerSlack); end.After(over) {
			over = end
		}
	}
	return over
}

// enter opens the lease of a message and hands it over, or releases what has no taker.
func (w *worker) enter(in incoming, start time.Time) {
	l := w.ledger.open(in.handle, start, in.delivered.Sent, w.set.TaskTimeout)
	in.delivered.Lease, in.delivered.Visibility = l.id, w.set.TaskTimeout
	switch {
	case w.subscriber == nil, w.drain != nil && !w.drain.handOver:
		w.demand.credits++
		w.giveBack(l)
	case !l.startable(w.now):
		w.ledger.holdBack(l, in.delivered, w.now)
	default:
		w.deliver(in.delivered)
	}
}

func (w *worker) deliver(d *Delivered) {
	w.counts.delivered.Add(1)
	d.Epoch = w.epoch
	w.report(d)
}
