package chassis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// pools are the task pools of a system: a lane for each, and what is common to
// them. Every task that is registered is known in all of them. Until they are
// started they collect what is registered.
type pools struct {
	sys     *System
	lanes   []*lane // the first is that of tasks.task_pool
	monitor *dispatcher.Monitor
	shares  shares.Monitor
	keeper  *actor.PID // of the shares; nil: there is one pool, bounded by its workers alone

	mu    sync.Mutex // guards what follows
	early []*dispatcher.Register
	specs map[string]task.Spec
	begun atomic.Pointer[dispatcher.Client] // of all lanes; nil until they are started
}

func newPools(s *System, around []task.Middleware) *pools {
	p := &pools{sys: s, specs: map[string]task.Spec{}}
	var monitors []*dispatcher.Monitor
	for _, set := range s.settings.Tasks.EachPool() {
		l := &lane{sys: s, settings: set, monitor: dispatcher.NewMonitor(), pulse: pulse{pools: p}, around: around}
		p.lanes, monitors = append(p.lanes, l), append(monitors, l.monitor)
	}
	p.monitor = dispatcher.Together(monitors...)
	return p
}

// main is the lane of tasks.task_pool.
func (p *pools) main() *lane { return p.lanes[0] }

// lane is that of a pool of ours, or nil.
func (p *pools) lane(pool string) *lane {
	for _, l := range p.lanes {
		if l.pool() == pool && pool != "" {
			return l
		}
	}
	return nil
}

// register makes a task known, or keeps it for the start. What is wrong with it
// is an error of the start, or is logged if that has been. Only callers of
// register wait for the answer of the actors: a lock that Send needs is not held
// over it.
func (s *System) register(r *dispatcher.Register) {
	p := s.tasks
	p.mu.Lock()
	client := p.begun.Load()
	if client == nil {
		p.specs[r.Spec.Name] = r.Spec
		p.early = append(p.early, r)
	}
	p.mu.Unlock()
	if client != nil {
		p.registerLate(client, r)
	}
}

// registerLate makes a task known in a system that has started.
func (p *pools) registerLate(client *dispatcher.Client, r *dispatcher.Register) {
	p.mu.Lock()
	specs := maps.Clone(p.specs)
	p.mu.Unlock()
	specs[r.Spec.Name] = r.Spec
	err := errors.Join(p.fits(r.Spec), p.cycle(specs))
	if err == nil {
		err = registerAt(p.sys.halted, client, r)
	}
	if err != nil {
		p.sys.Logger("chassis").Error("a task is not registered", "task", r.Spec.Name, "error", err)
		return
	}
	p.mu.Lock()
	p.specs[r.Spec.Name] = r.Spec
	p.mu.Unlock()
}

// registerAt asks the dispatchers, which answer as long as they are not stopped.
func registerAt(halted context.Context, client *dispatcher.Client, r *dispatcher.Register) error {
	if halted.Err() != nil {
		return ErrStopped
	}
	ctx, cancel := context.WithTimeout(halted, startTimeout)
	defer cancel()
	var err error
	if r.Props != nil {
		_, err = client.RegisterProps(ctx, r.Spec, r.Props)
	} else {
		_, err = client.Register(ctx, r.Spec, r.Handler)
	}
	return err
}

// spec is that of a registered task.
func (p *pools) spec(name string) (task.Spec, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec, ok := p.specs[name]
	return spec, ok
}

// fits tells what is wrong with a task that is to be run here.
func (p *pools) fits(spec task.Spec) error {
	var errs []error
	if spec.Pool != "" && p.lane(spec.Pool) == nil {
		errs = append(errs, fmt.Errorf("task %q: InPool(%q) is none of the pools of this system: add it to tasks.pools", spec.Name, spec.Pool))
	}
	if pool := spec.OnFail.Pool; pool != "" {
		if err := poller.CheckQueueName(pool); err != nil {
			errs = append(errs, fmt.Errorf("task %q: the pool of its on_fail: %w", spec.Name, err))
		}
	}
	return errors.Join(errs...)
}

// orphan tells of an on_fail that nobody here could run, once all tasks that the
// service begins with are registered.
func (p *pools) orphan(spec task.Spec) error {
	to := spec.OnFail
	if to.Name == "" || to.Pool != "" && p.lane(to.Pool) == nil {
		return nil // another service's
	}
	if _, ok := p.spec(to.Name); ok {
		return nil
	}
	return fmt.Errorf("task %q: its on_fail %q is not registered in this system: register it with chassis.Handle, or name the pool of the service that has it with task.OnFailIn", spec.Name, to.Name)
}

// cycle returns an error if tasks of this process are each other's on_fail in a
// ring: once given up they would run without a pause or an end.
func (p *pools) cycle(specs map[string]task.Spec) error {
	ring := onFailRing(specs, func(pool string) bool { return pool == "" || p.lane(pool) != nil })
	if ring == nil {
		return nil
	}
	return fmt.Errorf("task %q: its on_fail leads back to it (%s), which would run without an end: break the ring with a task that has no on_fail",
		ring[0], strings.Join(append(ring, ring[0]), " → "))
}

// onFailRing returns the first ring of on_fail tasks by name, or nil. Pure.
func onFailRing(specs map[string]task.Spec, ours func(pool string) bool) []string {
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		ring := []string{name}
		for next := specs[name].OnFail; next.Name != "" && ours(next.Pool) && len(ring) <= len(specs); {
			if next.Name == name {
				return ring
			}
			ring = append(ring, next.Name)
			next = specs[next.Name].OnFail
		}
	}
	return nil
}

// Tasks is what can be seen of the tasks of all pools without asking an actor:
// status, numbers, names, events.
func (s *System) Tasks() *dispatcher.Monitor { return s.tasks.monitor }

// Control is the typed way to pause, resume, inspect, cancel and snooze tasks,
// in all pools. It is nil before [System.Start] and in a system without tasks.
func (s *System) Control() *dispatcher.Client { return s.tasks.begun.Load() }

// Pools are the task pools of the system, that of tasks.task_pool first.
func (s *System) Pools() []Pool {
	list := make([]Pool, len(s.tasks.lanes))
	for i, l := range s.tasks.lanes {
		list[i] = Pool{l}
	}
	return list
}

// Pool is one of the task pools of a system.
type Pool struct{ lane *lane }

// Name is that of the queue.
func (p Pool) Name() string { return p.lane.pool() }

// Settings are those in force for this pool.
func (p Pool) Settings() TaskSettings { return p.lane.now() }

// Tasks is [System.Tasks] of this pool alone.
func (p Pool) Tasks() *dispatcher.Monitor { return p.lane.monitor }

// Control is [System.Control] of this pool alone.
func (p Pool) Control() *dispatcher.Client {
	if r := p.lane.running.Load(); r != nil {
		return r.client
	}
	return nil
}

// Shares says what each pool has of the executions of this process, while there
// is more than one pool or tasks.total_workers is set.
func (s *System) Shares() *shares.Stats { return s.tasks.shares.Stats() }

// start finds the queues and starts the actors, with every task that was
// registered so far known before the first message comes.
func (p *pools) start(ctx context.Context) error {
	s := p.sys
	p.mu.Lock()
	early, specs := p.early, maps.Clone(p.specs)
	p.mu.Unlock()
	if len(early) == 0 && (s.queue.Server != nil || s.pool() == "") {
		return nil // a service that only sends, or has no tasks at all
	}
	var errs []error
	for _, r := range early {
		errs = append(errs, r.Spec.Err(), p.fits(r.Spec), p.orphan(r.Spec))
	}
	errs = append(errs, p.cycle(specs))
	if s.pool() == "" {
		errs = append(errs, errors.New("tasks are registered, but tasks.task_pool is not set: name the queue that they come from"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := sqsclient.Check(ctx, s.queue.Client); err != nil {
		return err
	}
	urls := make([]string, len(p.lanes))
	for i, l := range p.lanes {
		var err error
		if urls[i], err = poller.EnsureQueue(ctx, s.queue.Client, l.pool(), s.ensure(l.pool())); err != nil {
			return err
		}
	}
	client, err := p.spawn(urls, early)
	if err != nil {
		err = errors.Join(err, p.stop(ctx))
		for _, l := range p.lanes {
			l.running.Store(nil) // they are gone: nobody is to ask them again
		}
		return err
	}
	p.mu.Lock()
	late := p.early[len(early):] // registered meanwhile
	p.early = nil
	p.begun.Store(client)
	p.mu.Unlock()
	for _, r := range late {
		p.registerLate(client, r)
	}
	return nil
}

func (p *pools) spawn(urls []string, tasks []*dispatcher.Register) (*dispatcher.Client, error) {
	s := p.sys
	if len(p.lanes) > 1 || s.settings.Tasks.TotalWorkers > 0 {
		props, err := shares.New(shares.Config{Limit: s.settings.Tasks.TotalWorkers, Logger: s.Logger("actors/shares"), Monitor: &p.shares})
		if err != nil {
			return nil, err
		}
		if p.keeper, err = s.actors.Spawn(props, "shares"); err != nil {
			return nil, err
		}
	}
	var pids []*actor.PID
	for i, l := range p.lanes {
		r, err := l.spawn(urls[i], tasks, p.keeper)
		if err != nil {
			return nil, err
		}
		l.running.Store(r)
		pids = append(pids, r.dispatcher)
	}
	return dispatcher.NewClient(s.Actors(), pids...), nil
}

// stop drains all lanes at once, as [lane.stop] has it.
func (p *pools) stop(ctx context.Context) error {
	errs := make([]error, len(p.lanes)+1)
	var work sync.WaitGroup
	for i, l := range p.lanes {
		work.Go(func() { errs[i] = l.stop(ctx) })
	}
	work.Wait()
	if p.keeper != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		errs[len(p.lanes)] = p.sys.actors.Stop(end, p.keeper)
		p.keeper = nil
	}
	return errors.Join(errs...)
}
