package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/admin"
)

func parseLevel(level string) (slog.Level, error) { return logger.Level(level).Parse(slog.LevelInfo) }

// taskDesk shows and steers the tasks.
type taskDesk struct{ sys *System }

func (d taskDesk) Workers() admin.Workers {
	m := d.sys.Tasks().Stats()
	sent := d.sys.sender.Stats()
	w := admin.Workers{Pool: d.sys.pool(), Status: m.Status.String(), Paused: m.Paused, Workers: m.Workers, Running: m.Running, Waiting: m.Held,
		Queued: m.Queued, Abandoned: m.Abandoned, LostLeases: m.LostLeases, SettleFailed: m.SettleFailed, Restarts: m.Restarts,
		Sender: admin.Sender{Sent: sent.Sent, Refused: sent.Refused, Pending: sent.Pending, Requests: sent.Requests, Failures: sent.Failures, Retries: sent.Retries}}
	if r := d.sys.tasks.actors(); r != nil {
		p := r.queue.Stats()
		w.Poller = admin.Poller{Receives: p.Receives, EmptyReceives: p.EmptyReceives, Received: p.Messages, Deleted: p.Deleted, Released: p.Released,
			Extended: p.Extended, Lost: p.Lost, Unsettled: p.Unsettled, Failures: p.Failures, Throttles: p.Throttles, Restarts: p.Restarts, Leases: p.Leases,
			OldestLease: p.OldestLease, LastSuccess: p.LastSuccess, LastFailure: p.LastFailure, LastError: p.LastError, Alive: p.Alive,
			Requests: map[string]int64{"receive": p.Receives, "delete": p.DeleteCalls, "release": p.ReleaseCalls, "extend": p.ExtendCalls, "count": p.CountCalls}}
	}
	return w
}

func (d taskDesk) Tasks() []admin.Task {
	stats := d.sys.Tasks().Stats().Tasks
	list := make([]admin.Task, 0, len(stats))
	for _, t := range stats {
		if !t.Registered && t.Postponed == 0 && t.GivenBack == 0 && t.GivenUp == 0 {
			continue // nothing of it was ever seen
		}
		list = append(list, admin.Task{Name: t.Name, Registered: t.Registered, Paused: t.Paused, MaxFailures: t.MaxFailures, Running: t.Running, Started: t.Started,
			Succeeded: t.Succeeded, Failed: t.Failed, Panicked: t.Panicked, Interrupted: t.Interrupted, Waits: t.Held, GivenBack: t.GivenBack,
			Postponed: t.Postponed, GivenUp: t.GivenUp, Abandoned: t.Abandoned,
			Run:   admin.Distribution{P50: t.RunP50.Seconds(), P99: t.RunP99.Seconds()},
			Delay: admin.Distribution{P50: t.DelayP50.Seconds(), P99: t.DelayP99.Seconds()}})
	}
	return list
}

// errNotStarted is the answer to commands before there is anybody to obey.
var errNotStarted = fmt.Errorf("%w: the service takes no tasks: it has none registered, or has not started", admin.ErrNotNow)

func (d taskDesk) Executions(ctx context.Context, limit int) ([]admin.Execution, int, error) {
	c := d.sys.Control()
	if c == nil || d.sys.State() >= Stopped {
		return nil, 0, nil
	}
	r, err := c.Inspect(ctx, "", limit)
	if err != nil {
		return nil, 0, err
	}
	list := make([]admin.Execution, len(r.List))
	for i := range r.List {
		e := &r.List[i]
		list[i] = admin.Execution{Task: e.Task, ExecID: e.ExecID, JobID: e.JobID, JobName: e.JobName, Phase: e.Phase, Attempt: e.Attempt,
			Failures: e.Failures, Since: e.Since, Until: e.Until, Error: e.Error}
		if p := e.Progress; p != nil {
			list[i].Progress = &admin.Progress{Done: p.Done, Total: p.Total, Note: p.Note, At: p.At}
		}
	}
	return list, r.Total, nil
}

func (d taskDesk) Pause(ctx context.Context, name string) error {
	return d.steer(ctx, name, (*dispatcher.Client).Pause)
}

func (d taskDesk) Resume(ctx context.Context, name string) error {
	return d.steer(ctx, name, (*dispatcher.Client).Resume)
}

func (d taskDesk) steer(ctx context.Context, name string, f func(*dispatcher.Client, context.Context, string) error) error {
	c := d.sys.Control()
	if c == nil {
		return errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return unknown(f(c, ctx, name))
}

func (d taskDesk) Cancel(ctx context.Context, execID, reason string) (int, error) {
	c := d.sys.Control()
	if c == nil {
		return 0, errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	n, err := c.CancelExecution(ctx, execID, reason)
	return n, unknown(err)
}

func (d taskDesk) Snooze(ctx context.Context, execID string, wait time.Duration) (int, error) {
	c := d.sys.Control()
	if c == nil {
		return 0, errNotStarted
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	n, err := c.SnoozeExecution(ctx, execID, wait)
	return n, unknown(err)
}

// unknown marks an error of the dispatcher's, which has one reason to refuse a
// command: that it knows no task or execution of that name.
func unknown(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
}

func (d taskDesk) Events(buffer int) (<-chan admin.Event, func()) {
	sub := d.sys.Tasks().Events(buffer)
	out := make(chan admin.Event, buffer)
	go func() { // ends when stop closes the subscription
		defer close(out)
		for e := range sub.C {
			select {
			case out <- admin.Event{At: e.At, Kind: string(e.Kind), Task: e.Task, ExecID: e.ExecID, JobID: e.JobID, JobName: e.JobName,
				Attempt: e.Attempt, Took: e.Took.Seconds(), Wait: e.Wait.Seconds(), Reason: e.Reason, Error: e.Error}:
			default: // the page shows the last ones, not all
			}
		}
	}()
	return out, sub.Close
}

// breakerDesk shows and steers the breakers.
type breakerDesk struct{ sys *System }

func (d breakerDesk) Breakers() []admin.Breaker {
	all := d.sys.Breakers()
	list := make([]admin.Breaker, len(all))
	for i, b := range all {
		s := b.Snapshot()
		list[i] = admin.Breaker{Service: s.Service, State: s.State.String(), Seq: s.Seq, Restarts: s.Restarts, Entries: make([]admin.BreakerEntry, len(s.Entries))}
		for k, e := range s.Entries {
			list[i].Entries[k] = admin.BreakerEntry{Path: e.Entry, State: e.State.String(), Own: e.Own.String(), Failures: e.Failures,
				Successes: e.Successes, Probes: e.Probes, Hanging: e.Hanging, Opens: e.Opens, Until: e.Until}
		}
	}
	return list
}

func (d breakerDesk) find(service string) (*breaker.Breaker, error) {
	for _, b := range d.sys.Breakers() {
		if b.Service() == service {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: the service has no breaker of %q", admin.ErrNotFound, service)
}

func (d breakerDesk) Transitions(service string, since uint64) ([]admin.Transition, error) {
	b, err := d.find(service)
	if err != nil {
		return nil, err
	}
	log := b.Transitions(since)
	list := make([]admin.Transition, len(log))
	for i, t := range log {
		list[i] = admin.Transition{Service: t.Service, Seq: t.Seq, At: t.At, Path: t.Entry, From: t.From.String(), To: t.To.String(), Shadow: t.Shadow, Reason: t.Reason}
	}
	return list, nil
}

func (d breakerDesk) Force(service, path, to string, wait time.Duration) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	switch to {
	case breaker.ForcedOpen.String():
		err = b.ForceOpen(path, wait)
	case breaker.ForcedClosed.String():
		err = b.ForceClosed(path, wait)
	case breaker.MetricsOnly.String():
		err = b.MetricsOnly(path, wait)
	default:
		return fmt.Errorf("%w: %q is no state that can be forced", admin.ErrInvalid, to)
	}
	return refused(err)
}

func (d breakerDesk) Reset(service, path string) error {
	b, err := d.find(service)
	if err != nil {
		return err
	}
	return refused(b.Reset(path))
}

func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, breaker.ErrStopped):
		return fmt.Errorf("%w: %w", admin.ErrNotNow, err)
	}
	return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
}
