package console

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// tasks implements [admin.Tasks].
type tasks struct {
	pools *pools.Pools
	state func() life.State
}

func (d tasks) Workers() admin.Workers {
	w := admin.Workers{Pool: d.pools.Names()[0], Stats: *d.pools.Tasks().Stats(), Sender: d.pools.Sender().Stats()}
	w.Stats.Tasks = slices.DeleteFunc(w.Stats.Tasks, func(t dispatcher.TaskStats) bool {
		return !t.Registered && t.Postponed == 0 && t.GivenBack == 0 && t.GivenUp == 0 // nothing of it was ever seen
	})
	shares := d.pools.Shares()
	w.TotalWorkers = shares.Limit
	for _, p := range d.pools.Each() {
		set := p.Settings()
		one := admin.Pool{Name: p.Name(), Stats: *p.Tasks().Stats()}
		one.Weight, one.Priority = max(set.Weight, 1), set.Priority
		for _, t := range one.Stats.Tasks {
			one.Started += t.Started
		}
		for _, s := range shares.Pools {
			if s.Pool == one.Name {
				one.Share = s.Share
			}
		}
		w.Pools = append(w.Pools, one)
		stats, started := p.Poller()
		for i := range stats.Refused { // a URL names a queue by its last part
			stats.Refused[i].Queue = path.Base(stats.Refused[i].Queue)
		}
		switch {
		case !started:
		case w.Poller.QueueURL == "":
			w.Poller = stats
		default:
			w.Poller.Add(&stats)
		}
	}
	return w
}

// commandTime bounds what a command waits for a dispatcher, and leaseWait what a
// list waits for a poller: without its answer the list is shown without leases.
const (
	commandTime = 5 * time.Second
	leaseWait   = time.Second
)

func (d tasks) Executions(ctx context.Context, limit int) ([]admin.Execution, int, error) {
	c := d.pools.Control()
	if c == nil || d.state() == life.Stopped {
		return nil, 0, nil
	}
	r, err := c.Inspect(ctx, "", limit)
	if err != nil {
		return nil, 0, err
	}
	wait, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	ends := d.pools.Leases(wait)
	list := make([]admin.Execution, len(r.List))
	for i, e := range r.List {
		list[i] = admin.Execution{Execution: e, LeaseEnd: ends[e.Pool][e.Lease]}
	}
	return list, r.Total, nil
}

func (d tasks) Pause(ctx context.Context, name string) error {
	_, err := d.command(ctx, func(ctx context.Context, c *dispatcher.Client) (int, error) {
		return 0, c.Pause(ctx, name)
	})
	return err
}

func (d tasks) Resume(ctx context.Context, name string) error {
	_, err := d.command(ctx, func(ctx context.Context, c *dispatcher.Client) (int, error) {
		return 0, c.Resume(ctx, name)
	})
	return err
}

func (d tasks) Cancel(ctx context.Context, execID, reason string) (int, error) {
	n, err := d.command(ctx, func(ctx context.Context, c *dispatcher.Client) (int, error) {
		return c.CancelExecution(ctx, whole(ctx, c, execID), reason)
	})
	return d.elsewhere(ctx, task.Notice{ExecID: execID, Reason: reason, Keep: true}, n, err)
}

// elsewhere sends a notice about an execution that is not here to all processes that take
// notices. It returns n and err, the answer here, if there are none.
func (d tasks) elsewhere(ctx context.Context, notice task.Notice, n int, err error) (int, error) {
	if !errors.Is(err, admin.ErrNotFound) || clip.IsCut(notice.ExecID) || admin.HereAlone(ctx) {
		return n, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	known, failure := d.pools.Order(ctx, notice)
	switch {
	case errors.Is(failure, addresses.ErrNobody) && known.Missing == 0, errors.Is(failure, life.ErrStopped):
		return n, err
	case failure != nil:
		return n, failure
	case known.Here+known.Fleet+known.Posted == 0: // all of the fleet have answered
		return n, fmt.Errorf("%w; %d other processes of the fleet do not have it either", err, known.Members)
	}
	return known.Here + known.Fleet, nil
}

func (d tasks) Snooze(ctx context.Context, execID string, wait time.Duration) (int, error) {
	n, err := d.command(ctx, func(ctx context.Context, c *dispatcher.Client) (int, error) {
		return c.SnoozeExecution(ctx, whole(ctx, c, execID), wait)
	})
	if wait <= 0 {
		return n, err // a notice of no time is a cancel
	}
	return d.elsewhere(ctx, task.Notice{ExecID: execID, Snooze: wait.Seconds()}, n, err)
}

// command gives a command to the dispatchers. They have one reason to refuse it:
// that they know no task or execution of that name.
func (d tasks) command(ctx context.Context, give func(context.Context, *dispatcher.Client) (int, error)) (int, error) {
	c := d.pools.Control()
	if c == nil {
		return 0, fmt.Errorf("%w: the service takes no tasks: it has none registered, or has not started",
			admin.ErrNotNow)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	n, err := give(ctx, c)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	}
	return n, err
}

// maxSearched bounds the executions that an id is looked for in.
const maxSearched = 100_000

// whole returns the exec_id that is shown as id: the page shows a long one cut.
func whole(ctx context.Context, c *dispatcher.Client, id string) string {
	if !clip.IsCut(id) {
		return id
	}
	r, err := c.Inspect(ctx, "", maxSearched)
	if err != nil {
		return id // the command itself says what is wrong
	}
	for i := range r.List {
		if clip.ID(r.List[i].ExecID) == id {
			return r.List[i].ExecID
		}
	}
	return id
}

func (d tasks) Events(buffer int) (<-chan *dispatcher.Event, func()) {
	sub := d.pools.Tasks().Events(buffer)
	return sub.C, sub.Close
}
