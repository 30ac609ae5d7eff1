package poller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/sambatech/chassis/actors/internal/crew"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// ErrSenderClosed says that a message came after [Sender.Close]. It was not sent.
var ErrSenderClosed = errors.New("poller: the sender is closed")

// Result says what became of one message of [Sender.SendMany].
type Result struct {
	MessageID string // as SQS gave it; empty if Err is set
	Err       error
}

// Sender sends messages to queues. It is safe for use from several goroutines,
// and those that send to one queue share requests: a message that finds no
// request under way goes at once, others gather for at most the linger, ten
// to a request. Entries that SQS refuses for a passing reason are tried again
// one by one; a message that it refuses for good does not hold back those that
// were to go with it.
//
// To a FIFO queue the messages of a group go in the order in which they were
// given; a group waits while an earlier message of it is under way.
type Sender struct {
	client *sqs.Client
	batch  sqsclient.SendBatch // of client
	opts   senderOptions
	base   context.Context // of every request; ends when Close gives up
	cancel context.CancelFunc

	crew *crew.Crew[crew.Func] // of the requests

	mu     sync.Mutex
	queues map[string]*outbox
	closed bool
	work   sync.WaitGroup // messages that were taken and not answered, and requests
	counts senderCounts
}

type senderOptions struct {
	ensure      func(pool string) EnsureOptions
	linger      time.Duration
	random      func() float64
	maxRequests int
	crew        *crew.Crew[crew.Func]
}

// SenderOption changes how a [Sender] works.
type SenderOption func(*senderOptions)

// SenderEnsure says what to do about a pool without a queue: f is asked by its
// name. By default that is an error, [ErrNoQueue], and a mistake in a
// name makes no queue without a reader.
func SenderEnsure(f func(pool string) EnsureOptions) SenderOption {
	return func(o *senderOptions) { o.ensure = f }
}

// SenderLinger is how long a message may wait for company while a request to
// its queue is under way. Default 3 ms; 0 means not at all.
func SenderLinger(d time.Duration) SenderOption { return func(o *senderOptions) { o.linger = d } }

// SenderRequests bounds the requests under way to one queue. Default 32.
func SenderRequests(n int) SenderOption { return func(o *senderOptions) { o.maxRequests = max(n, 1) } }

// SenderRandom is the source of the jitter of pauses: f draws numbers in [0, 1),
// from several goroutines. The default is math/rand/v2's own source.
func SenderRandom(f func() float64) SenderOption { return func(o *senderOptions) { o.random = f } }

// sendTimeout bounds one request with its tries.
const sendTimeout = 30 * time.Second

// keptSenders is the number of goroutines that stay for the next request until Close.
const keptSenders = 4

// NewSender returns a sender. It keeps up to four goroutines for the next request until
// [Sender.Close].
func NewSender(client *sqs.Client, opts ...SenderOption) *Sender {
	s := &Sender{
		client: client,
		batch:  sqsclient.SendBatchOf(client),
		opts: senderOptions{ensure: func(string) EnsureOptions { return EnsureOptions{} },
			linger: 3 * time.Millisecond, random: rand.Float64, maxRequests: 32},
		queues: map[string]*outbox{},
	}
	for _, opt := range opts {
		opt(&s.opts)
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	if s.crew = s.opts.crew; s.crew == nil {
		s.crew = crew.New[crew.Func](keptSenders)
		context.AfterFunc(s.base, s.crew.Close)
	}
	return s
}

// Send sends one message and returns the id that SQS gave it. Pool must name
// the queue. Errors: [ErrQueueName], [ErrNoQueue], [ErrInvalidMessage],
// [ErrSenderClosed], those of the service. If ctx ends first the error wraps
// its cause and says whether the message may have been sent nevertheless.
func (s *Sender) Send(ctx context.Context, out Outgoing) (messageID string, err error) {
	results, err := s.SendMany(ctx, []Outgoing{out})
	if err != nil {
		return "", results[0].Err
	}
	return results[0].MessageID, nil
}

// SendMany sends messages, to one queue or several, and says of each what
// became of it, in their order. The error is not nil if any was not sent; it
// counts them and holds the first one's error.
func (s *Sender) SendMany(ctx context.Context, outs []Outgoing) ([]Result, error) {
	results := make([]Result, len(outs))
	if err := ctx.Err(); err != nil {
		for i := range results {
			results[i].Err = fmt.Errorf("poller: not sent to pool %q: %w", outs[i].Pool, context.Cause(ctx))
		}
		return results, summary(results)
	}
	answers := make(chan answer, len(outs))
	letters := s.post(outs, func(i int, r Result) { answers <- answer{i, r} })
	for range outs {
		select {
		case a := <-answers:
			results[a.index] = a.Result
		case <-ctx.Done():
			s.withdraw(ctx, letters, results, answers)
			return results, summary(results)
		}
	}
	return results, summary(results)
}

type answer struct {
	index int
	Result
}

// withdraw takes back what is not under way yet, and fills in the results of
// all that is unanswered.
func (s *Sender) withdraw(ctx context.Context, letters []*letter, results []Result, answers chan answer) {
	withdrawn, asked := map[*letter]bool{}, map[*outbox]bool{}
	for _, l := range letters {
		if l.box != nil && !asked[l.box] {
			asked[l.box] = true
			for _, w := range l.box.withdraw(letters) {
				withdrawn[w] = true
			}
		}
	}
	for drained := false; !drained; {
		select {
		case a := <-answers:
			results[a.index] = a.Result
		default:
			drained = true
		}
	}
	for i, l := range letters {
		switch {
		case results[i] != Result{}:
		case withdrawn[l]:
			results[i].Err = fmt.Errorf("poller: not sent to pool %q: %w", l.out.Pool, context.Cause(ctx))
		default:
			results[i].Err = fmt.Errorf("poller: a request to pool %q is under way and may yet send it: %w",
				l.out.Pool, context.Cause(ctx))
		}
	}
}

func summary(results []Result) error {
	failed, first := 0, error(nil)
	for _, r := range results {
		if r.Err != nil {
			if failed++; first == nil {
				first = r.Err
			}
		}
	}
	switch {
	case failed == 0:
		return nil
	case len(results) == 1:
		return first
	}
	return fmt.Errorf("poller: %d of %d messages not sent, the first: %w", failed, len(results), first)
}

// letter is a message on its way.
type letter struct {
	out    Outgoing
	bytes  int
	index  int
	done   func(int, Result) // called once, from any goroutine; must not block
	box    *outbox           // nil: refused on the spot
	tries  int
	single bool // goes in a request of its own
}

// post hands messages over and returns at once; done is called once for each.
func (s *Sender) post(outs []Outgoing, done func(int, Result)) []*letter {
	letters := make([]*letter, len(outs))
	var order []*outbox
	boxed := map[*outbox][]*letter{}
	for i := range outs {
		l := &letter{out: outs[i], index: i, done: done}
		letters[i] = l
		box, err := s.outbox(l.out.Pool)
		if err == nil {
			l.bytes = task.Size(l.out.Body, l.out.Attributes)
			err = check(&l.out, l.bytes, box.fifo)
		}
		if err != nil {
			s.counts.refused.Add(1)
			done(i, Result{Err: err})
			continue
		}
		if box.fifo && l.out.DedupID == "" {
			l.out.DedupID = uuid.NewString() // the same over the tries of one send
		}
		l.box = box
		if boxed[box] == nil {
			order = append(order, box)
		}
		boxed[box] = append(boxed[box], l)
	}
	for _, box := range order {
		box.add(boxed[box])
	}
	return letters
}

func (s *Sender) outbox(pool string) (*outbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if box := s.queues[pool]; box != nil {
		return box, nil
	}
	box := &outbox{sender: s, pool: pool, fifo: isFIFO(pool), lookup: make(chan struct{}, 1)}
	if strings.Contains(pool, "://") {
		box.url = pool
	} else if err := CheckQueueName(pool); err != nil {
		return nil, err
	}
	if len(s.queues) >= keptQueues {
		s.forgetIdle()
	}
	box.gathering = batch[*letter]{linger: s.opts.linger, size: func(l *letter) int { return l.bytes }}
	s.queues[pool] = box
	return box, nil
}

// keptQueues is the number of queues from which on the sender forgets those with nothing
// under way. Each process that asks has an inbox of its own: without a bound a sender that
// answers would remember all of them.
const keptQueues = 256

// forgetIdle forgets standard queues with nothing under way; s.mu is held. One that is sent
// to again is looked up again.
func (s *Sender) forgetIdle() {
	for pool, box := range s.queues {
		if !box.fifo && box.isIdle() {
			delete(s.queues, pool)
		}
	}
}

func byPool(a, b *outbox) int { return strings.Compare(a.pool, b.pool) }

// begin counts n more messages or requests under way, unless the sender is closed.
func (s *Sender) begin(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(n)
	return true
}

// Close takes no more messages, sends what was taken, and waits for the
// answers until ctx ends; then it cancels what is under way and says how much
// was not sent. Each message is answered in either case. A second Close waits too.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	boxes := slices.SortedFunc(maps.Values(s.queues), byPool)
	s.mu.Unlock()
	for _, box := range boxes {
		box.hurry()
	}
	finished := make(chan struct{})
	go func() {
		s.work.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	left := s.Stats().Pending
	s.cancel()
	for _, box := range boxes {
		box.hurry()
	}
	<-finished
	return fmt.Errorf("poller: the sender was closed with %d messages not known to be sent: %w",
		left, context.Cause(ctx))
}
