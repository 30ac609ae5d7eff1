package poller

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// ErrOrder says that a message to a FIFO queue was refused for a passing reason
// after a later one of its group had been taken. Sending it again would break the
// group's order: that is left to the caller.
var ErrOrder = errors.New("poller: a later message of the group was sent before this one")

// maxTries bounds how often an entry is tried after SQS refused it for a
// passing reason; the waits between grow from 50 ms: all are made within about 2 s.
const maxTries = 5

// outbox holds what is on its way to one queue.
type outbox struct {
	sender *Sender
	pool   string
	fifo   bool

	mu        sync.Mutex
	gathering batch[*letter]
	underWay  int
	busy      map[string]int // FIFO: messages of a group that are under way or to be tried again
	timer     *time.Timer
	hurried   bool // closing: nothing lingers, no wait between tries

	lookup chan struct{} // holds one token: one look-up of the URL at a time
	urlMu  sync.Mutex
	url    string
	most   int       // bytes of a message that the queue takes; 0: not known
	asked  time.Time // when most was last asked for
}

func (b *outbox) add(letters []*letter) {
	if !b.sender.begin(len(letters)) {
		for _, l := range letters {
			l.done(l.index, Result{Err: fmt.Errorf("%w: nothing was sent to pool %q", ErrSenderClosed, b.pool)})
		}
		return
	}
	b.sender.counts.pending.Add(int64(len(letters)))
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, l := range letters {
		b.gathering.add(l, now)
	}
	b.dispatch(now)
}

// dispatch starts the requests that are due and arms the timer for the next.
func (b *outbox) dispatch(now time.Time) {
	for b.underWay < b.sender.opts.maxRequests && b.gathering.due(now, b.underWay > 0 && !b.hurried) {
		letters := b.next()
		if len(letters) == 0 {
			return // every group that waits is busy: the end of a request dispatches again
		}
		b.underWay++
		b.sender.work.Add(1) // the letters are counted, so the group is not at zero
		b.sender.crew.Run(func() { b.send(letters) })
	}
	if b.gathering.len() == 0 || b.underWay >= b.sender.opts.maxRequests || b.timer != nil {
		return
	}
	if wait := b.gathering.deadline().Sub(now); wait > 0 {
		b.timer = time.AfterFunc(wait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.timer = nil
			b.dispatch(time.Now())
		})
	}
}

// next takes the letters of one request. A letter that must go alone does; a
// FIFO group that is busy waits.
func (b *outbox) next() []*letter {
	alone, taken := false, 0
	letters := b.gathering.take(func(l *letter) bool {
		if alone || l.single && taken > 0 || b.fifo && b.busy[l.out.GroupID] > 0 {
			return false
		}
		alone = l.single
		taken++
		return true
	})
	if b.fifo {
		if b.busy == nil {
			b.busy = map[string]int{}
		}
		for _, l := range letters {
			b.busy[l.out.GroupID]++
		}
	}
	return letters
}

func (b *outbox) send(letters []*letter) {
	defer b.sender.work.Done()
	ctx, cancel := context.WithTimeout(b.sender.base, sendTimeout)
	defer cancel()
	var out *sqs.SendMessageBatchOutput
	url, err := b.resolve(ctx)
	if err == nil {
		if letters = b.fitting(ctx, url, letters); len(letters) == 0 {
			return
		}
		entries := make([]types.SendMessageBatchRequestEntry, len(letters))
		for i, l := range letters {
			entries[i] = batchEntry(&l.out, strconv.Itoa(i))
		}
		b.sender.counts.requests.Add(1)
		out, err = b.sender.batch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
	}
	if err != nil {
		b.sender.counts.failures.Add(1)
		b.failed(letters, err, url)
		return
	}
	b.answered(letters, out)
}

// answered settles what a batch request was answered for each entry.
func (b *outbox) answered(letters []*letter, out *sqs.SendMessageBatchOutput) {
	results := make([]Result, len(letters))
	retry := make([]bool, len(letters))
	for i := range results {
		results[i].Err = fmt.Errorf("poller: sending to pool %q: %w", b.pool, errNotMentioned)
		retry[i] = true
	}
	last := map[string]int{} // FIFO: the last message of each group that was taken
	for _, ok := range out.Successful {
		if i, valid := entryIndex(ok.Id, len(letters)); valid {
			results[i], retry[i] = Result{MessageID: deref(ok.MessageId)}, false
			last[letters[i].out.GroupID] = max(last[letters[i].out.GroupID], i)
		}
	}
	for _, f := range out.Failed {
		if i, valid := entryIndex(f.Id, len(letters)); valid {
			results[i] = Result{Err: fmt.Errorf("poller: sending to pool %q: %w", b.pool, entryError(f))}
			retry[i] = !f.SenderFault
		}
	}
	again := letters[:0:0]
	for i, l := range letters {
		if b.fifo && retry[i] && last[l.out.GroupID] > i {
			results[i].Err, retry[i] = fmt.Errorf("%w: %w", ErrOrder, results[i].Err), false
		}
		if l.tries++; retry[i] && l.tries < maxTries && b.sender.base.Err() == nil {
			again = append(again, l)
		} else {
			b.finish(l, results[i])
		}
	}
	b.release(letters, again)
}

// failed settles a request to url, empty if that was not found, which failed as
// a whole.
func (b *outbox) failed(letters []*letter, err error, url string) {
	var missing *types.QueueDoesNotExist
	gone := errors.As(err, &missing)
	lookUp := gone && url != "" && b.forget(url)
	failure := fmt.Errorf("poller: sending to pool %q: %w", b.pool, sqsclient.Explain(b.sender.client, err))
	again := letters[:0:0]
	for _, l := range letters {
		l.tries++
		switch {
		case lookUp && l.tries == 1: // the queue was made again, or a pool's is to be
			again = append(again, l)
		case !gone && isRefusal(err) && !isDenied(err) && len(letters) > 1:
			l.single = true // one of them spoils the batch: find out which
			again = append(again, l)
		default:
			b.finish(l, Result{Err: failure})
		}
	}
	b.release(letters, again)
}

func (b *outbox) finish(l *letter, r Result) {
	if r.Err == nil {
		b.sender.counts.sent.Add(1)
	} else {
		b.sender.counts.refused.Add(1)
	}
	b.sender.counts.pending.Add(-1)
	l.done(l.index, r)
	b.sender.work.Done()
}

// release ends a request. What is to be tried again goes before all that
// waits, after a pause.
func (b *outbox) release(letters, again []*letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay--
	if b.fifo {
		b.idle(letters)
		for _, l := range again { // the group stays busy over the pause
			b.busy[l.out.GroupID]++
		}
	}
	if len(again) > 0 {
		b.sender.counts.retries.Add(int64(len(again)))
		b.underWay++ // holds the slot, so that others gather meanwhile
		wait := pause(again[0].tries, b.sender.opts.random)
		if b.hurried || again[0].single {
			wait = 0
		}
		time.AfterFunc(wait, func() { b.again(again) })
	}
	b.dispatch(time.Now())
}

func (b *outbox) again(letters []*letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay--
	now := time.Now()
	rest := b.gathering.remove(func(*letter) bool { return true })
	for _, l := range append(letters, rest...) {
		b.gathering.add(l, now)
	}
	if b.fifo {
		b.idle(letters)
	}
	b.dispatch(now)
}

// idle takes letters out of what their groups wait for.
func (b *outbox) idle(letters []*letter) {
	for _, l := range letters {
		if b.busy[l.out.GroupID]--; b.busy[l.out.GroupID] == 0 {
			delete(b.busy, l.out.GroupID)
		}
	}
}

// isIdle reports whether nothing waits or is under way. It is called with the sender's lock
// held, and waits for no request.
func (b *outbox) isIdle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.underWay == 0 && b.gathering.len() == 0 && b.timer == nil
}

// withdraw takes those of letters back that are not under way.
func (b *outbox) withdraw(letters []*letter) []*letter {
	wanted := make(map[*letter]bool, len(letters))
	for _, l := range letters {
		wanted[l] = true
	}
	b.mu.Lock()
	taken := b.gathering.remove(func(l *letter) bool { return wanted[l] })
	b.mu.Unlock()
	b.sender.counts.pending.Add(-int64(len(taken)))
	b.sender.work.Add(-len(taken))
	return taken
}

func (b *outbox) hurry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hurried = true
	b.dispatch(time.Now())
}

// pause is the wait before the next try: 50 ms doubled by each up to 5 s. Half of
// it is jitter: what failed together does not come back together.
func pause(tries int, random func() float64) time.Duration {
	d := min(50*time.Millisecond<<min(max(tries-1, 0), 7), 5*time.Second)
	return d/2 + time.Duration(random()*float64(d/2+1))
}
