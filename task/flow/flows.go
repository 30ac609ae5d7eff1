package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/task"
)

// System is what flows need of a service, a *chassis.System.
type System interface {
	Add(name string, part parts.Part, opts ...parts.Option)
	Logger(name string) *slog.Logger
	SQS() *sqs.Client
	Pools() []pools.Pool
}

// suffix is what the flow's queue has behind the name of the pool.
const suffix = "-flow.fifo"

// retention is how long the flow's queue keeps a message: as long as SQS can.
const retention = 14 * 24 * time.Hour

// Flows starts flows, and is the part of a service that joins groups.
type Flows struct {
	sys    System
	log    *slog.Logger
	sender *poller.Sender
	pool   string // of links that name none
	queue  string
	create bool

	url  atomic.Pointer[string] // of the queue; nil: not looked up yet
	hold holder

	cancels cancels
}

// New makes the flows of a service, and adds them to it as the part "flows". It is called
// before the start, in each service that handles tasks of flows: without it a process
// does not know these tasks, and leaves them to others as it does with unknown names. The
// queue of the service's own groups is that of tasks.task_pool and -flow.fifo.
func New(sys System) (*Flows, error) {
	all := sys.Pools()
	if len(all) == 0 || all[0].Name() == "" {
		return nil, errors.New("flow: tasks.task_pool is not set: the queue of the groups has its name and " + suffix)
	}
	f := &Flows{sys: sys, log: sys.Logger("task/flow"), sender: all[0].Sender(), pool: all[0].Name(),
		queue: strings.TrimSuffix(all[0].Name(), ".fifo") + suffix, create: all[0].Settings().MissingQueue != "error"}
	if err := poller.CheckQueueName(f.queue); err != nil {
		return nil, fmt.Errorf("flow: the queue of the groups: %w: give tasks.task_pool a shorter name", err)
	}
	if err := all[0].Follow(pools.Flows, f.follow, f.around); err != nil {
		return nil, fmt.Errorf("flow: a service has one flow.New: %w", err)
	}
	f.hold.flows, f.cancels.wake = f, make(chan string, queuesKnown)
	sys.Add("flows", &f.hold)
	return f, nil
}

// Queue is the name of the flow's queue.
func (f *Flows) Queue() string { return f.queue }

// follow is the [task.Follow] of the service.
func (f *Flows) follow(e task.Ending) []task.Outgoing {
	outs, said, err := follow(e, f.cancelled, time.Now())
	if err != nil {
		f.log.ErrorContext(ctxOf(origin{JobID: e.Message.JobID, JobName: e.Message.JobName}),
			"a task ended that was part of a flow, and what follows it cannot be read: the flow ends here",
			"task", e.Message.Name, "exec_id", e.Message.ExecID, "error", err)
		return nil
	}
	f.say(origin{JobID: e.Message.JobID, JobName: e.Message.JobName}, said, "after", e.Message.Name,
		"exec_id", e.Message.ExecID)
	return outs
}

// ctxOf is the ctx of records about a flow.
func ctxOf(o origin) context.Context {
	return task.WithOrigin(context.Background(), o.JobID, o.JobName)
}

func (f *Flows) say(o origin, said []line, where ...any) {
	for _, l := range said {
		level := slog.LevelInfo
		if l.failed {
			level = slog.LevelWarn
		}
		f.log.Log(ctxOf(o), level, l.text, append(l.args, where...)...)
	}
}

// StartOption changes how a flow is started.
type StartOption func(*starting)

type starting struct {
	id     string
	origin origin
}

// ID is the id of the flow; the default is a new UUID. Two starts with one id make tasks of
// the same exec_ids: a start that is tried again, by a task for example, must give it. It
// starts what was not sent, and sends the rest twice.
func ID(id string) StartOption { return func(s *starting) { s.id = id } }

// Job names the job of all tasks of the flow. The default is the job of ctx, and outside of
// one the flow's id, with the name "flow".
func Job(id, name string) StartOption {
	return func(s *starting) { s.origin.JobID, s.origin.JobName = id, name }
}

// traceOf is the W3C trace context of ctx, or "".
func traceOf(ctx context.Context) string {
	var m task.Message
	m.SetTrace(trace.SpanContextFromContext(ctx))
	return m.TraceParent()
}

// chunk is how many members of a batch are sent at a time.
const chunk = 1000

// Start sends the first tasks of a flow and returns the flow's id. It returns once the
// queue has them. After an error some may have been sent: they run, but no group is joined
// that was not sent whole. Start it again with the same [ID], which sends all of it again.
func (f *Flows) Start(ctx context.Context, flow Flow, opts ...StartOption) (id string, err error) {
	s := starting{id: uuid.NewString()}
	if o, _ := task.OriginOf(ctx); o != (task.Origin{}) && o.ID != task.Unknown {
		s.origin.JobID, s.origin.JobName = o.ID, o.Name
	}
	for _, o := range opts {
		o(&s)
	}
	fail := func(err error) (string, error) { return "", fmt.Errorf("start a flow: %w", err) }
	switch {
	case flow.err != nil:
		return fail(flow.err)
	case len(flow.links) == 0:
		return fail(errors.New("it is empty"))
	case s.id == "":
		return fail(errors.New("its id is empty"))
	}
	if s.origin.JobID == "" {
		s.origin.JobID, s.origin.JobName = s.id, "flow"
	}
	s.origin.Trace = traceOf(ctx)
	links, err := resolve(flow.links, f.pool)
	if err != nil {
		return fail(err)
	}
	if _, err := f.address(ctx); err != nil {
		return fail(err)
	}
	b := &builder{origin: s.origin, now: time.Now()}
	if err := f.begin(ctx, b, place{Queue: f.queue, Flow: s.id, Rest: links}, s.id, flow); err != nil {
		return fail(err)
	}
	return s.id, nil
}

// begin sends the first tasks of p.Rest, and with them the members of a batch.
func (f *Flows) begin(ctx context.Context, b *builder, p place, id string, flow Flow) error {
	if flow.stream != nil {
		return f.batch(ctx, b, p, id, flow)
	}
	if err := b.start(p, id, nil); err != nil {
		return err
	}
	return f.send(ctx, b)
}

// batch sends the members of a batch while they are drawn, and then its head.
func (f *Flows) batch(ctx context.Context, b *builder, p place, id string, flow Flow) error {
	l, group := p.Rest[0], derive(id, "group")
	p.Rest, p.Own = p.Rest[1:], l.Undo
	n := 0
	for m := range flow.stream {
		if m.err == nil && m.stream != nil {
			m.err = errors.New("a batch is not a member of a group")
		}
		links, err := resolve(m.links, f.pool)
		if err = errors.Join(m.err, err); err == nil && n == MaxMembers {
			err = fmt.Errorf("a group has at most %d", MaxMembers)
		}
		if err == nil {
			member := place{Queue: p.Queue, Flow: p.Flow, Seat: &seat{group, n}, Rest: links}
			err = b.member(member, group, n, nil)
		}
		if err != nil {
			return fmt.Errorf("member %d: %w", n, err)
		}
		if n++; len(b.outs) >= chunk {
			if err := f.send(ctx, b); err != nil {
				return fmt.Errorf("of the first %d members: %w", n, err)
			}
		}
	}
	if err := f.send(ctx, b); err != nil {
		return fmt.Errorf("of the first %d members: %w", n, err)
	}
	if err := b.head(p, group, n, l.All); err != nil {
		return err
	}
	return f.send(ctx, b)
}

// send sends what the builder has made.
func (f *Flows) send(ctx context.Context, b *builder) error {
	if len(b.outs) == 0 {
		return nil
	}
	_, err := f.sender.SendMany(ctx, b.outs)
	b.outs = b.outs[:0]
	return err
}

// address returns the URL of the flow's queue, which it makes if that is allowed.
func (f *Flows) address(ctx context.Context) (string, error) {
	if url := f.url.Load(); url != nil {
		return *url, nil
	}
	url, err := poller.EnsureQueue(ctx, f.sys.SQS(), f.queue,
		poller.EnsureOptions{Create: f.create, Visibility: holdFor, Retention: retention})
	if err == nil {
		f.url.Store(&url)
	}
	return url, err
}

// Stats are what the flows of a process have done.
func (f *Flows) Stats() Stats { return f.hold.counts.stats() }
