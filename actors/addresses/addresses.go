package addresses

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// Name is that of the actor.
const Name = "addresses"

// NoticeFor is how long a cancel holds for messages that have not come yet. On a standard pool
// each message that waits is received every quarter of an hour.
const NoticeFor = time.Hour

// Errors of [Addresses.Ask] and [Addresses.Post].
var (
	// ErrInboxLost says that the queue for answers was removed while this process was
	// suspended or cut off: the answer is lost, the task may have run.
	ErrInboxLost = errors.New("the queue for answers was removed, as this process did not look at it for longer " +
		"than a live one does: it was suspended, or cut off from the queue service")

	// ErrNobody says that no process takes notices.
	ErrNobody = errors.New("no process of this pool takes notices: set tasks.notices where executions are to be " +
		"reached from elsewhere")
)

// NoAnswerError says that a question was given up before its answer came. The task may still
// run.
type NoAnswerError struct {
	ExecID string
	Err    error // the cause of the end of the ctx, [ErrInboxLost] or [life.ErrStopped]
}

func (e *NoAnswerError) Error() string {
	return fmt.Sprintf("no answer to execution %s: %v", e.ExecID, e.Err)
}

func (e *NoAnswerError) Unwrap() error { return e.Err }

// Config is what [Addresses] are made of.
type Config struct {
	Prefix string // of the inboxes of the pool: see task.InboxPrefix
	Owner  string // for people, in a tag of the inbox
	System *actor.ActorSystem
	Client *sqs.Client
	Logger *slog.Logger // nil: nothing is logged

	// Send sends messages to inboxes, and makes no queue. It returns the error of each.
	Send func(ctx context.Context, outs []task.Outgoing) []error

	// Take gives a notice to the executions of this process, and returns how many it reached.
	Take func(ctx context.Context, n task.Notice) (int, error)

	Create  bool          // whether an inbox may be made
	Notices bool          // take notices: the inbox is made at the start
	Settle  time.Duration // what a new queue takes until all can send to it: a second on AWS

	// Over reports whether a stop is for good. Before, the actor is spawned again
	// under its name when another actor stops it. nil: each stop is for good.
	Over func() bool
}

// Addresses is the address of one process.
type Addresses struct{ core *core }

// core is what outlives a restart of the actor.
type core struct {
	cfg   Config
	log   *slog.Logger
	life  life.Restarts
	props *actor.Props
	root  *actor.RootContext
	pid   *actor.PID

	at       atomic.Pointer[inbox]  // nil: not made yet, or lost
	answered atomic.Int64           // when this process has answered last, in Unix seconds
	prefix   atomic.Pointer[string] // of the last inbox that it answered to
	counts   counts
	id       string // its place among those that sweep, while it has no inbox

	complaints complaints

	// The actor's.
	waiting  map[string]*question
	unnamed  []*question // they wait for the inbox
	opening  bool
	prefixes map[string]bool // of the inboxes that are swept
	known    map[string]verdict
	sweeping bool
	carrying bool
	posts    []*post // that wait for those under way
	memory   memory

	ctx  context.Context // of what runs apart from the actor, until its stop
	end  context.CancelFunc
	work sync.WaitGroup
}

// New returns the address of a process, for one actor, of [Addresses.Props], with the name
// [Name].
func New(cfg Config) *Addresses {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Over == nil {
		cfg.Over = func() bool { return true }
	}
	c := &core{cfg: cfg, log: cfg.Logger, root: actor.NewRootContext(cfg.System, nil),
		pid: cfg.System.NewLocalPID(Name), id: random(idLength / 2), waiting: map[string]*question{},
		known: map[string]verdict{}, prefixes: map[string]bool{cfg.Prefix: true}, memory: newMemory()}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.props = actor.PropsFromProducer(func() actor.Actor { return &addresses{core: c} },
		actor.WithMailbox(c.life.Mailbox))
	return &Addresses{c}
}

// Props are those of the actor.
func (a *Addresses) Props() *actor.Props { return a.core.props }

// Ask sends a task by send, and waits for its answer until ctx ends. An answer that comes
// later, or twice, is dropped and counted. Its errors are that of send and [*NoAnswerError].
func (a *Addresses) Ask(ctx context.Context, send sending) (*task.Answer, error) {
	c := a.core
	if err := c.ended(ctx); err != nil {
		return nil, err
	}
	at := c.at.Load()
	q := &question{id: random(12), to: at, answer: make(chan answer, 1)} // the actor's, once it is sent
	if at == nil {
		q.named = make(chan reply, 1)
	}
	c.counts.asked.Add(1)
	c.root.Send(c.pid, q)
	if at == nil {
		select {
		case r := <-q.named:
			if r.err != nil {
				return nil, r.err
			}
			at = r.at
		case <-ctx.Done():
			c.withdraw(q)
			return nil, fmt.Errorf("the queue for answers is not there yet: %w", context.Cause(ctx))
		case <-c.ctx.Done():
			return nil, life.ErrStopped
		}
	}
	execID, err := send(ctx, task.Reply(at.name, q.id))
	if err != nil {
		c.withdraw(q)
		return nil, err
	}
	select {
	case got := <-q.answer:
		return c.heard(execID, got)
	case <-ctx.Done():
		c.withdraw(q)
		c.counts.abandoned.Add(1)
		return nil, &NoAnswerError{execID, context.Cause(ctx)}
	case <-c.ctx.Done():
	}
	select { // it may have come with the end
	case got := <-q.answer:
		return c.heard(execID, got)
	default:
		return nil, &NoAnswerError{execID, life.ErrStopped}
	}
}

func (c *core) heard(execID string, got answer) (*task.Answer, error) {
	if got.err != nil {
		return nil, &NoAnswerError{execID, got.err}
	}
	return got.Answer, nil
}

// ended returns why nothing can be asked, or nil.
func (c *core) ended(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.ctx.Err() != nil:
		return life.ErrStopped
	}
	return nil
}

func (c *core) withdraw(q *question) { c.root.Send(c.pid, &withdrawn{id: q.id}) }

// Post sends notices to all other processes that have an inbox, and returns how many those
// are. Without one the error is [ErrNobody].
func (a *Addresses) Post(ctx context.Context, notices ...task.Notice) (inboxes int, err error) {
	c := a.core
	if err := c.ended(ctx); err != nil {
		return 0, err
	}
	p := &post{notices: notices, done: make(chan posted, 1)}
	c.root.Send(c.pid, p)
	select {
	case r := <-p.done:
		return r.inboxes, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("notices may yet be sent: %w", context.Cause(ctx))
	case <-c.ctx.Done():
		return 0, life.ErrStopped
	}
}

// Answering notes that this process answers to an inbox, so that it looks after the
// inboxes of its kind. It does not block.
func (a *Addresses) Answering(inbox string) {
	c, prefix := a.core, inbox[:len(inbox)-idLength]
	was := c.answered.Swap(time.Now().Unix())
	known := c.prefix.Load()
	if known != nil && *known == prefix && time.Since(time.Unix(was, 0)) < sweepFor/2 {
		return
	}
	c.prefix.Store(&prefix)
	c.root.Send(c.pid, &answering{prefix: prefix})
}

// random returns n random bytes as text.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
