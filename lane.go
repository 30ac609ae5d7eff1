package chassis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// lane is one task pool at work: its poller and its dispatcher.
type lane struct {
	sys      *System
	settings TaskSettings // of this pool
	monitor  *dispatcher.Monitor
	pulse    pulse
	around   []task.Middleware
	running  atomic.Pointer[running] // nil until started
}

// running are the actors of a lane.
type running struct {
	queue              *poller.Poller
	poller, dispatcher *actor.PID
	client             *dispatcher.Client
}

// startTimeout bounds each question to the queue at the start, and answers of
// our own actors.
const startTimeout = 30 * time.Second

func (l *lane) pool() string { return l.settings.TaskPool }

// now is what is in force for this pool: its workers change live.
func (l *lane) now() TaskSettings {
	for _, set := range l.sys.Settings().Tasks.EachPool() {
		if set.TaskPool == l.pool() {
			return set
		}
	}
	return l.settings
}

func (l *lane) deadPool() string { return l.settings.deadPool() }

// actors are those of the lane, or nil until it is started.
func (l *lane) actors() *running { return l.running.Load() }

// ensure says whether a pool's queue is made if it is not there: those of the
// system's own pools and of their dead letters are. Another service makes its
// own, for a queue without a reader would keep what is sent to it until that is
// too old. Only an embedded queue, where that service may not run yet, is lenient.
func (s *System) ensure(pool string) poller.EnsureOptions {
	o := poller.EnsureOptions{Create: s.settings.Tasks.MissingQueue != "error", Retention: s.settings.Tasks.RetentionPeriod}
	for _, set := range s.settings.Tasks.EachPool() {
		switch pool {
		case "":
		case set.TaskPool:
			return o
		case set.deadPool():
			o.Retention = dispatcher.DeadLetterRetention
			return o
		}
	}
	o.Create = o.Create && s.queue.Server != nil
	o.Created = func(name string) {
		s.Logger("chassis").Warn("a queue was made for a pool that is not this service's: check its name. On SQS it must be there", "queue", name)
	}
	return o
}

func (l *lane) spawn(url string, tasks []*dispatcher.Register, keeper *actor.PID) (*running, error) {
	s := l.sys
	p, err := poller.New(poller.Config{
		Settings: l.settings.PollerSettings, Client: s.queue.Client, QueueURL: url,
		Sender: s.sender, Logger: s.Logger("actors/poller"), Tracing: s.pollerTracing(), Recall: s.queue.Recall(), Permanent: true,
	})
	if err != nil {
		return nil, err
	}
	r := &running{queue: p}
	if r.poller, err = s.actors.Spawn(p.Props(), "poller/"+l.pool()); err != nil {
		return nil, err
	}
	d, err := dispatcher.New(dispatcher.Config{
		Settings: l.now().DispatcherSettings, Pool: l.pool(), Poller: r.poller,
		Logger: s.Logger("actors/dispatcher"), Monitor: l.monitor, Tasks: tasks,
		Tracer: s.tracer, Shares: keeper, Share: l.settings.share(), Middleware: l.around,
		Create:    s.ensure(l.deadPool()).Create,
		Permanent: true, EndlessAfter: endlessLeases * l.settings.TaskTimeout,
	})
	if err == nil {
		r.dispatcher, err = s.actors.Spawn(d, "dispatcher/"+l.pool())
	}
	if err != nil {
		s.actors.Send(r.poller, &poller.Drain{}) // else it would come back
		s.actors.Send(r.poller, &actor.PoisonPill{})
		return nil, err
	}
	r.client = dispatcher.NewClient(s.Actors(), r.dispatcher)
	return r, nil
}

// stop drains: what runs gets the setting drain_timeout, and not longer than
// until ctx ends. An actor of the lane that ends meanwhile ends the drain.
func (l *lane) stop(ctx context.Context) error {
	r, s := l.running.Load(), l.sys
	if r == nil {
		return nil
	}
	limit := l.settings.DrainTimeout
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+l.settings.AbandonAfter+pollGrace)
	defer cancel()
	alive, end := s.actors.While(whole, r.dispatcher, r.poller)
	defer end()
	uncut := context.AfterFunc(ctx, func() {
		s.actors.Send(r.dispatcher, &dispatcher.Drain{Deadline: time.Now()})
	})
	defer uncut()

	drained, err := r.client.Drain(alive, time.Now().Add(limit))
	if err == nil {
		s.Logger("chassis").Info("drained", "pool", l.pool(), "finished", drained.Finished, "given_back", drained.GivenBack, "did_not_end", drained.Released, "unsettled", drained.Unsettled)
		if drained.Released > 0 {
			err = fmt.Errorf("%d executions did not end within %v and were given back to the queue", drained.Released, limit)
		}
		if drained.Unsettled > 0 {
			err = errors.Join(err, fmt.Errorf("the queue did not acknowledge the end of %d messages: they are delivered again", drained.Unsettled))
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err != nil { // no Drain has come through: without one they would come back
		s.actors.Send(r.dispatcher, &dispatcher.Drain{Deadline: time.Now()})
		s.actors.Send(r.poller, &poller.Drain{})
	}
	return errors.Join(err, s.actors.Stop(last, r.poller), s.actors.Stop(last, r.dispatcher))
}

// endlessLeases is the length of an attempt in leases after which it counts as
// stalled, if it has no Deadline and reports no progress.
const endlessLeases = 10

// pollGrace is what a long poll that is under way at a stop may take, SQS's
// 20 s, and the requests after it. The embedded queue answers it at once.
const pollGrace = 25 * time.Second
