package pools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// addressing is the address of the process, which is made with its first use: see package
// addresses.
type addressing struct {
	guardian atomic.Pointer[life.Guardian]       // nil until the start
	at       atomic.Pointer[addresses.Addresses] // nil: not used yet
	over     atomic.Bool
	asked    atomic.Bool // its making by an answer is under way
	carrier  atomic.Pointer[Carrier]
	taken    taken

	mu  sync.Mutex // guards the making
	pid *actor.PID
}

// Carrier brings a notice to executions in other processes in another way than the queue, as
// a fleet does. An error comes together with what is known.
type Carrier func(ctx context.Context, n task.Notice) (Carried, error)

// Carried says how far a notice has come.
type Carried struct {
	Found   int // executions that end by it
	Members int // processes that have taken it, as far as is known
	Missing int // processes that have not answered: they may take it yet
}

// CarryNotices sets what brings notices to other processes first: see [Pools.Order].
func (p Pool) CarryNotices(by Carrier) { p.lane.pools.addressing.carrier.Store(&by) }

// TakeNotice gives a notice to the executions of this process, of all its pools, and returns
// how many it reached. A cancel holds for those that come within [addresses.NoticeFor], too.
// A notice that comes again, by the ID that [Pools.Order] gives it, changes nothing: the answer
// is that of the first time.
func (p Pool) TakeNotice(ctx context.Context, n task.Notice) (int, error) {
	return p.lane.pools.takeNotice(ctx, n)
}

// Order is [Pools.Order].
func (p Pool) Order(ctx context.Context, n task.Notice) (Cancelled, error) {
	return p.lane.pools.Order(ctx, n)
}

// ErrNotStarted says that a question, or a cancel, came before the start.
var ErrNotStarted = errors.New("chassis: the system has not started")

// settleTime is how long a new queue of SQS may be unknown to others (CreateQueue of the SQS
// API reference).
const settleTime = time.Second

// addresses returns the address of the process.
func (p *Pools) addresses() (*addresses.Addresses, error) {
	if at := p.addressing.at.Load(); at != nil {
		return at, nil
	}
	s := &p.addressing
	s.mu.Lock()
	defer s.mu.Unlock()
	switch at := s.at.Load(); {
	case at != nil:
		return at, nil
	case s.over.Load():
		return nil, life.ErrStopped
	case s.guardian.Load() == nil:
		return nil, ErrNotStarted
	}
	guardian := s.guardian.Load()
	host, _ := os.Hostname()
	cfg := addresses.Config{
		Prefix: task.InboxPrefix(cmp.Or(p.main().name(), NameFor(p.cfg.Service))),
		Owner:  fmt.Sprintf("%s:%d", cmp.Or(host, "unknown"), os.Getpid()),
		System: guardian.System(), Client: p.cfg.Queue.Client, Logger: p.cfg.Logger("actors/addresses"),
		Send: p.sendLetters, Take: p.takeNotice, Over: s.over.Load, Notices: p.cfg.Settings.Notices,
		Create: p.cfg.Settings.MissingQueue != "error",
	}
	if p.cfg.Queue.Server == nil {
		cfg.Settle = settleTime
	}
	at := addresses.New(cfg)
	pid, err := guardian.Spawn(at.Props(), addresses.Name)
	if err != nil {
		return nil, err
	}
	s.pid = pid
	s.at.Store(at)
	return at, nil
}

// openAddresses makes the address of a process that takes notices.
func (p *Pools) openAddresses() error {
	if !p.cfg.Settings.Notices {
		return nil
	}
	_, err := p.addresses()
	return err
}

// stopAddresses ends the questions that wait, and removes the inbox.
func (p *Pools) stopAddresses(ctx context.Context) {
	s := &p.addressing
	s.mu.Lock()
	pid, was := s.pid, s.over.Swap(true)
	s.mu.Unlock()
	if pid == nil || was {
		return
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), life.StopTimeout)
	defer cancel()
	if err := s.guardian.Load().Stop(end, pid); err != nil {
		p.log().Warn("the addresses did not end", "error", err)
	}
}

// Addresses returns the numbers of the process's address, of all its pools.
func (p Pool) Addresses() addresses.Stats {
	if at := p.lane.pools.addressing.at.Load(); at != nil {
		return at.Stats()
	}
	return addresses.Stats{}
}

func (p *Pools) sendLetters(ctx context.Context, outs []task.Outgoing) []error {
	errs := make([]error, len(outs))
	results, _ := p.sender.SendMany(ctx, outs)
	for i, r := range results {
		errs[i] = r.Err
	}
	return errs
}

// answered is called by the dispatchers before they answer an asker.
func (p *Pools) answered(inbox string) {
	s := &p.addressing
	if at := s.at.Load(); at != nil {
		at.Answering(inbox)
		return
	}
	if s.asked.Swap(true) {
		return
	}
	p.background.run(func(context.Context) {
		if at, err := p.addresses(); err == nil {
			at.Answering(inbox)
		}
	})
}

// Ask sends the task of definition def with args, and waits for what its handler returns by
// task.Return. See [Pools.Send] for errors of the send; [*task.FailedError] says that the
// task was given up, [*addresses.NoAnswerError] that no answer has come until ctx ended.
func Ask[R, A any](ctx context.Context, p *Pools, def *task.Definition[A], args A, opts ...task.Option) (R, error) {
	var result, none R
	fail := func(err error) (R, error) { return none, fmt.Errorf("ask task %q: %w", def.Name(), err) }
	if err := def.Spec().Err(); err != nil {
		return fail(err)
	}
	at, err := p.addresses()
	if err != nil {
		return fail(err)
	}
	answer, err := at.Ask(ctx, func(ctx context.Context, reply string) (string, error) {
		return p.Send(ctx, def.Name(), args, slices.Concat(def.Options(opts), []task.Option{task.AskedBy(reply)})...)
	})
	if err == nil {
		err = answer.Value(&result)
	}
	if err != nil {
		return fail(err)
	}
	return result, nil
}

// Cancelled says what is known of a cancel.
type Cancelled struct {
	Here   int // executions in this process that end by it
	Fleet  int // executions in other processes that the fleet has reached
	Posted int // processes that a notice was sent to by the queue, if no execution was known

	Members int // processes of the fleet that have taken it: they remember a cancel
	Missing int // processes of the fleet that had not answered: they may take it yet
}

// Cancel ends an execution for good, wherever it is. See [Pools.Order].
func (p *Pools) Cancel(ctx context.Context, execID string) (Cancelled, error) {
	return p.Order(ctx, task.Notice{ExecID: execID})
}

// Order gives a notice to the executions of this process, else to those of the fleet, else
// to all processes that take notices by the queue. It goes by the queue, too, where the fleet
// does not have the execution and this process takes notices itself, and where a member of
// the fleet has not answered: it may be cut off.
func (p *Pools) Order(ctx context.Context, n task.Notice) (Cancelled, error) {
	var known Cancelled
	fail := func(err error) (Cancelled, error) {
		return known, fmt.Errorf("reach execution %q: %w", n.ExecID, err)
	}
	var err error
	if n.ExecID == "" {
		return fail(errors.New("its exec_id is empty"))
	}
	if n.ID == "" {
		n.ID = addresses.NewOrder()
	}
	if known.Here, err = p.takeNotice(ctx, n); err != nil {
		return fail(err)
	}
	if known.Here > 0 {
		return known, nil
	}
	carryErr := p.carry(ctx, n, &known)
	whole := known.Members > 0 && known.Missing == 0 && carryErr == nil
	if known.Fleet > 0 || whole && !p.cfg.Settings.Notices {
		return known, nil
	}
	at, err := p.addresses()
	if err == nil {
		known.Posted, err = at.Post(ctx, n)
	}
	if errors.Is(err, addresses.ErrNobody) && whole {
		return known, nil // all there are have it
	}
	if err != nil {
		return fail(errors.Join(carryErr, err))
	}
	return known, nil
}

// carry gives a notice to the fleet, if there is one.
func (p *Pools) carry(ctx context.Context, n task.Notice, known *Cancelled) error {
	by := p.addressing.carrier.Load()
	if by == nil || *by == nil {
		return nil
	}
	c, err := (*by)(ctx, n)
	known.Fleet, known.Members, known.Missing = c.Found, c.Members, c.Missing
	if err != nil {
		p.log().Warn("the fleet has not carried a notice; it goes by the queue", "exec_id", n.ExecID, "error", err)
	}
	if c.Found == 0 && c.Missing > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d other processes of the fleet have not answered: they may take it "+
			"yet", c.Missing, c.Members+c.Missing))
	}
	return err
}

// noticeTime bounds what a notice waits for the dispatchers.
const noticeTime = 5 * time.Second

// mostSnooze bounds a snooze from elsewhere, in seconds: 30 days.
const mostSnooze = 30 * 24 * 60 * 60

// takeNotice gives a notice to the dispatchers, once for each ID.
func (p *Pools) takeNotice(ctx context.Context, n task.Notice) (int, error) {
	client := p.begun.Load()
	if client == nil {
		return 0, nil // it takes no tasks
	}
	ctx, cancel := context.WithTimeout(ctx, noticeTime)
	defer cancel()
	return p.addressing.taken.once(ctx, n.ID, func() (int, error) { return give(ctx, client, n) })
}

func give(ctx context.Context, client *dispatcher.Client, n task.Notice) (int, error) {
	if n.Snooze > 0 {
		wait := time.Duration(min(n.Snooze, mostSnooze) * float64(time.Second))
		found, err := client.SnoozeExecution(ctx, n.ExecID, wait)
		if ctx.Err() == nil {
			err = nil // the execution is not here
		}
		return found, err
	}
	return client.Cancel(ctx, dispatcher.CancelExecution{ExecID: n.ExecID, Reason: n.Reason, Delete: !n.Keep,
		Until: time.Now().Add(addresses.Holds(n))})
}
