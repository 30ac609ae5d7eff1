package chassis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/sqsclient"
)

// lane is one task pool at work: its poller and its dispatcher. Until it is
// started it collects what is registered.
type lane struct {
	sys     *System
	monitor *dispatcher.Monitor

	mu      sync.Mutex // guards what follows
	early   []*dispatcher.Register
	names   map[string]bool
	running *running // nil until started
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

func newLane(s *System) *lane {
	return &lane{sys: s, monitor: dispatcher.NewMonitor(), names: map[string]bool{}}
}

func (s *System) register(r *dispatcher.Register) {
	l := s.tasks
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names[r.Spec.Name] = true
	if l.running == nil {
		l.early = append(l.early, r)
		return
	}
	if err := l.running.register(r); err != nil { // asks the actor, which does not wait for us
		s.Logger("chassis").Error("a task is not registered", "task", r.Spec.Name, "error", err)
	}
}

func (s *System) registered(name string) bool {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	return s.tasks.names[name]
}

// Tasks is what can be seen of the tasks without asking an actor: status,
// numbers, names, events.
func (s *System) Tasks() *dispatcher.Monitor { return s.tasks.monitor }

// Control is the typed way to pause, resume, inspect, cancel and snooze tasks.
// It is nil before [System.Start] and in a system without tasks.
func (s *System) Control() *dispatcher.Client {
	s.tasks.mu.Lock()
	defer s.tasks.mu.Unlock()
	if s.tasks.running == nil {
		return nil
	}
	return s.tasks.running.client
}

// actors are those of the lane, or nil until it is started.
func (l *lane) actors() *running {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

func (s *System) ensure() poller.EnsureOptions {
	return poller.EnsureOptions{
		Create:    s.settings.Tasks.MissingQueue != "error",
		Retention: s.settings.Tasks.RetentionPeriod,
	}
}

// start finds the queue and starts the actors, with every task that was
// registered so far known before the first message comes.
func (l *lane) start(ctx context.Context) error {
	s := l.sys
	l.mu.Lock()
	early := l.early
	l.mu.Unlock()
	if len(early) == 0 && (s.queue.local != nil || s.pool() == "") {
		return nil // a service that only sends, or has no tasks at all
	}
	var errs []error
	for _, r := range early {
		errs = append(errs, r.Spec.Err())
	}
	if s.pool() == "" {
		errs = append(errs, errors.New("tasks are registered, but tasks.task_pool is not set: name the queue that they come from"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := sqsclient.Check(ctx, s.queue.client); err != nil {
		return err
	}
	url, err := poller.EnsureQueue(ctx, s.queue.client, s.pool(), s.ensure())
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running, err = l.spawn(url, l.early); err != nil {
		return err
	}
	l.early = nil
	return nil
}

func (l *lane) spawn(url string, tasks []*dispatcher.Register) (*running, error) {
	s := l.sys
	p, err := poller.New(poller.Config{
		Settings: s.settings.Tasks.PollerSettings, Client: s.queue.client, QueueURL: url,
		Sender: s.sender, Logger: s.Logger("actors/poller"), Tracing: s.pollerTracing(),
	})
	if err != nil {
		return nil, err
	}
	r := &running{queue: p}
	if r.poller, err = spawn(s.actors, p.Props(), "poller-"+s.pool()); err != nil {
		return nil, err
	}
	d, err := dispatcher.New(dispatcher.Config{
		Settings: s.settings.Tasks.DispatcherSettings, Pool: s.pool(), Poller: r.poller,
		Logger: s.Logger("actors/dispatcher"), Monitor: l.monitor, Tasks: tasks,
		Tracer: s.tracer,
	})
	if err == nil {
		r.dispatcher, err = spawn(s.actors, d, "dispatcher-"+s.pool())
	}
	if err != nil {
		s.actors.Root.Stop(r.poller)
		return nil, err
	}
	r.client = dispatcher.NewClient(s.actors, r.dispatcher)
	return r, nil
}

func (r *running) register(reg *dispatcher.Register) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var err error
	if reg.Props != nil {
		_, err = r.client.RegisterProps(ctx, reg.Spec, reg.Props)
	} else {
		_, err = r.client.Register(ctx, reg.Spec, reg.Handler)
	}
	return err
}

// stop drains: what runs gets the setting drain_timeout, and not longer than
// until ctx ends.
func (l *lane) stop(ctx context.Context) error {
	l.mu.Lock()
	r, s := l.running, l.sys
	l.mu.Unlock()
	if r == nil {
		return nil
	}
	limit := s.settings.Tasks.DrainTimeout
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+s.settings.Tasks.AbandonAfter+pollGrace)
	defer cancel()
	uncut := context.AfterFunc(ctx, func() {
		s.actors.Root.Send(r.dispatcher, &dispatcher.Drain{Deadline: time.Now()})
	})
	defer uncut()

	drained, err := r.client.Drain(whole, time.Now().Add(limit))
	if err == nil {
		s.Logger("chassis").Info("drained", "finished", drained.Finished, "given_back", drained.GivenBack, "did_not_end", drained.Released)
		if drained.Released > 0 {
			err = fmt.Errorf("%d executions did not end within %v and were given back to the queue", drained.Released, limit)
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, stopActor(end, s.actors, r.poller), stopActor(end, s.actors, r.dispatcher))
}

// pollGrace is what a long poll that is under way at a stop may take, SQS's
// 20 s, and the requests after it.
const pollGrace = 25 * time.Second
