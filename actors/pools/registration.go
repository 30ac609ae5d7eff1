package pools

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
)

// Register makes a task known, or keeps it for the start. What is wrong with it
// is an error of the start, or is logged if that has been. Only callers of
// Register wait for the answer of the actors: a lock that Send needs is not held
// over it.
func (p *Pools) Register(r *dispatcher.Register) {
	p.mu.Lock()
	client := p.begun.Load()
	if r.Spec.Sealing != 0 {
		p.seals.Store(true)
	}
	if client == nil {
		p.specs[r.Spec.Name] = r.Spec
		p.early = append(p.early, r)
	}
	p.mu.Unlock()
	if client != nil {
		p.registerLate(client, r)
	}
}

// registerLate makes a task known in pools that have started.
func (p *Pools) registerLate(client *dispatcher.Client, r *dispatcher.Register) {
	p.mu.Lock()
	specs := maps.Clone(p.specs)
	p.mu.Unlock()
	specs[r.Spec.Name] = r.Spec
	err := errors.Join(p.fits(r.Spec), p.cycle(specs))
	if err == nil {
		err = registerAt(p.cfg.Halted, client, r)
	}
	if err != nil {
		p.log().Error("a task is not registered", "task", r.Spec.Name, "error", err)
		return
	}
	p.mu.Lock()
	p.specs[r.Spec.Name] = r.Spec
	p.mu.Unlock()
}

// registerAt asks the dispatchers, which answer as long as they are not stopped.
func registerAt(halted context.Context, client *dispatcher.Client, r *dispatcher.Register) error {
	if halted.Err() != nil {
		return life.ErrStopped
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

// spec returns the spec of a registered task.
func (p *Pools) spec(name string) (task.Spec, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec, ok := p.specs[name]
	return spec, ok
}

// checkEarly returns what is wrong with the tasks that the process begins with.
func (p *Pools) checkEarly(early []*dispatcher.Register, specs map[string]task.Spec) error {
	var errs []error
	for _, r := range early {
		errs = append(errs, r.Spec.Err(), p.fits(r.Spec), p.orphan(r.Spec))
	}
	errs = append(errs, p.cycle(specs))
	if p.main().name() == "" {
		errs = append(errs, errors.New("tasks are registered, but tasks.task_pool is not set: name the queue that "+
			"they come from"))
	}
	return errors.Join(errs...)
}

// fits returns what is wrong with a task that is to be run here.
func (p *Pools) fits(spec task.Spec) error {
	var errs []error
	if spec.Pool != "" && p.lane(spec.Pool) == nil {
		errs = append(errs, fmt.Errorf("task %q: InPool(%q) is not a pool of this system: add it to tasks.pools",
			spec.Name, spec.Pool))
	}
	if err := p.envelopes.check(spec.Sealing); err != nil {
		errs = append(errs, fmt.Errorf("task %q: %w", spec.Name, err))
	}
	if pool := spec.OnFail.Pool; pool != "" {
		if err := poller.CheckQueueName(pool); err != nil {
			errs = append(errs, fmt.Errorf("task %q: the pool of its on_fail: %w", spec.Name, err))
		}
	}
	return errors.Join(errs...)
}

// orphan returns an error if the on_fail of a task goes to a pool of ours and is
// not registered, once all tasks that the process begins with are.
func (p *Pools) orphan(spec task.Spec) error {
	to := spec.OnFail
	if to.Name == "" || to.Pool != "" && p.lane(to.Pool) == nil {
		return nil // another service's
	}
	if _, ok := p.spec(to.Name); ok {
		return nil
	}
	return fmt.Errorf("task %q: its on_fail %q is not registered in this system: "+
		"register it with chassis.Handle, or name the pool of the service that has it with task.OnFailIn", spec.Name,
		to.Name)
}

// cycle returns an error if tasks of this process are each other's on_fail in a
// ring: once given up they would run without a pause or an end.
func (p *Pools) cycle(specs map[string]task.Spec) error {
	ring := onFailRing(specs, func(pool string) bool { return pool == "" || p.lane(pool) != nil })
	if ring == nil {
		return nil
	}
	return fmt.Errorf("task %q: its on_fail leads back to it (%s), which would run without an end: break the ring "+
		"with a task that has no on_fail",
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
