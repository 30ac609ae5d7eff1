package pools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// lane is one task pool at work: its poller and its dispatcher.
type lane struct {
	pools    *Pools
	settings Settings // of this pool
	monitor  *dispatcher.Monitor
	pulse    pulse
	running  atomic.Pointer[running] // nil until started
}

// running are the actors of a lane.
type running struct {
	queue              *poller.Poller
	poller, dispatcher *actor.PID
	client             *dispatcher.Client
	leaving            atomic.Bool // poller and dispatcher no longer come back after a stop
}

func (r *running) stays() bool { return !r.leaving.Load() }

// endlessLeases is the length of an attempt in leases after which it counts as
// stalled, if it has no Deadline and reports no progress.
const endlessLeases = 10

// pollGrace is what a long poll that is under way at a stop may take, SQS's
// 20 s, and the requests after it. The embedded queue answers it at once.
const pollGrace = 25 * time.Second

func (l *lane) name() string { return l.settings.TaskPool }

// inForce returns the settings in force for this pool: its workers change live.
func (l *lane) inForce() Settings {
	if l.pools.cfg.InForce != nil {
		for _, set := range l.pools.cfg.InForce().EachPool() {
			if set.TaskPool == l.name() {
				return set
			}
		}
	}
	return l.settings
}

// ensure says whether a pool's queue is made if it is not there: those of the
// process's own pools and of their dead letters are. Another service makes its
// own, for a queue without a reader would keep what is sent to it until that is
// too old. Only an embedded queue, where that service may not run yet, is lenient.
func (p *Pools) ensure(pool string) poller.EnsureOptions {
	o := poller.EnsureOptions{Create: p.cfg.Settings.MissingQueue != "error",
		Retention: p.cfg.Settings.RetentionPeriod}
	if task.IsInbox(pool) {
		return poller.EnsureOptions{} // its owner makes it, and removes it at its end
	}
	for _, l := range p.lanes() {
		switch pool {
		case "":
		case l.name():
			return o
		case l.settings.DeadPool():
			o.Retention = dispatcher.DeadLetterRetention
			return o
		}
	}
	o.Create = o.Create && p.cfg.Queue.Server != nil
	o.Created = func(name string) {
		p.log().Warn("a queue was made for a pool that is not this service's: check its name. On SQS it must be "+
			"there", "queue", name)
	}
	return o
}

func (l *lane) spawn(url string, tasks []*dispatcher.Register) (*running, error) {
	cfg, actors := &l.pools.cfg, l.pools.actors
	follow, outer, flows := l.pools.following()
	around := slices.Concat(outer, cfg.Middleware)
	if l == l.pools.times.lane && l.pools.times.running != nil {
		around = append([]task.Middleware{l.pools.times.running.Around}, around...)
	}
	r := &running{}
	p, err := poller.New(poller.Config{
		Settings: l.settings.PollerSettings, Client: cfg.Queue.Client, QueueURL: url, Sender: l.pools.sender,
		Logger: cfg.Logger("actors/poller"), Tracing: l.pools.pollerTracing(), Recall: cfg.Queue.Recall(), Permanent: r.stays,
		Random: cfg.Random.Of("poller/" + l.name()),
	})
	if err != nil {
		return nil, err
	}
	r.queue = p
	if r.poller, err = actors.Spawn(p.Props(), "poller/"+l.name()); err != nil {
		return nil, err
	}
	d, err := dispatcher.New(dispatcher.Config{
		Settings: l.inForce().DispatcherSettings, Pool: l.name(), Poller: r.poller,
		Logger: cfg.Logger("actors/dispatcher"), Monitor: l.monitor, Tasks: tasks,
		Tracer: cfg.Tracer, Shares: l.pools.keeper, Share: l.settings.share(), Middleware: around,
		Open:      l.pools.envelopes.open,
		Create:    l.pools.ensure(l.settings.DeadPool()).Create,
		Random:    cfg.Random.Of("dispatcher/" + l.name()),
		PausedBy:  l.pools.pausing(),
		Services:  l.pools.guards(),
		Follow:    follow,
		NoFlows:   !flows,
		Answered:  l.pools.answered,
		Permanent: r.stays, EndlessAfter: endlessLeases * l.settings.TaskTimeout,
	})
	if err == nil {
		r.dispatcher, err = actors.Spawn(d, "dispatcher/"+l.name())
	}
	if err != nil {
		r.leaving.Store(true)
		actors.Send(r.poller, &actor.PoisonPill{})
		return nil, err
	}
	r.client = dispatcher.NewClient(actors.System(), r.dispatcher)
	return r, nil
}

// pollerTracing returns what the poller needs for its spans; nil for none.
func (p *Pools) pollerTracing() *poller.Tracing {
	if p.cfg.Tracer == nil {
		return nil
	}
	return &poller.Tracing{Tracer: p.cfg.Tracer, Origin: func(d *poller.Delivered) trace.SpanContext {
		m, _ := d.Message() // the receiver reports the defects
		return m.Trace(d.TraceHeader)
	}}
}

// stop drains: what runs gets the setting drain_timeout, and not longer than
// until ctx ends. An actor of the lane that ends meanwhile ends the drain.
func (l *lane) stop(ctx context.Context) error {
	r, actors := l.running.Load(), l.pools.actors
	if r == nil {
		return nil
	}
	limit := l.settings.DrainTimeout
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+l.settings.AbandonAfter+pollGrace)
	defer cancel()
	alive, end := actors.While(whole, r.dispatcher, r.poller)
	defer end()
	uncut := context.AfterFunc(ctx, func() {
		actors.Send(r.dispatcher, &dispatcher.Drain{Deadline: time.Now()})
	})
	defer uncut()

	drained, err := r.client.Drain(alive, time.Now().Add(limit))
	if err == nil {
		l.pools.log().Info("drained", "pool", l.name(), "finished", drained.Finished, "given_back", drained.GivenBack,
			"did_not_end", drained.Released, "unsettled", drained.Unsettled)
		if drained.Released > 0 {
			err = fmt.Errorf("%d executions did not end within %v and were given back to the queue", drained.Released,
				limit)
		}
		if drained.Unsettled > 0 {
			err = errors.Join(err, fmt.Errorf("the queue did not acknowledge the end of %d messages: they are "+
				"delivered again", drained.Unsettled))
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), life.StopTimeout)
	defer cancel()
	r.leaving.Store(true) // no Drain need have come through to an actor that was just beginning again
	if err != nil {
		actors.Send(r.dispatcher, &dispatcher.Drain{Deadline: time.Now()})
		actors.Send(r.poller, &poller.Drain{})
	}
	return errors.Join(err, actors.Stop(last, r.poller), actors.Stop(last, r.dispatcher))
}
