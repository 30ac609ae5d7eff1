package pools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// ErrUnregistered says that a task was sent to a pool of the process's own under a
// name that is not registered here: nothing could run it.
var ErrUnregistered = errors.New("chassis: the task is not registered in this system")

// Send sends the task of definition def with args to the pool that def names, and
// returns its exec_id. See [Pools.Send].
func Send[A any](ctx context.Context, p *Pools, def *task.Definition[A], args A, opts ...task.Option) (string, error) {
	if err := def.Spec().Err(); err != nil {
		return "", err
	}
	return p.Send(ctx, def.Name(), args, def.Options(opts)...)
}

// Send sends a task by name; args are anything that encoding/json takes, an
// object by custom. It goes to the pool that its definition names
// (task.InPool), else to tasks.task_pool. To a pool of the system's own the name
// must be registered ([ErrUnregistered]); to another, chosen by task.Pool, any
// name goes. A FIFO pool takes no task that is due later than its queue keeps a
// message ([dispatcher.ErrNotKept]). It returns once the queue has the message.
func (p *Pools) Send(ctx context.Context, name string, args any, opts ...task.Option) (execID string, err error) {
	span := p.startSend(ctx, opts)
	out, err := p.encode(span.around(ctx), Task{name, args, opts})
	if err != nil {
		span.end("", err)
		return "", err
	}
	span.encoded(out)
	id, err := p.sender.Send(ctx, *out)
	span.end(id, err)
	if err != nil {
		return "", fmt.Errorf("send task %q: %w", name, err)
	}
	return out.ExecID, nil
}

// Task is one task for [Pools.SendMany].
type Task struct {
	Name    string
	Args    any
	Options []task.Option
}

// Sent says what became of one task of [Pools.SendMany].
type Sent struct {
	ExecID string
	Err    error // nil: the queue has it
}

// SendMany sends tasks in batches of ten, or 1 MiB, and says of each what
// became of it, in their order. The error is not nil if any was not sent.
func (p *Pools) SendMany(ctx context.Context, tasks []Task) ([]Sent, error) {
	sent := make([]Sent, len(tasks))
	outs := make([]poller.Outgoing, 0, len(tasks))
	index := make([]int, 0, len(tasks))
	failed, first := 0, error(nil)
	fail := func(i int, err error) {
		sent[i].Err = err
		if failed++; first == nil {
			first = err
		}
	}
	spans := p.startSends(ctx, tasks)
	for i, t := range tasks {
		var span *sendSpan
		if spans != nil {
			span = spans[i]
		}
		out, err := p.encode(span.around(ctx), t)
		if err != nil {
			fail(i, err)
			continue
		}
		span.encoded(out)
		sent[i].ExecID = out.ExecID
		outs, index = append(outs, *out), append(index, i)
	}
	if len(outs) > 0 {
		results, _ := p.sender.SendMany(ctx, outs)
		for k, r := range results {
			if r.Err != nil {
				fail(index[k], fmt.Errorf("send task %q: %w", tasks[index[k]].Name, r.Err))
			}
		}
	}
	endSends(spans, sent)
	if failed > 0 {
		return sent, fmt.Errorf("%d of %d tasks were not sent, the first: %w", failed, len(tasks), first)
	}
	return sent, nil
}

// SendMany sends one task of definition def for each of args to the pool that def names.
// opts are those of each task. One that names a single message (task.ExecID, task.Dedup)
// is a mistake: see [Pools.SendMany] for options of each.
func SendMany[A any](
	ctx context.Context, p *Pools, def *task.Definition[A], args []A, opts ...task.Option,
) ([]Sent, error) {
	if err := def.Spec().Err(); err != nil {
		return nil, err
	}
	if len(args) > 1 && task.NamesOne(opts...) {
		return nil, fmt.Errorf("send %d tasks %q: task.ExecID and task.Dedup are of one message, and all of these "+
			"would have the same: send them by System.SendMany, with options for each", len(args), def.Name())
	}
	opts = def.Options(opts)
	tasks := make([]Task, len(args))
	for i := range args {
		tasks[i] = Task{def.Name(), args[i], opts}
	}
	return p.SendMany(ctx, tasks)
}

// encode makes the message of a task, with the pool filled in.
func (p *Pools) encode(ctx context.Context, t Task) (*task.Outgoing, error) {
	spec, known := p.spec(t.Name)
	opts := append([]task.Option{task.FromContext(ctx), p.sealedBy}, spec.ByTenant(t.Options)...)
	out, err := task.EncodeContext(ctx, t.Name, t.Args, time.Now(), opts...)
	if err != nil {
		return nil, err
	}
	if out.Pool == "" {
		out.Pool = cmp.Or(spec.Pool, p.main().name())
	}
	switch {
	case out.Pool == "":
		return nil, fmt.Errorf("send task %q: there is no pool to send to: set tasks.task_pool, or choose one with "+
			"task.Pool", t.Name)
	case !known && p.lane(out.Pool) != nil:
		return nil, fmt.Errorf("%w: %q to pool %q; register it with chassis.Handle, or send it to the pool of the "+
			"service that has it with task.Pool", ErrUnregistered, t.Name, out.Pool)
	}
	if err := errors.Join(byQueue(out), p.byTenant(out)); err != nil {
		return nil, fmt.Errorf("send task %q: %w", t.Name, err)
	}
	if err := dispatcher.CheckKept(out.Pool, out.When, time.Now(), p.retention(out.Pool)); err != nil {
		return nil, fmt.Errorf("send task %q: %w", t.Name, err)
	}
	return out, nil
}

// byQueue lets a FIFO queue take one task for a key, where it can.
func byQueue(out *task.Outgoing) error {
	one := out.OneOf
	switch {
	case one.Key == "":
		return nil
	case one.UntilDone, one.Window > task.QueueUnique, !strings.HasSuffix(out.Pool, ".fifo"):
		return fmt.Errorf("task.Unique(%q, %v) to pool %q: SQS does that on FIFO pools, for up to %v and not until a "+
			"task is done: send it by the outbox", one.Key, one.Window, out.Pool, task.QueueUnique)
	case out.DedupID != "":
		return errors.New("task.Unique and task.Dedup are both given: take one of them")
	}
	out.DedupID = one.DedupID(out.Name)
	return nil
}

// byTenant chooses the message group of a tenant's task where the pool limits what runs
// of a tenant.
func (p *Pools) byTenant(out *task.Outgoing) error {
	if out.Tenant == "" {
		return nil
	}
	running := p.running(out.Pool)
	switch {
	case running == 0:
		return nil
	case out.GroupID != out.Tenant:
		return fmt.Errorf("task.Tenant(%q) and task.Group(%q) to pool %q: limits.tenant.running is %d there, and "+
			"message groups keep that limit, so they can keep no order: leave out task.Group, or send to a pool "+
			"without the limit", out.Tenant, out.GroupID, out.Pool, running)
	}
	out.GroupID = task.GroupOfTenant(out.Tenant, out.ExecID, running)
	return nil
}

// running is how many executions of a tenant may run at once on a pool of ours; 0 for
// another pool, and where there is no limit.
func (p *Pools) running(pool string) int {
	if l := p.lane(pool); l != nil {
		return l.settings.Limits.Tenant.Running
	}
	return 0
}

// retention is how long the queue of pool keeps a message: by its own attribute
// once that was read, else by the setting; 0: not known.
func (p *Pools) retention(pool string) time.Duration {
	l := p.lane(pool)
	if l == nil {
		return 0
	}
	var queue poller.QueueAttributes
	if r := l.running.Load(); r != nil {
		queue = r.queue.Attributes()
	}
	return cmp.Or(queue.Retention, l.settings.RetentionPeriod, dispatcher.DefaultSettings().RetentionPeriod)
}
