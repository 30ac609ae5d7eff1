package chassis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
)

// consoleTasks shows and steers the tasks.
type consoleTasks struct{ sys *System }

func (d consoleTasks) Workers() admin.Workers {
	m := d.sys.Tasks().Stats()
	sent := d.sys.sender.Stats()
	w := admin.Workers{Pool: d.sys.pool(), Status: m.Status.String(), Paused: m.Paused, Workers: m.Workers, Running: m.Running, Waiting: m.Held,
		Queued: m.Queued, Abandoned: m.Abandoned, Stalled: m.Stalled, LostLeases: m.LostLeases, SettleFailed: m.SettleFailed, Restarts: m.Restarts,
		Sender: admin.Sender{Sent: sent.Sent, Refused: sent.Refused, Pending: sent.Pending, Requests: sent.Requests, Failures: sent.Failures, Retries: sent.Retries}}
	lanes := d.sys.tasks.lanes
	for i, l := range lanes {
		r := l.actors()
		if r == nil {
			continue
		}
		p := r.queue.Stats()
		one := admin.Poller{Receives: p.Receives, EmptyReceives: p.EmptyReceives, Received: p.Received, Deleted: p.Deleted, Released: p.Released,
			Extended: p.Extended, Lost: p.Lost, Unsettled: p.Unsettled, Failures: p.Failures, Throttles: p.Throttles, Restarts: p.Restarts, Leases: p.Leases,
			OldestLease: p.OldestLease, LastSuccess: p.LastSuccess, LastFailure: p.LastFailure, LastError: p.LastError, Alive: p.Alive,
			Requests: map[string]int64{"receive": p.Requests.Receive, "delete": p.Requests.Delete, "release": p.Requests.Release, "extend": p.Requests.Extend, "count": p.Requests.Count},
			Client:   admin.ClientStats{Shortcut: p.Client.Shortcut, Refused: p.Client.Refused, SDK: p.Client.SDK}}
		for _, r := range p.Refused {
			one.Refused = append(one.Refused, poller.Refusal{Action: r.Action, Queue: queueName(r.Queue), Since: r.Since, Next: r.Next, Error: r.Error})
		}
		if i == 0 {
			w.Poller = one
		} else {
			w.Poller.Add(one)
		}
	}
	w.TotalWorkers, w.Pools = d.sys.settings.Tasks.TotalWorkers, d.pools()
	return w
}

// pools are the system's pools one by one.
func (d consoleTasks) pools() []admin.Pool {
	list := make([]admin.Pool, len(d.sys.tasks.lanes))
	for i, l := range d.sys.tasks.lanes {
		m := l.monitor.Stats()
		list[i] = admin.Pool{Name: l.pool(), Status: m.Status.String(), Paused: m.Paused, Workers: m.Workers, Running: m.Running, Waiting: m.Held, Queued: m.Queued,
			Weight: max(l.settings.Weight, 1), Priority: l.settings.Priority}
		for _, t := range m.Tasks {
			list[i].Started += t.Started
		}
		for _, s := range d.sys.Shares().Pools {
			if s.Pool == l.pool() {
				list[i].Share = s.Share
			}
		}
	}
	return list
}

func (d consoleTasks) Tasks() []admin.Task {
	stats := d.sys.Tasks().Stats().Tasks
	list := make([]admin.Task, 0, len(stats))
	for _, t := range stats {
		if !t.Registered && t.Postponed == 0 && t.GivenBack == 0 && t.GivenUp == 0 {
			continue // nothing of it was ever seen
		}
		list = append(list, admin.Task{Name: t.Name, Registered: t.Registered, Paused: t.Paused, MaxFailures: t.MaxFailures, Running: t.Running, Started: t.Started,
			Succeeded: t.Succeeded, Failed: t.Failed, Panicked: t.Panicked, Interrupted: t.Interrupted, Waits: t.Held, GivenBack: t.GivenBack,
			Postponed: t.Postponed, GivenUp: t.GivenUp, Abandoned: t.Abandoned, Stalled: t.Stalled,
			Run: distribution(t.Run), Delay: distribution(t.Delay)})
	}
	return list
}

func distribution(d dispatcher.Durations) admin.Distribution {
	a := admin.Distribution{P50: d.P50.Seconds(), P99: d.P99.Seconds(), Count: d.Count, Sum: d.Sum.Seconds(), Buckets: make(map[float64]uint64, len(d.AtMost))}
	for bound, n := range d.AtMost {
		a.Buckets[bound.Seconds()] = n
	}
	return a
}

// errNotStarted is the answer to commands before there is anybody to obey.
var errNotStarted = fmt.Errorf("%w: the service takes no tasks: it has none registered, or has not started", admin.ErrNotNow)

func (d consoleTasks) Executions(ctx context.Context, limit int) ([]admin.Execution, int, error) {
	c := d.sys.Control()
	if c == nil || d.sys.State() >= Stopped {
		return nil, 0, nil
	}
	r, err := c.Inspect(ctx, "", limit)
	if err != nil {
		return nil, 0, err
	}
	ends := d.leases(ctx)
	list := make([]admin.Execution, len(r.List))
	for i := range r.List {
		e := &r.List[i]
		list[i] = admin.Execution{Pool: e.Pool, Task: e.Task, ExecID: e.ExecID, JobID: e.JobID, JobName: e.JobName, Phase: e.Phase, Attempt: e.Attempt,
			Failures: e.Failures, Since: e.Since, Until: e.Until, LeaseEnd: ends[e.Pool][e.Lease], Error: e.Error}
		if p := e.Progress; p != nil {
			list[i].Progress = &admin.Progress{Done: p.Done, Total: p.Total, Note: p.Note, At: p.At}
		}
	}
	return list, r.Total, nil
}

// leases asks each pool's poller when its leases end. Without an answer the list
// is shown without them.
func (d consoleTasks) leases(ctx context.Context) map[string]map[poller.LeaseID]time.Time {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	replies := map[string]chan map[poller.LeaseID]time.Time{}
	for _, l := range d.sys.tasks.lanes {
		if r := l.actors(); r != nil {
			replies[l.pool()] = make(chan map[poller.LeaseID]time.Time, 1)
			d.sys.actors.Send(r.poller, &poller.InspectLeases{Reply: replies[l.pool()]})
		}
	}
	ends := map[string]map[poller.LeaseID]time.Time{}
	for pool, reply := range replies {
		select {
		case ends[pool] = <-reply:
		case <-ctx.Done():
		}
	}
	return ends
}

func (d consoleTasks) Pause(ctx context.Context, name string) error {
	return d.steer(ctx, name, (*dispatcher.Client).Pause)
}

func (d consoleTasks) Resume(ctx context.Context, name string) error {
	return d.steer(ctx, name, (*dispatcher.Client).Resume)
}

func (d consoleTasks) steer(ctx context.Context, name string, f func(*dispatcher.Client, context.Context, string) error) error {
	c := d.sys.Control()
	if c == nil {
		return errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return unknown(f(c, ctx, name))
}

func (d consoleTasks) Cancel(ctx context.Context, execID, reason string) (int, error) {
	c := d.sys.Control()
	if c == nil {
		return 0, errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	n, err := c.CancelExecution(ctx, whole(ctx, c, execID), reason)
	return n, unknown(err)
}

func (d consoleTasks) Snooze(ctx context.Context, execID string, wait time.Duration) (int, error) {
	c := d.sys.Control()
	if c == nil {
		return 0, errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	n, err := c.SnoozeExecution(ctx, whole(ctx, c, execID), wait)
	return n, unknown(err)
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

// unknown marks an error of the dispatcher's, which has one reason to refuse a
// command: that it knows no task or execution of that name.
func unknown(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
}

// shownEvent is cut before it waits for the page: ids may have a megabyte.
func shownEvent(e *dispatcher.Event) admin.Event {
	return admin.Event{At: e.At, Kind: string(e.Kind), Task: clip.ID(e.Task), ExecID: clip.ID(e.ExecID), JobID: clip.ID(e.JobID), JobName: clip.ID(e.JobName),
		Attempt: e.Attempt, Took: e.Took.Seconds(), Wait: e.Wait.Seconds(), Reason: clip.Line(e.Reason, clip.Text), Error: clip.Line(e.Error, clip.Text)}
}

func (d consoleTasks) Events(buffer int) (<-chan admin.Event, func()) {
	sub := d.sys.Tasks().Events(buffer)
	out := make(chan admin.Event, buffer)
	go func() { // ends when stop closes the subscription
		defer close(out)
		for e := range sub.C {
			select {
			case out <- shownEvent(e):
			default: // the page shows the last ones, not all
			}
		}
	}()
	return out, sub.Close
}
