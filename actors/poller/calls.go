package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// kind is what a batch request does to its leases.
type kind uint8

const (
	deletion kind = iota
	release
	extension
	kinds int = iota
)

func (k kind) String() string { return [...]string{"delete", "release", "extend"}[k] }

// action is the right that requests of the kind need.
func (k kind) action() string { return [...]string{ActionDelete, ActionHide, ActionHide}[k] }

// call is a batch request about up to ten leases. While it is under way the
// leases belong to the actor alone; the request has copies.
type call struct {
	kind    kind
	leases  []*lease
	handles []string
	hide    []time.Duration // from the start of the request; not for deletions
	start   time.Time
	links   []trace.Link // of the span
}

// called is its answer, taken apart entry by entry by the actor.
type called struct {
	call    *call
	err     error   // of the request as a whole
	refused []error // of each lease; nil: all went well
}

// IgnoreDeadLetterLogging keeps an answer that comes after the end out of the log.
func (*called) IgnoreDeadLetterLogging() {}

func (m *called) of(i int) error {
	switch {
	case m.err != nil:
		return m.err
	case m.refused != nil:
		return m.refused[i]
	}
	return nil
}

// call begins a request about leases, at most ten.
func (w *worker) call(k kind, leases []*lease) {
	leases = slices.DeleteFunc(leases, func(l *lease) bool { return l.stage == closed })
	if len(leases) == 0 {
		return // all were lost while they waited
	}
	c := &call{kind: k, leases: leases, handles: make([]string, len(leases)), start: w.now}
	if k != deletion {
		c.hide = make([]time.Duration, len(leases))
	}
	timeout := w.set.RequestTimeout
	for i, l := range leases {
		c.handles[i] = l.handle
		switch k {
		case extension:
			c.hide[i] = l.extension(w.now)
			timeout = min(timeout, max(l.lostAt().Sub(w.now)/3, minExtendTimeout))
		case release:
			c.hide[i] = max(min(l.settling.visibleAt.Sub(w.now), l.limit().Sub(w.now).Truncate(time.Second)), 0)
			fallthrough
		case deletion:
			l.settling.stage, l.settling.call = requested, c
			if link := l.settling.link; link != nil {
				c.links = append(c.links, *link)
			}
		}
	}
	w.calls[c] = true
	w.ongoing[k]++
	w.counts.calls[k].Add(1)
	w.crew.Run(func() {
		ctx, cancel := context.WithTimeout(w.ctx, timeout)
		defer cancel()
		ctx, span := w.cfg.Tracing.settling(ctx, w.cfg.QueueURL, c)
		m := &called{call: c}
		m.err = safely(func() (err error) {
			m.refused, err = w.request(ctx, c)
			return err
		})
		m.settled(span)
		w.root.Send(w.self, m)
	})
}

// minExtendTimeout is the least time that an extension gets, however little of
// its lease is left.
const minExtendTimeout = 250 * time.Millisecond

// request makes the call, and returns the error of each lease; nil if all went
// well. An entry that the queue does not mention has failed for a passing reason.
func (w *worker) request(ctx context.Context, c *call) ([]error, error) {
	client, url := w.cfg.Client, &w.cfg.QueueURL
	var done []*string
	var failed []types.BatchResultErrorEntry
	if c.kind == deletion {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(c.handles))
		for i := range c.handles {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &c.handles[i]}
		}
		out, err := w.deleteBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: entries})
		if err != nil || len(out.Successful) == len(entries) {
			return nil, err
		}
		for _, ok := range out.Successful {
			done = append(done, ok.Id)
		}
		failed = out.Failed
	} else {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(c.handles))
		for i := range c.handles {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: entryID(i), ReceiptHandle: &c.handles[i], VisibilityTimeout: wholeSeconds(c.hide[i]),
			}
		}
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: entries}
		out, err := client.ChangeMessageVisibilityBatch(ctx, in)
		if err != nil || len(out.Successful) == len(entries) {
			return nil, err
		}
		for _, ok := range out.Successful {
			done = append(done, ok.Id)
		}
		failed = out.Failed
	}
	errs := slices.Repeat([]error{errNotMentioned}, len(c.handles))
	for _, id := range done {
		if i, ok := entryIndex(id, len(errs)); ok {
			errs[i] = nil
		}
	}
	for _, f := range failed {
		if i, ok := entryIndex(f.Id, len(errs)); ok {
			errs[i] = entryError(f)
		}
	}
	return errs, nil
}

var errNotMentioned = errors.New("poller: the service did not mention the entry in its answer")

var entryIDs = func() (ids [maxBatchEntries]string) {
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return ids
}()

func entryID(i int) *string { return &entryIDs[i] }

func (w *worker) onCalled(m *called) {
	c := m.call
	if !w.calls[c] {
		return
	}
	delete(w.calls, c)
	w.ongoing[c.kind]--
	var again time.Time
	if s := c.leases[0].settling; m.err != nil && s != nil {
		again = w.now.Add(pause(s.tries+1, w.demand.random))
	}
	switch {
	case m.err == nil:
		w.counts.success.Store(time.Now().UnixNano())
		w.refusals.renewed()
		w.refusals.worked(c.kind.action(), w.cfg.QueueURL)
	case isDenied(m.err):
		w.failedCall(m.err)
		again = w.deny(c.kind.action(), w.cfg.QueueURL, m.err)
	default:
		w.failedCall(m.err)
		w.complain("a request about leases failed; it is made again", m.err,
			"kind", c.kind.String(), "leases", len(c.leases))
	}
	w.noteDeletes(m)
	spoilt := len(c.leases) > 1 && isBadHandle(m.err)
	for i, l := range c.leases {
		err := m.of(i)
		if spoilt { // one of them spoils the batch: each goes alone now, to find out which
			l.alone, err = true, errSpoilt
		}
		if err != nil && m.err == nil {
			w.counts.entryFailures.Add(1)
		}
		switch {
		case l.stage == closed:
		case c.kind == extension:
			w.onExtended(l, c, i, err)
		case l.settling != nil && l.settling.call == c:
			w.perform(l, l.settling.afterRequest(err, again, l.over(), w.drain != nil))
		}
	}
}

var errSpoilt = errors.New("poller: the service refused a batch because of one of its entries")

// alone is a filter for batch.take that lets a lease which is to go alone do so.
func alone() func(*lease) bool {
	taken, single := 0, false
	return func(l *lease) bool {
		if single || l.alone && taken > 0 {
			return false
		}
		single = l.alone
		taken++
		return true
	}
}

// complain logs a failure of the queue, at most every ten seconds: while it is
// away every lease has one.
func (w *worker) complain(text string, err error, args ...any) {
	if w.ctx.Err() != nil {
		return
	}
	if w.muted++; w.now.Sub(w.complained) < 10*time.Second {
		return
	}
	w.log.Warn(text, append(args, "failures", w.muted, "error", sqsclient.Explain(w.cfg.Client, err))...)
	w.complained, w.muted = w.now, 0
}

func (w *worker) failedCall(err error) {
	w.counts.failures.Add(1)
	if isThrottle(err) {
		w.counts.throttles.Add(1)
	}
	w.counts.lastError.Store(&failure{At: time.Now(), Error: err.Error()})
}

func (w *worker) onCount(asker *actor.PID) {
	if asker == nil {
		return
	}
	w.crew.Run(func() {
		ctx, cancel := context.WithTimeout(w.ctx, w.set.RequestTimeout)
		defer cancel()
		w.counts.counted.Add(1)
		in := &sqs.GetQueueAttributesInput{QueueUrl: &w.cfg.QueueURL, AttributeNames: countAttributes}
		var out *sqs.GetQueueAttributesOutput
		err := safely(func() (err error) {
			out, err = w.cfg.Client.GetQueueAttributes(ctx, in)
			return err
		})
		if err != nil {
			err = sqsclient.Explain(w.cfg.Client, err)
			err = fmt.Errorf("poller: asking for the length of %s: %w", w.cfg.QueueURL, err)
			w.root.Send(asker, &Counted{Err: err})
			return
		}
		count := func(name types.QueueAttributeName) int {
			n, _ := strconv.Atoi(out.Attributes[string(name)]) // absent: none
			return n
		}
		w.root.Send(asker, &Counted{
			Visible:  count(types.QueueAttributeNameApproximateNumberOfMessages),
			InFlight: count(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
			Delayed:  count(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
		})
	})
}

var countAttributes = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}
